"""Random frames within a picture, as a camera at the same place would take them that looks elsewhere.

A camera that pitches, yaws or rolls about its centre takes the same picture up to a homography, and the depth of what
it sees changes in closed form. So every picture, of sparse depth too, teaches how a scene looks at other tilts: without
that, a network learns which tilt goes with which scene. Frames are zoomed, landscape or portrait, at several
resolutions.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.base.rng import BatchRng

TILT, ROLL = math.radians(10), math.radians(6)
"""Standard deviations of pitch and yaw, and of the roll."""

SMALLEST = 0.6
"""Smallest frame, as a share of the largest that fits."""


@dataclass(frozen=True)
class Frame:
    """One frame of size (H', W') per picture of a batch of size (H, W).

    to_picture: (B, 3, 3), homography from pixels of the frame to those of the picture; both count from the middle.
    axis: (B, 3), depth seen from the frame's camera, relative to depth seen from the picture's, is axis · (u, v, 1).
    """

    to_picture: Tensor
    axis: Tensor
    size: tuple[int, int]
    picture: tuple[int, int]

    @staticmethod
    def draw(K: Tensor, picture: tuple[int, int], size: tuple[int, int], rng: BatchRng) -> "Frame":
        """Random frames of `size` within pictures of size `picture` taken with K (B, 3, 3).

        The middle of a picture lies in the middle of its tilted view; frames that are tilted or rolled may reach over
        the border.
        """
        share, across, down = rng.uniform(3).T
        scale = min(picture[0] / size[0], picture[1] / size[1]) * (SMALLEST + (1 - SMALLEST) * share)
        free = [length - scale * side for length, side in zip(picture, size, strict=True)]
        shift = torch.stack([(across - 0.5) * free[1], (down - 0.5) * free[0]], dim=-1)
        turn = _rotation(rng.normal(3) * torch.tensor([TILT, TILT, ROLL]))
        K = _centred(K, picture)
        to_view = K @ turn @ torch.linalg.inv(K)
        middle = to_view[:, :2, 2] / to_view[:, 2:, 2]
        window = torch.diag_embed(torch.stack([scale, scale, torch.ones_like(scale)], dim=-1))
        window[:, :2, 2] = middle + shift
        axis = (turn @ torch.linalg.inv(K))[:, 2]
        to_picture = torch.linalg.inv(to_view) @ window
        return Frame(to_picture / to_picture[:, 2:, 2:], axis, size, picture)

    def depth_ratio(self) -> Tensor:
        """Depth of what pictures show, seen from the frames' cameras, relative to before: (B, 1, H, W)."""
        y, x = (torch.arange(side) - (side - 1) / 2 for side in self.picture)
        across, down, along = self.axis[:, :, None, None].unbind(1)
        return (across * x + down * y[:, None] + along)[:, None]

    def cut(self, image: Tensor) -> Tensor:
        """What pictures (B, C, H, W) show in the frames: (B, C, H', W'), continued by reflection beyond borders."""
        # Shrunk first, as sampling skips pixels: alike for all, so that no frame depends on what it is drawn with.
        shrink = min(1.0, max(self.size) / max(self.picture) * 2 / (1 + SMALLEST))
        size = [max(8, round(side * shrink)) for side in self.picture]
        small = F.interpolate(image, size, mode="bilinear", antialias=True) if shrink < 1 else image
        return _sample(small, self.to_picture, self.size, self.picture, "reflection")

    def spread(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """What the frames (B, C, H', W') show, laid over the pictures (B, C, H, W), and where they do (B, 1, H, W)."""
        inverse = torch.linalg.inv(self.to_picture)
        inside = _sample(torch.ones_like(drawn[:, :1]), inverse, self.picture, self.size, "zeros") > 0.99
        return _sample(drawn, inverse, self.picture, self.size, "border"), inside


def _rotation(vector: Tensor) -> Tensor:
    """Rotations (B, 3, 3) about axes (B, 3) by their length in radians, by Rodrigues' formula."""
    x, y, z = vector.T
    nothing = torch.zeros_like(x)
    skew = torch.stack([nothing, -z, y, z, nothing, -x, -y, x, nothing], dim=-1).view(-1, 3, 3)
    angle = vector.norm(dim=1)[:, None, None]
    # sinc(x / π) = sin(x) / x, 1 at 0
    once, twice = torch.sinc(angle / math.pi), torch.sinc(angle / (2 * math.pi)) ** 2 / 2
    return torch.eye(3) + once * skew + twice * skew @ skew


def _centred(K: Tensor, picture: tuple[int, int]) -> Tensor:
    """Intrinsics (B, 3, 3) for pixels that count from the middle of a picture."""
    K = K.cpu().clone()
    K[:, :2, 2] -= K.new_tensor([(picture[1] - 1) / 2, (picture[0] - 1) / 2])
    return K


def _sample(image: Tensor, homography: Tensor, size: tuple[int, int], extent: tuple[int, int], padding: str) -> Tensor:
    """Samples (B, C, *size) of an image that spans `extent` pixels, where a homography takes the pixels of `size`."""
    y, x = (torch.arange(side) - (side - 1) / 2 for side in size)
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(size)], dim=-1)
    place = pixels @ homography[:, None].mT
    normal = place[..., :2] / place[..., 2:] * torch.tensor([2 / extent[1], 2 / extent[0]])
    return F.grid_sample(image, normal.to(image), padding_mode=padding, align_corners=False)
