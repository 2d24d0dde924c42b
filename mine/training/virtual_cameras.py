"""Virtual camera rotations as augmentation: images warped to cameras that pitch, yaw and roll about the same centre.

A rotation about the camera's centre changes an image by a homography and its depth in closed form, for sparse depth
too. Without this augmentation a network learns which tilt goes with which scene. Virtual cameras are also zoomed, in
landscape or portrait format, and of several resolutions.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.base.rng import BatchRng

TILT, ROLL = math.radians(10), math.radians(6)
"""Standard deviations of pitch and yaw, and of roll, in radians."""

MIN_CROP = 0.6
"""Smallest crop that a virtual camera sees, as a fraction of the largest that fits in the image."""


@dataclass(frozen=True)
class VirtualCameras:
    """One virtual camera of image size (H', W') per image of a batch of size (H, W). Pixels count from the centre.

    Attributes:
        to_image: Homographies (B, 3, 3) from pixels of the virtual cameras to pixels of the images.
        axis: (B, 3). Depth along the virtual camera's optical axis over depth along the real one's, at image pixel
            (u, v), is axis · (u, v, 1).
        focal: (B,). Focal lengths of the virtual cameras, relative to the longer side of their images.
        size: (H', W') of the virtual cameras.
        image_size: (H, W) of the images.
    """

    to_image: Tensor
    axis: Tensor
    focal: Tensor
    size: tuple[int, int]
    image_size: tuple[int, int]

    @staticmethod
    def sample(K: Tensor, image_size: tuple[int, int], size: tuple[int, int], rng: BatchRng) -> "VirtualCameras":
        """Samples random rotations, zooms and shifts.

        The centre of an image stays in the centre of its rotated view, before zoom and shift; rotated views may reach
        over the image's border.

        Args:
            K: Intrinsics (B, 3, 3) in pixels of the images.
            image_size: (H, W) of the images.
            size: (H', W') of the virtual cameras.
            rng: Random numbers of the batch.
        """
        fraction, across, down = rng.uniform(3).T
        crop = MIN_CROP + (1 - MIN_CROP) * fraction
        scale = min(image_size[0] / size[0], image_size[1] / size[1]) * crop
        margin = [length - scale * side for length, side in zip(image_size, size, strict=True)]
        shift = torch.stack([(across - 0.5) * margin[1], (down - 0.5) * margin[0]], dim=-1)
        rotation = _rotation_matrix(rng.normal(3) * torch.tensor([TILT, TILT, ROLL]))
        K = _centred_intrinsics(K, image_size)
        to_rotated = K @ rotation @ torch.linalg.inv(K)
        centre = to_rotated[:, :2, 2] / to_rotated[:, 2:, 2]
        window = torch.diag_embed(torch.stack([scale, scale, torch.ones_like(scale)], dim=-1))
        window[:, :2, 2] = centre + shift
        axis = (rotation @ torch.linalg.inv(K))[:, 2]
        to_image = torch.linalg.inv(to_rotated) @ window
        focal = K[:, 0, 0] / (scale * max(size))
        return VirtualCameras(to_image / to_image[:, 2:, 2:], axis, focal, size, image_size)

    def depth_ratio(self) -> Tensor:
        """Factor (B, 1, H, W) from depth in the image's camera to depth in the virtual camera, at image pixels."""
        y, x = (torch.arange(side) - (side - 1) / 2 for side in self.image_size)
        axis_x, axis_y, axis_1 = self.axis[:, :, None, None].unbind(1)
        return (axis_x * x + axis_y * y[:, None] + axis_1)[:, None]

    def warp(self, image: Tensor) -> Tensor:
        """Warps images to the virtual cameras, with reflection beyond the border.

        Args:
            image: (B, C, H, W).

        Returns:
            (B, C, H', W').
        """
        # Antialiasing before sampling: the same factor for all, so that no image depends on the others of its batch.
        shrink = min(1.0, max(self.size) / max(self.image_size) * 2 / (1 + MIN_CROP))
        size = [max(8, round(side * shrink)) for side in self.image_size]
        small = F.interpolate(image, size, mode="bilinear", antialias=True) if shrink < 1 else image
        return _warp(small, self.to_image, self.size, self.image_size, "reflection")

    def unwarp(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Warps what was predicted in the virtual cameras back to the images.

        Args:
            prediction: (B, C, H', W').

        Returns:
            The prediction at the pixels of the images (B, C, H, W), and the mask (B, 1, H, W) of those that the virtual
            camera sees.
        """
        inverse = torch.linalg.inv(self.to_image)
        inside = _warp(torch.ones_like(prediction[:, :1]), inverse, self.image_size, self.size, "zeros") > 0.99
        return _warp(prediction, inverse, self.image_size, self.size, "border"), inside


def _rotation_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) of axis-angle vectors (B, 3) in radians, by Rodrigues' formula.

    Written out, in single precision and batched, since kornia's and scipy's round differently: runs stay reproducible.
    """
    x, y, z = axis_angle.T
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
    angle = axis_angle.norm(dim=1)[:, None, None]
    # sinc(x / π) = sin(x) / x, 1 at 0
    first, second = torch.sinc(angle / math.pi), torch.sinc(angle / (2 * math.pi)) ** 2 / 2
    return torch.eye(3) + first * skew + second * skew @ skew


def _centred_intrinsics(K: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Intrinsics (B, 3, 3) for pixels that count from the centre of the image."""
    K = K.cpu().clone()
    K[:, :2, 2] -= K.new_tensor([(image_size[1] - 1) / 2, (image_size[0] - 1) / 2])
    return K


def _warp(image: Tensor, homography: Tensor, size: tuple[int, int], extent: tuple[int, int], padding: str) -> Tensor:
    """Warp (B, C, *size) of an image of any resolution that spans `extent` pixels, where the homography maps `size`."""
    y, x = (torch.arange(side) - (side - 1) / 2 for side in size)
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(size)], dim=-1)
    mapped = pixels @ homography[:, None].mT
    grid = mapped[..., :2] / mapped[..., 2:] * torch.tensor([2 / extent[1], 2 / extent[0]])
    return F.grid_sample(image, grid.to(image), padding_mode=padding, align_corners=False)
