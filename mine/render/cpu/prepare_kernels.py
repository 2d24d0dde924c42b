"""Compiled kernels that run once per scene, before any view of it is rendered.

They interleave channels, compute the source camera's transmittance, blend the photo into the planes, and find the
largest density of each tile. `mine.kernels.threads.run_in_bands` gives each thread rows `first` to `last` - 1.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba infers the types from the signatures.

import numpy as np
from numba import float32, int32, int64, types

from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import exp_minus
from mine.render.cpu.layout import SIZE_TYPE, TILE, texel_index
from mine.render.reference import TRANSMITTANCE_FLOOR

INTERLEAVE_BAND = 4096
"""Pixels of an image that are interleaved at a time."""


@compiled("void(float32[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def interleave_bands(images, channel, texels, first, last):
    """Copies channels of images into interleaved texels, by bands of INTERLEAVE_BAND pixels counted through all images.

    Args:
        images: (N, C, P), P pixels each.
        channel: position of their first channel in the texels.
        texels: (N, P, 4), in which channels `channel` to `channel` + C - 1 are filled.
    """
    pixels = images.shape[2]
    bands = -(-pixels // INTERLEAVE_BAND)
    for band in range(first, last):
        image, out, start = images[band // bands], texels[band // bands], band % bands * INTERLEAVE_BAND
        for c in range(len(image)):
            for i in range(start, min(start + INTERLEAVE_BAND, pixels)):
                out[i, channel + c] = image[c, i]


@inlined
def _next_transmittance(texels, disparities, k, ray_length, before, after):
    """T_{k+1} = T_k (exp(-σ_k δ_k) + 1e-6) along a row of the source camera's pixels: before and after (W,)."""
    dz = float32(1) / disparities[k + 1] - float32(1) / disparities[k]
    for x in range(len(ray_length)):
        after[x] = before[x] * (exp_minus(texels[x, 3] * dz * ray_length[x]) + float32(TRANSMITTANCE_FLOOR))


@inlined
def _fill_ray_lengths(unproject, y, ray_length):
    """Fills ray_length (W,) with |K^-1 p| along row y of the source camera's pixels."""
    for x in range(len(ray_length)):
        across = float32(unproject[0, 0] * x + unproject[0, 1] * y + unproject[0, 2])
        down = float32(unproject[1, 1] * y + unproject[1, 2])
        ray_length[x] = np.sqrt(across * across + down * down + float32(1))


@compiled("void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def source_transmittance_rows(scenes, disparities, unprojects, width, transmittance, first, last):
    """`reference.source_transmittance`, by rows of pixels counted through all scenes.

    Args:
        scenes: (B or 1, S, H W, 4).
        disparities: (B, S).
        unprojects: (B, 3, 3), K_s^-1.
        width: W.
        transmittance: (B, S, H W), filled with T_k^src.
    """
    height, ray_length = scenes.shape[2] // width, np.empty(width, np.float32)
    for scene_row in range(first, last):
        b, y = scene_row // height, scene_row % height
        scene, start = scenes[min(b, len(scenes) - 1)], y * width
        _fill_ray_lengths(unprojects[b], y, ray_length)
        transmittance[b, 0, start : start + width] = 1
        for k in range(scenes.shape[1] - 1):
            before = transmittance[b, k, start : start + width]
            after = transmittance[b, k + 1, start : start + width]
            _next_transmittance(scene[k, start : start + width], disparities[b], k, ray_length, before, after)


@compiled("void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def blend_source_rows(scenes, disparities, unprojects, width, images, first, last):
    """`reference.blend_source`, in place, by rows of pixels counted through all scenes.

    Args:
        scenes: (B, S, H W, 4), whose colours become T_k^src I + (1 - T_k^src) c_k.
        disparities: (B, S).
        unprojects: (B, 3, 3), K_s^-1.
        width: W.
        images: (B, 3, H W), the photos I.
    """
    height, ray_length = scenes.shape[2] // width, np.empty(width, np.float32)
    transmittance, after = np.empty(width, np.float32), np.empty(width, np.float32)
    for scene_row in range(first, last):
        b, start = scene_row // height, scene_row % height * width
        _fill_ray_lengths(unprojects[b], scene_row % height, ray_length)
        image = images[b, :, start : start + width]
        transmittance[:] = 1
        for k in range(scenes.shape[1]):
            texels = scenes[b, k, start : start + width]
            if k + 1 < scenes.shape[1]:
                _next_transmittance(texels, disparities[b], k, ray_length, transmittance, after)
            for x in range(width):
                for c in range(3):
                    texels[x, c] += transmittance[x] * (image[c, x] - texels[x, c])
            transmittance[:] = after


@compiled(types.void(float32[:, :, :, ::1], SIZE_TYPE, SIZE_TYPE, float32[:, :, :, ::1], int64, int64))
def max_density_rows(scenes, size, strips, max_density, first, last):
    """The largest density of each tile, by rows of tiles counted through all planes.

    A tile is a square of TILE pixels with one pixel more to the right and below: all that bilinear samples with their
    top-left texel in the square depend on.

    Args:
        scenes: (B, S, N, 4).
        size, strips: of the planes, see `layout.texel_index`.
        max_density: (B, S, ⌈H / TILE⌉, ⌈W / TILE⌉), filled.
    """
    planes, (height, width) = scenes.shape[1], size
    most, strip = np.empty(width, np.int32), min(1 << strips[0], width)
    for row in range(first, last):
        plane, tile_y = row // max_density.shape[2], row % max_density.shape[2]
        # Densities are not negative: the bits of such floats compare as integers, by SIMD.
        texels = scenes[plane // planes, plane % planes].view(np.int32)
        densest = max_density[plane // planes, plane % planes, tile_y]
        most[:] = 0
        for y in range(tile_y * TILE, min((tile_y + 1) * TILE + 1, height)):
            for start in range(0, width, strip):
                line = texels[texel_index(int32(y), int32(start), height, strips) :]
                for x in range(min(strip, width - start)):
                    most[start + x] = max(most[start + x], line[x, 3])
        for tile_x in range(len(densest)):
            largest = int32(0)
            for x in range(tile_x * TILE, min((tile_x + 1) * TILE + 1, width)):
                largest = max(largest, most[x])
            densest[tile_x] = np.int32(largest).view(np.float32)
