"""Known points seen by a camera: their pixels, the disparity rendered there, and the scale that fits them."""

import torch
from torch import Tensor


def pixels_of(points: Tensor, K: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (B, P, 2), whole numbers within `size` (H, W), in which camera K sees points (B, 3, P)."""
    pixel = K @ points
    x = (pixel[:, 0] / pixel[:, 2]).round().long().clamp(0, size[1] - 1)
    y = (pixel[:, 1] / pixel[:, 2]).round().long().clamp(0, size[0] - 1)
    return torch.stack([x, y], dim=-1)


def disparity_at(points: Tensor, depth: Tensor, K: Tensor) -> Tensor:
    """Rendered disparity (B, P), 1 / depth (B, 1, H, W), of the pixels in which camera K sees points (B, 3, P)."""
    x, y = pixels_of(points, K, (depth.shape[-2], depth.shape[-1])).unbind(-1)
    return (1 / depth).flatten(1).gather(1, y * depth.shape[-1] + x)


def scale_factor(points: Tensor, depth: Tensor, K: Tensor) -> Tensor:
    """s = exp(mean(log d_syn(p) - log d_sfm(p))), (B,): divide a capture's translations by it (section 3.4).

    points (B, 3, P) in the camera's coordinates; depth (B, 1, H, W) rendered by it.
    """
    return scale_between(disparity_at(points, depth, K), points)


def scale_between(disparity: Tensor, points: Tensor) -> Tensor:
    """`scale_factor` from the disparity (B, P) that is rendered where points (B, 3, P) are seen."""
    return torch.exp((torch.log(disparity) + torch.log(points[:, 2])).mean(1))
