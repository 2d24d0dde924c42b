"""Compiled kernels that look at a scene before any view of it is rendered."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba gives them the types of their callers, down from the signatures.

import numpy as np
from numba import float32, int32

from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import exp_minus
from mine.render.cpu.blocks import TILE
from mine.render.reference import TRANSMITTANCE_FLOOR

BAND = 4096
"""Pixels of an image that are interleaved at a time."""


@compiled("void(float32[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def interleave_bands(images, channel, texels, first, last):
    """Writes images (N, C, P) as channels `channel` and on of texels (N, P, 4), by bands of BAND pixels through all."""
    pixels = images.shape[2]
    bands = -(-pixels // BAND)
    for band in range(first, last):
        image, out, start = images[band // bands], texels[band // bands], band % bands * BAND
        for c in range(len(image)):
            for i in range(start, min(start + BAND, pixels)):
                out[i, channel + c] = image[c, i]


@inlined
def _see_through(texels, disparities, k, ray, here, after):
    """Transmittance of the source camera behind plane k, from that in front of it, along a row of its pixels."""
    dz = float32(1) / disparities[k + 1] - float32(1) / disparities[k]
    for x in range(len(ray)):
        after[x] = here[x] * (exp_minus(texels[x, 3] * dz * ray[x]) + float32(TRANSMITTANCE_FLOOR))


@inlined
def _measure_rays(unproject, y, ray):
    """Fills ray with the length of K^-1 p along row y of the source camera's pixels."""
    for x in range(len(ray)):
        across = float32(unproject[0, 0] * x + unproject[0, 1] * y + unproject[0, 2])
        down = float32(unproject[1, 1] * y + unproject[1, 2])
        ray[x] = np.sqrt(across * across + down * down + float32(1))


@compiled("void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def source_rows(scenes, disparities, unprojects, width, seen, first, last):
    """Fills rows `first` to `last` - 1 of seen (B, S, H W), counted through all scenes: T_k^src.

    scenes (B or 1, S, H W, 4).
    """
    height, ray = scenes.shape[2] // width, np.empty(width, np.float32)
    for scene_row in range(first, last):
        b, y = scene_row // height, scene_row % height
        scene, start = scenes[min(b, len(scenes) - 1)], y * width
        _measure_rays(unprojects[b], y, ray)
        seen[b, 0, start : start + width] = 1
        for k in range(scenes.shape[1] - 1):
            here, after = seen[b, k, start : start + width], seen[b, k + 1, start : start + width]
            _see_through(scene[k, start : start + width], disparities[b], k, ray, here, after)


@compiled("void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def blend_rows(scenes, disparities, unprojects, width, images, first, last):
    """Blends images (B, 3, H W) into rows `first` to `last` - 1 of scenes (B, S, H W, 4): `reference.blend_source`."""
    height, ray = scenes.shape[2] // width, np.empty(width, np.float32)
    seen, after = np.empty(width, np.float32), np.empty(width, np.float32)
    for scene_row in range(first, last):
        b, start = scene_row // height, scene_row % height * width
        _measure_rays(unprojects[b], scene_row % height, ray)
        image = images[b, :, start : start + width]
        seen[:] = 1
        for k in range(scenes.shape[1]):
            texels = scenes[b, k, start : start + width]
            if k + 1 < scenes.shape[1]:
                _see_through(texels, disparities[b], k, ray, seen, after)
            for x in range(width):
                for c in range(3):
                    texels[x, c] += seen[x] * (image[c, x] - texels[x, c])
            seen[:] = after


@compiled("void(float32[:,:,:,::1], int64, float32[:,:,:,::1], int64, int64)")
def density_rows(scenes, width, densities, first, last):
    """Fills rows `first` to `last` - 1 of densities (B, S, H / TILE, W / TILE), counted through all planes.

    scenes (B, S, H W, 4). What bilinear samples within a tile can reach: it has one pixel more right and down.
    """
    planes, height, most = scenes.shape[1], scenes.shape[2] // width, np.empty(width, np.int32)
    for row in range(first, last):
        plane, tile_y = row // densities.shape[2], row % densities.shape[2]
        texels = scenes[plane // planes, plane % planes].view(np.int32)  # bits of what is not negative are in order
        densest = densities[plane // planes, plane % planes, tile_y]
        most[:] = 0
        for y in range(tile_y * TILE, min((tile_y + 1) * TILE + 1, height)):
            line = texels[y * width : (y + 1) * width]
            for x in range(width):
                most[x] = max(most[x], line[x, 3])
        for tile_x in range(len(densest)):
            largest = int32(0)
            for x in range(tile_x * TILE, min((tile_x + 1) * TILE + 1, width)):
                largest = max(largest, most[x])
            densest[tile_x] = np.int32(largest).view(np.float32)
