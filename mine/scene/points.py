"""Sparse points with known depth (structure from motion) in a view: their pixels, and the scale of a prediction."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def pixels_of(points: Float[Tensor, "B 3 P"], K: Float[Tensor, "B 3 3"], size: tuple[int, int]) -> Int[Tensor, "B P 2"]:
    """Pixels (x, y) onto which points project, rounded, and clamped to the image.

    Args:
        points: Points in camera coordinates.
        K: Intrinsics in pixels of the image.
        size: (H, W) of the image.
    """
    pixel = K @ points
    x = (pixel[:, 0] / pixel[:, 2]).round().long().clamp(0, size[1] - 1)
    y = (pixel[:, 1] / pixel[:, 2]).round().long().clamp(0, size[0] - 1)
    return torch.stack([x, y], dim=-1)


def disparity_at(
    points: Float[Tensor, "B 3 P"], depth: Float[Tensor, "B 1 H W"], K: Float[Tensor, "B 3 3"]
) -> Float[Tensor, "B P"]:
    """Disparity 1 / depth of a depth map in the pixels onto which points in camera coordinates project."""
    x, y = pixels_of(points, K, (depth.shape[-2], depth.shape[-1])).unbind(-1)
    return (1 / depth).flatten(1).gather(1, y * depth.shape[-1] + x)


def scale_factor(
    points: Float[Tensor, "B 3 P"], depth: Float[Tensor, "B 1 H W"], K: Float[Tensor, "B 3 3"]
) -> Float[Tensor, " B"]:
    """Scale s = exp(mean(log d_syn - log d_sfm)) between a prediction and a reconstruction (section 3.4).

    Args:
        points: Points of the reconstruction in camera coordinates, of disparity d_sfm.
        depth: Rendered depth, of disparity d_syn.
        K: Intrinsics in pixels of the depth map.

    Returns:
        What to divide the reconstruction's translations by, so that they are in units of the prediction.
    """
    return scale_between(disparity_at(points, depth, K), points)


def scale_between(disparity: Float[Tensor, "B P"], points: Float[Tensor, "B 3 P"]) -> Float[Tensor, " B"]:
    """`scale_factor` from the rendered disparity at the points."""
    return torch.exp((torch.log(disparity) + torch.log(points[:, 2])).mean(1))
