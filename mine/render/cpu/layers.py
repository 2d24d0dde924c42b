"""Lifting two layers of a surface to planes of a view's resolution, in memory that grows with the surface alone."""

import math
import mmap

import numpy as np
import torch
from torch import Tensor

from mine.kernels.arrays import Array
from mine.kernels.threads import run_in_bands
from mine.render.cpu.layer_kernels import extend_rows, lift_rows


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
    bounds = np.empty((height, width, 4), np.int32)
    maps = [_array(x.reshape(height, width)) for x in (surface, opacity, background, shell)]
    colours = [_array(x.flatten(1)) for x in (rgb, background_rgb)]
    lift = maps[0], maps[1], colours[0], maps[2], colours[1], _array(disparity), maps[3], texels, bounds
    run_in_bands(height, lambda *rows: lift_rows(*lift, *rows))
    reach = np.empty((height, width), np.int32)
    run_in_bands(height, lambda *rows: extend_rows(maps[0], *colours, texels, bounds, reach, *rows))
    planes = torch.from_numpy(texels).view(len(disparity), height, width, 4).movedim(-1, 1)
    return planes, disparity.float()[torch.from_numpy(reach)][None]


def _untouched_zeros(*shape: int) -> Array:
    """Zeros, float32, that take physical memory only where they are written, in pages of a few kilobytes."""
    if not hasattr(mmap, "MADV_NOHUGEPAGE"):  # only Linux fills huge pages for a single texel
        return np.zeros(shape, np.float32)
    memory = mmap.mmap(-1, 4 * math.prod(shape), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    zeros: Array = np.frombuffer(memory, np.float32).reshape(shape)
    return zeros


def _array(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().contiguous().numpy()
