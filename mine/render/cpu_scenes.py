"""Compiled kernels that look at a scene before any view of it is rendered."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba gives them the types of their callers, down from the signatures.

import numpy as np
from numba import float32, int32

from mine.compiled import compiled, exp_minus
from mine.render.cpu_blocks import TILE
from mine.render.reference import TRANSMITTANCE_FLOOR


@compiled("void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def source_rows(scenes, disparities, unprojects, width, seen, first, last):
    """Fills rows `first` to `last` - 1 of seen (B, S, H W), counted through all scenes: T_k^src."""
    height = scenes.shape[3] // width
    for scene_row in range(first, last):
        b, y = scene_row // height, scene_row % height
        scene = scenes[min(b, len(scenes) - 1)]
        unproject, start = unprojects[b], y * width
        seen[b, 0, start : start + width] = 1
        for k in range(scenes.shape[1] - 1):
            dz = float32(1) / disparities[b, k + 1] - float32(1) / disparities[b, k]
            sigma, here = scene[k, 3, start : start + width], seen[b, k, start : start + width]
            after = seen[b, k + 1, start : start + width]
            for x in range(width):
                ray_x = float32(unproject[0, 0] * x + unproject[0, 1] * y + unproject[0, 2])
                ray_y = float32(unproject[1, 1] * y + unproject[1, 2])
                step = dz * np.sqrt(ray_x * ray_x + ray_y * ray_y + float32(1))
                after[x] = here[x] * (exp_minus(sigma[x] * step) + float32(TRANSMITTANCE_FLOOR))


@compiled("void(float32[:,:,:,::1], int64, float32[:,:,:,::1], int64, int64)")
def density_rows(scenes, width, densities, first, last):
    """Fills rows `first` to `last` - 1 of densities (B, S, H / TILE, W / TILE), counted through all planes.

    What bilinear samples within a tile can reach: it has one pixel more right and down.
    """
    planes, height, most = scenes.shape[1], scenes.shape[3] // width, np.empty(width, np.int32)
    for row in range(first, last):
        plane, tile_y = row // densities.shape[2], row % densities.shape[2]
        sigma = scenes[plane // planes, plane % planes, 3].view(np.int32)  # bits of what is not negative are in order
        densest = densities[plane // planes, plane % planes, tile_y]
        most[:] = 0
        for y in range(tile_y * TILE, min((tile_y + 1) * TILE + 1, height)):
            line = sigma[y * width : (y + 1) * width]
            for x in range(width):
                most[x] = max(most[x], line[x])
        for tile_x in range(len(densest)):
            largest = int32(0)
            for x in range(tile_x * TILE, min((tile_x + 1) * TILE + 1, width)):
                largest = max(largest, most[x])
            densest[tile_x] = np.int32(largest).view(np.float32)
