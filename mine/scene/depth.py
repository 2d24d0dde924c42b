"""Statistics of a scene's depth, and depth maps as images."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from torch import Tensor

from mine.errors import InputError
from mine.scene.mpi import MPI, check_is_scene

NEAR_QUANTILE = 0.1
"""Fraction of the source view's pixels that are nearer than `near_depth`."""

RANGE_QUANTILES = (0.02, 0.98)
"""Quantiles of disparity that become the darkest and the brightest colour: outliers do not set the scale."""


def near_depth(scene: MPI) -> float:
    """Depth of the nearest objects in scene units: the 10% quantile over what the source view shows.

    Raises:
        InputError: It shows nothing.
    """
    return float(_seen(scene).quantile(NEAR_QUANTILE))


def depth_range(scene: MPI) -> tuple[float, float]:
    """Near and far depth in scene units that bound 96% of what the source view shows; near < far.

    Raises:
        InputError: It shows nothing.
    """
    disparity = 1 / _seen(scene)
    far, near = disparity.quantile(disparity.new_tensor(RANGE_QUANTILES)).tolist()
    return 1 / near, max(1 / far, 1.01 / near)


def _seen(scene: MPI) -> Float[Tensor, " N"]:
    """Depths of the source view's pixels, without those that have none, where all densities are 0."""
    check_is_scene(scene)
    depth = scene.source_depth.flatten()
    depth = depth[depth > 0]
    if depth.numel() == 0:
        raise InputError("the scene is empty from its own camera: make it anew with `mine predict`")
    return depth


def colour_depth(depth: Float[Tensor, "N 1 H W"], near: float, far: float) -> UInt8[np.ndarray, "N H W 3"]:
    """Depth maps as RGB images in the perceptually uniform colour map "inferno": near is bright, far is dark.

    Args:
        depth: Depth in scene units.
        near: Depth of the brightest colour.
        far: Depth of the darkest colour, which pixels that show nothing have too; in between, colours are linear in
            disparity.

    Returns:
        RGB images.
    """
    scale = 255 / (1 / near - 1 / far)
    level = _disparity(depth).sub_(1 / far).mul_(scale)
    return np.take(_INFERNO, level.clamp_(0, 255).round_().to(torch.uint8).cpu().numpy(), axis=0)


def disparity_16bit(depth: Float[Tensor, "N 1 H W"], largest: float) -> UInt16[np.ndarray, "N H W"]:
    """Disparity in 16 bits, 1/depth = value / 65535 · largest, clipped at `largest`; 0 where nothing shows."""
    level = _disparity(depth).div_(largest).clamp_(0, 1)
    return (level.double() * 65535).round().cpu().numpy().astype(np.uint16)


def _disparity(depth: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N H W"]:
    """1 / depth; 0, that of the farthest, in pixels that show nothing, whose depth is 0."""
    return depth[:, 0].reciprocal().masked_fill_(depth[:, 0] <= 0, 0)


_INFERNO = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO).reshape(256, 3)[:, ::-1]
