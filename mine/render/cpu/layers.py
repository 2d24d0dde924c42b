"""Lifting two layers of a surface to planes of a view's resolution, in memory that grows with the surface alone."""

import math
import mmap

import numpy as np
import torch
from torch import Tensor

from mine.kernels.arrays import Array
from mine.kernels.threads import run_in_bands
from mine.render.cpu.layer_kernels import extend_rows, join_strips, lift_rows
from mine.render.cpu.layout import ONE_STRIP
from mine.render.layers import Layers
from mine.render.strips import STRIP_PITCH, STRIP_SHIFT, StripPlanes, texel_count

NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Linux's flag for memory that is not promised before it is used: zeros of 30 GB may take 1 GB."""


def lift_layers(layers: Layers, disparity: Tensor, shell: Tensor) -> tuple[Tensor, Tensor]:
    """Lifts two layers to planes; arguments and result as those of `mine.render.lift_layers`."""
    height, width = layers.disparity.shape[-2:]
    texels = _untouched_zeros(len(disparity), height * width, 4)
    reach = _fill(texels, (ONE_STRIP, width), layers, disparity, shell)
    return torch.from_numpy(texels).view(len(disparity), height, width, 4).movedim(-1, 1), reach


def lift_layers_in_strips(layers: Layers, disparity: Tensor, shell: Tensor) -> tuple[StripPlanes, Tensor]:
    """As `lift_layers`, but the planes are laid out in strips."""
    size = (layers.disparity.shape[-2], layers.disparity.shape[-1])
    texels = _untouched_zeros(len(disparity), texel_count(size), 4)
    reach = _fill(texels, (STRIP_SHIFT, STRIP_PITCH), layers, disparity, shell)
    return StripPlanes(torch.from_numpy(texels), size), reach


def _fill(texels: Array, strips: tuple[int, int], layers: Layers, disparities: Tensor, back: Tensor) -> Tensor:
    """Writes the texels that have density, and the colours beside them.

    Args:
        texels: (S, N, 4), zeros, filled.
        strips: of the texels, see `mine.render.cpu.layout.texel_index`.
        layers: See `lift_layers`.
        disparities: (S,).
        back: `shell` of `lift_layers`.

    Returns:
        (1, H, W) disparities down to which the planes show the visible surface.
    """
    maps = layers.disparity, layers.opacity, layers.background_disparity, back
    surface, opacity, background, shell = (_array(x[0]) for x in maps)
    rgb, background_rgb = (_array(x.flatten(1)) for x in (layers.rgb, layers.background_rgb))
    size, disparity = surface.shape, _array(disparities)
    bounds, reach = np.empty((*size, 4), np.int32), np.empty(size, np.int32)
    lift = surface, opacity, rgb, background, background_rgb, disparity, shell, texels, strips, bounds
    extend = surface, rgb, background_rgb, texels, strips, bounds, reach
    run_in_bands(len(surface), lambda *rows: lift_rows(*lift, *rows))
    run_in_bands(len(surface), lambda *rows: extend_rows(*extend, *rows))
    run_in_bands(len(texels), lambda *planes: join_strips(texels, size, strips, *planes), band=1)
    reached = np.empty(size, np.float32)
    for row in range(len(reach)):  # NumPy would widen the indices of all rows to 64 bits at once
        np.take(disparity, reach[row], out=reached[row])
    return torch.from_numpy(reached)[None]


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
