"""What depth tells: how near the scene is, its range, and pictures of it."""

import cv2
import numpy as np
import torch
from torch import Tensor

from mine.scene.mpi import MPI

NEAR_QUANTILE = 0.1
"""Share of the picture that is nearer than `near_depth`."""

RANGE_QUANTILES = (0.02, 0.98)
"""Disparities that become the darkest and the brightest colour: a few stray pixels do not set the scale."""

Frames = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Frames16 = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]


def near_depth(scene: MPI) -> float:
    """Depth of the nearest things in the scene, in scene units: the 10% quantile of what the source camera sees."""
    return float(scene.source_depth.flatten().quantile(NEAR_QUANTILE))


def depth_range(scene: MPI) -> tuple[float, float]:
    """Near and far depth in scene units between which nearly all of the source view lies; near < far."""
    disparity = 1 / scene.source_depth.flatten()
    far, near = disparity.quantile(disparity.new_tensor(RANGE_QUANTILES)).tolist()
    return 1 / near, max(1 / far, 1.01 / near)


def colour_depth(depth: Tensor, near: float, far: float) -> Frames:
    """Pictures (N, H, W, 3) uint8 RGB of depth (N, 1, H, W): near is bright and warm, far is dark.

    Colours (the inferno map, perceptually uniform) are linear in disparity from 1/far to 1/near and end there.
    """
    level = (1 / depth[:, 0].clamp(min=1e-6) - 1 / far) / (1 / near - 1 / far)
    grey = (level.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    coloured: Frames = _INFERNO[grey]
    return coloured


def disparity_16bit(depth: Tensor, largest: float) -> Frames16:
    """Disparity (N, H, W) uint16 of depth (N, 1, H, W): 1/depth = value / 65535 · largest, clipped at `largest`."""
    level = (1 / depth[:, 0].clamp(min=1e-6) / largest).clamp(0, 1)
    return (level.double() * 65535).round().cpu().numpy().astype(np.uint16)


_INFERNO = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO).reshape(256, 3)[:, ::-1]
