"""Lifting two layers of a surface to planes of a view's resolution, in memory that grows with the surface alone."""

import math
import mmap

import numpy as np
import torch
from torch import Tensor

from mine.kernels.arrays import Array
from mine.kernels.threads import run_in_bands
from mine.render.cpu.layer_kernels import extend_rows, lift_rows

NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Linux's flag for memory that is not promised before it is used: zeros of 30 GB may take 1 GB."""


def lift_layers(
    surface: Tensor,
    opacity: Tensor,
    rgb: Tensor,
    background: Tensor,
    background_rgb: Tensor,
    disparity: Tensor,
    shell: Tensor,
) -> tuple[Tensor, Tensor]:
    """Lifts two layers to planes; arguments and result as those of `mine.render.lift_layers`."""
    height, width = surface.shape[-2:]
    texels = _untouched_zeros(len(disparity), height * width, 4)
    maps = [_array(x.reshape(height, width)) for x in (surface, opacity, background, shell)]
    reach = _fill(texels, maps, [_array(x.flatten(1)) for x in (rgb, background_rgb)], _array(disparity))
    planes = torch.from_numpy(texels).view(len(disparity), height, width, 4).movedim(-1, 1)
    reached = np.empty((height, width), np.float32)
    for row in range(height):  # NumPy would widen the indices of all rows to 64 bits at once
        np.take(_array(disparity), reach[row], out=reached[row])
    return planes, torch.from_numpy(reached)[None]


def _fill(texels: Array, maps: list[Array], colours: list[Array], disparity: Array) -> Array:
    """Writes the texels that have density, and the colours beside them.

    Args:
        texels: (S, H W, 4), zeros, filled.
        maps: (H, W) each: surface, opacity, background, shell.
        colours: (3, H W) of the surface and of the background.
        disparity: (S,).

    Returns:
        (H, W) the last plane of the visible surface at each pixel or beside it.
    """
    surface, opacity, background, shell = maps
    bounds, reach = np.empty((*surface.shape, 4), np.int32), np.empty(surface.shape, np.int32)
    lift = surface, opacity, colours[0], background, colours[1], disparity, shell, texels, bounds
    run_in_bands(len(surface), lambda *rows: lift_rows(*lift, *rows))
    run_in_bands(len(surface), lambda *rows: extend_rows(surface, *colours, texels, bounds, reach, *rows))
    return reach


def _untouched_zeros(*shape: int) -> Array:
    """Zeros, float32, that take physical memory only where they are written, in pages of a few kilobytes."""
    if not hasattr(mmap, "MADV_NOHUGEPAGE"):  # only Linux fills huge pages for a single texel
        return np.zeros(shape, np.float32)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
    memory = mmap.mmap(-1, 4 * math.prod(shape), flags=flags)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    zeros: Array = np.frombuffer(memory, np.float32).reshape(shape)
    return zeros


def _array(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().contiguous().numpy()
