"""All textures of a scene in one array of texels, looked up with mip levels so that nothing aliases."""

import torch
import torch.nn.functional as F
from torch import Tensor


class Atlas:
    """Mip pyramids of RGBA textures, packed texel after texel.

    Textures repeat mirrored, which hides the seam of photographs.
    """

    def __init__(self, images: list[Tensor]) -> None:
        """`images`: RGB (3, h, w) or RGBA (4, h, w) in [0, 1]; all end up on the first one's device."""
        self.pyramids = [_pyramid(image) for image in images]
        levels = max(len(pyramid) for pyramid in self.pyramids)
        texels: list[Tensor] = []
        table: list[list[int]] = []
        start = 0
        for pyramid in self.pyramids:
            for level in range(levels):
                image = pyramid[min(level, len(pyramid) - 1)]
                table.append([start, image.shape[1], image.shape[2]])
                if level < len(pyramid):
                    texels.append(image.flatten(1).T)
                if level < len(pyramid) - 1:
                    start += image.shape[1] * image.shape[2]
            start += pyramid[-1].shape[1] * pyramid[-1].shape[2]
        self.texels = torch.cat(texels)
        self.levels = levels
        self.table = torch.tensor(table, device=self.texels.device).T.contiguous()

    def sample(self, texture: Tensor, u: Tensor, v: Tensor, width: Tensor) -> Tensor:
        """Colours (N, 3) of textures (N,) at (u, v), in texture widths, averaged over about `width` texture widths."""
        size = self.table[2][texture * self.levels].to(width.dtype)
        lod = torch.log2(width * size).clamp(0, self.levels - 1.001)
        level = lod.floor()
        fine = texture * self.levels + level.long()
        return torch.lerp(self._bilinear(fine, u, v), self._bilinear(fine + 1, u, v), (lod - level)[:, None])

    def alpha(self, texture: int, width: float) -> Tensor:
        """The opacity (1, 1, h, w) of a texture at the mip level for samples `width` texture widths apart."""
        pyramid = self.pyramids[texture]
        texels = max(width * pyramid[0].shape[2], 1.0)
        return pyramid[min(int(texels).bit_length() - 1, len(pyramid) - 1)][None, 3:]

    def _bilinear(self, entry: Tensor, u: Tensor, v: Tensor) -> Tensor:
        start, height, width = self.table[:, entry].unbind(0)
        x = _mirror(u) * width - 0.5
        y = _mirror(v) * height - 0.5
        x0, y0 = x.floor(), y.floor()
        fx, fy = (x - x0)[:, None], (y - y0)[:, None]
        left, top = x0.long(), y0.long()
        right, bottom = torch.minimum(left + 1, width - 1), torch.minimum(top + 1, height - 1)
        left, top = left.clamp_(min=0), top.clamp_(min=0)
        upper, lower = start + top * width, start + bottom * width
        above = torch.lerp(self.texels[upper + left], self.texels[upper + right], fx)
        below = torch.lerp(self.texels[lower + left], self.texels[lower + right], fx)
        return torch.lerp(above, below, fy)[:, :3]


def _mirror(u: Tensor) -> Tensor:
    return 1 - (1 - torch.remainder(u, 2)).abs()


def _pyramid(image: Tensor) -> list[Tensor]:
    """Mip levels (4, h, w), halved down to one texel; colours are averaged by opacity so that cut-outs keep theirs."""
    if image.shape[0] == 3:
        image = torch.cat([image, torch.ones_like(image[:1])])
    levels = [image]
    while max(image.shape[1:]) > 1:
        kernel = (min(2, image.shape[1]), min(2, image.shape[2]))
        alpha = F.avg_pool2d(image[None, 3:], kernel)[0]
        colour = F.avg_pool2d((image[:3] * (image[3:] + 1e-4))[None], kernel)[0] / (alpha + 1e-4)
        image = torch.cat([colour, alpha])
        levels.append(image)
    return levels
