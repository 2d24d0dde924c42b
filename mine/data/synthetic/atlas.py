"""Texture atlas: all textures of a scene in one array of texels, sampled trilinearly from their mip levels."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


class Atlas:
    """Mip pyramids of RGBA textures in one array of texels. Textures repeat mirrored, so that photos have no seam."""

    def __init__(self, images: list[Tensor], device: str | torch.device = "cpu") -> None:
        """`images`: RGB (3, h, w) or RGBA (4, h, w) in [0, 1] on the CPU; the atlas is on `device`."""
        pyramids = [_pyramid(image) for image in images]
        self.levels = max(len(pyramid) for pyramid in pyramids)
        self.sizes = [[level.shape[:2] for level in pyramid] for pyramid in pyramids]
        starts: list[tuple[int, int, int]] = []
        start = 0
        for sizes in self.sizes:
            for height, width in sizes:
                starts.append((start, height, width))
                start += height * width
            starts += [starts[-1]] * (self.levels - len(sizes))
        texels = np.concatenate([level.reshape(-1, 4) for pyramid in pyramids for level in pyramid])
        self.texels = torch.from_numpy(texels).to(device)
        self.table = torch.tensor(starts, device=device).T.contiguous()
        self._starts = starts

    def sample(self, texture: Tensor, u: Tensor, v: Tensor, width: Tensor) -> Tensor:
        """Samples textures trilinearly.

        Args:
            texture: (N,) numbers of textures.
            u: (N,) coordinates, in texture widths.
            v: (N,) coordinates, in texture heights.
            width: (N,) footprints, in texture widths.

        Returns:
            Colours (N, 3).
        """
        size = self.table[2][texture * self.levels].to(width.dtype)
        lod = torch.log2(width * size).clamp(0, self.levels - 1.001)
        level = lod.floor()
        fine = texture * self.levels + level.long()
        return torch.lerp(self._bilinear(fine, u, v), self._bilinear(fine + 1, u, v), (lod - level)[:, None])

    def alpha(self, texture: int, width: float) -> Tensor:
        """Alpha (1, 1, h, w) of a texture at the mip level for samples `width` texture widths apart."""
        texels = max(width * self.sizes[texture][0][1], 1.0)
        level = min(int(texels).bit_length() - 1, len(self.sizes[texture]) - 1)
        start, high, wide = self._starts[texture * self.levels + level]
        return self.texels[start : start + high * wide, 3].view(1, 1, high, wide)

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


def _pyramid(image: Tensor) -> list[NDArray[np.float32]]:
    """Mip levels (h, w, 4), halved down to one texel. Colours are weighted by alpha, so that outlines keep theirs."""
    level = np.ones((*image.shape[1:], 4), np.float32)
    level[..., : image.shape[0]] = image.permute(1, 2, 0).numpy()
    levels = [level]
    weighted = level.copy()
    if image.shape[0] == 4:
        weighted[..., 3] += 1e-4
        weighted[..., :3] *= weighted[..., 3:]
    while max(weighted.shape[:2]) > 1:
        half = (max(1, weighted.shape[1] // 2), max(1, weighted.shape[0] // 2))
        weighted = cv2.resize(weighted, half, interpolation=cv2.INTER_AREA)
        level = weighted
        if image.shape[0] == 4:
            level = weighted / weighted[..., 3:]
            level[..., 3] = weighted[..., 3] - 1e-4
        levels.append(level)
    return levels
