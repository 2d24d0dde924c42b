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
        self.pyramids = _pyramids(images)
        self.levels = max(len(pyramid) for pyramid in self.pyramids)
        table: list[tuple[int, int, int]] = []
        start = 0
        for pyramid in self.pyramids:
            for image in pyramid:
                table.append((start, image.shape[1], image.shape[2]))
                start += image.shape[1] * image.shape[2]
            table += [table[-1]] * (self.levels - len(pyramid))
        self.texels = torch.cat([image.flatten(1).T for pyramid in self.pyramids for image in pyramid])
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
        above = torch.lerp(F.embedding(upper + left, self.texels), F.embedding(upper + right, self.texels), fx)
        below = torch.lerp(F.embedding(lower + left, self.texels), F.embedding(lower + right, self.texels), fx)
        return torch.lerp(above, below, fy)[:, :3]


def _mirror(u: Tensor) -> Tensor:
    return 1 - (1 - torch.remainder(u, 2)).abs()


def _pyramids(images: list[Tensor]) -> list[list[Tensor]]:
    """Mip levels (4, h, w) of every image, halved down to one texel; images of one size are halved together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, image in enumerate(images):
        groups.setdefault(tuple(image.shape[1:]), []).append(number)
    pyramids: list[list[Tensor]] = [[] for _ in images]
    for numbers in groups.values():
        batch = torch.stack([_opaque(images[number]) for number in numbers])
        for level in _halvings(batch):
            for number, image in zip(numbers, level, strict=True):
                pyramids[number].append(image)
    return pyramids


def _opaque(image: Tensor) -> Tensor:
    return image if image.shape[0] == 4 else torch.cat([image, torch.ones_like(image[:1])])


def _halvings(batch: Tensor) -> list[Tensor]:
    """Mip levels of images (B, 4, h, w); colours are averaged by opacity so that cut-outs keep theirs."""
    levels = [batch]
    weighted = torch.cat([batch[:, :3] * (batch[:, 3:] + 1e-4), batch[:, 3:] + 1e-4], 1)
    while max(weighted.shape[2:]) > 1:
        weighted = F.avg_pool2d(weighted, (min(2, weighted.shape[2]), min(2, weighted.shape[3])))
        levels.append(torch.cat([weighted[:, :3] / weighted[:, 3:], weighted[:, 3:] - 1e-4], 1))
    return levels
