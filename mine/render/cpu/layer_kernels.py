"""Compiled kernels that lift two layers of a photo's surface to planes: `lift_rows`, then `extend_rows`.

Planes of a view's resolution are mostly empty: each pixel has density on a few of them. The kernels write these texels
alone, so that memory that is allocated on first use stays small (see `mine.render.cpu.layers`).
`mine.kernels.threads.run_in_bands` gives each thread rows `first` to `last` - 1.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba infers the types from the signatures.

import numpy as np
from numba import float32, int32, int64, types

from mine.kernels.jit import compiled, inlined
from mine.render.cpu.layout import SIZE_TYPE, texel_index
from mine.render.reference import OPAQUE

SAME_SURFACE = 1.1
"""Neighbouring pixels belong to one surface if the ratio of their disparities is at most this."""

ADJACENT_PLANES = 1.25
"""`SAME_SURFACE` of pixels on the same or on adjacent planes: far away, steps between planes are as large."""


@inlined
def _plane_behind(disparity, value):
    """The first plane whose disparity is at most `value`, or the last one."""
    low, high = 0, len(disparity) - 1
    while low < high:
        middle = (low + high) // 2
        if disparity[middle] <= value:
            high = middle
        else:
            low = middle + 1
    return low


@inlined
def _least_around(layer, y, x, own, disparity):
    """Least disparity in the 3x3 window of pixel (y, x) of a layer (H, W) that belongs to a surface at `own`."""
    least, next_plane = own, disparity[min(_plane_behind(disparity, own) + 1, len(disparity) - 1)]
    same = min(own / float32(SAME_SURFACE), max(next_plane, own / float32(ADJACENT_PLANES)))
    for v in range(max(y - 1, 0), min(y + 2, layer.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, layer.shape[1])):
            if layer[v, u] >= same:
                least = min(least, layer[v, u])
    return least


@inlined
def _write(texel, colour, opacity, interval):
    """Writes colour and density; where two layers meet on a plane, the one in front comes first: its colour stays."""
    depth = float32(OPAQUE) if opacity > float32(1 - 1e-5) else min(float32(OPAQUE), -np.log1p(-opacity))
    if texel[3] == 0:
        for c in range(3):
            texel[c] = colour[c]
    texel[3] = max(texel[3], depth / interval)


@inlined
def _lift_surface(texels, disparity, value, back, opacity, colour, index, bounds):
    """Writes the texels at an index that a surface at disparity `value` has; bounds (2,) get its first and last plane.

    The plane before the surface has opacity α a, with a the share that gives the expected disparity `value`; the plane
    behind it has what is missing to α. Opaque surfaces are closed by the planes down to disparity `back`.
    """
    last_plane = len(disparity) - 1
    behind = _plane_behind(disparity, value)
    front, share = behind, float32(0)
    if behind > 0 and value > disparity[behind]:
        share = (value - disparity[behind]) / (disparity[behind - 1] - disparity[behind])
        if share > float32(1 - 1e-3):  # on the plane before it
            behind, front, share = behind - 1, behind - 1, float32(0)
        elif share > float32(1e-3):
            front = behind - 1
            interval = float32(1) / disparity[behind] - float32(1) / disparity[front]
            _write(texels[front, index], colour, opacity * share, interval)
    rest = float32(1) if opacity >= 1 else float32(1) - (float32(1) - opacity) / (float32(1) - opacity * share)
    end = _plane_behind(disparity, back) if opacity >= 1 else behind
    for k in range(behind, end + 1):
        interval = float32(1) / disparity[k + 1] - float32(1) / disparity[k] if k < last_plane else float32(1)
        _write(texels[k, index], colour, rest, interval)
    bounds[0], bounds[1] = front, end


IMAGE, COLOURS, TEXELS, BOUNDS = float32[:, ::1], float32[:, ::1], float32[:, :, ::1], int32[:, :, ::1]


@compiled(
    types.void(IMAGE, IMAGE, COLOURS, IMAGE, COLOURS, float32[::1], IMAGE, TEXELS, SIZE_TYPE, BOUNDS, int64, int64)
)
def lift_rows(surface, opacity, rgb, background, background_rgb, disparity, shell, texels, strips, bounds, first, last):
    """Writes the texels that have density.

    Args:
        surface: (H, W) disparities of the visible surface.
        opacity: (H, W), above 0.
        rgb: (3, H W) colours of the visible surface.
        background: (H, W) disparities of the surface behind, 0 where there is none.
        background_rgb: (3, H W).
        disparity: (S,) of the planes, descending.
        shell: (H, W) disparities whose least one around a pixel is the back of the visible surface there.
        texels: (S, N, 4), zeros, filled.
        strips: of the texels, see `layout.texel_index`.
        bounds: (H, W, 4), filled: first and last plane of the surface, and of the background (1 and 0 without one).
    """
    (height, width), last_plane = surface.shape, len(disparity) - 1
    for y in range(first, last):
        for x in range(width):
            pixel, planes = y * width + x, bounds[y, x]
            index = texel_index(int32(y), int32(x), height, strips)
            value = surface[y, x]
            # The background continues surfaces that end at a silhouette before them: without a gap between both.
            back = _least_around(shell, y, x, shell[y, x], disparity)
            back = min(back, _least_around(background, y, x, value, disparity))
            colour = rgb[:, pixel]
            _lift_surface(texels, disparity, value, back, opacity[y, x], colour, index, planes[:2])
            planes[2], planes[3] = 1, 0
            hidden = background[y, x]
            if hidden > 0:
                colour = background_rgb[:, pixel]
                back = _least_around(background, y, x, hidden, disparity)
                back = min(back, _least_around(surface, y, x, hidden, disparity))
                _lift_surface(texels, disparity, hidden, back, float32(1), colour, index, planes[2:])
            _write(texels[last_plane, index], colour, float32(1), float32(1))


@inlined
def _copy_colour(texels, first, last, index, colours, source):
    """Colours the empty texels of planes `first` to `last` at an index by pixel `source` of colours (3, H W)."""
    for k in range(first, last + 1):
        texel = texels[k, index]
        if texel[3] == 0:
            for c in range(3):
                texel[c] = colours[c, source]


@compiled(types.void(IMAGE, COLOURS, COLOURS, TEXELS, SIZE_TYPE, BOUNDS, int32[:, ::1], int64, int64))
def extend_rows(surface, rgb, background_rgb, texels, strips, bounds, reach, first, last):
    """Colours the texels without density beside those that have some, for bilinear samples mix both.

    Arguments as for `lift_rows`. Colours are those of the neighbour, or the pixel's own on the same surface. `reach`
    (H, W) is filled with the last plane that has the visible surface's own colour.
    """
    height, width = surface.shape
    for y in range(first, last):
        for x in range(width):
            pixel, own = y * width + x, bounds[y, x]
            index = texel_index(int32(y), int32(x), height, strips)
            shown = own[1]
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    planes, source = bounds[v, u], v * width + u
                    if planes[0] < own[0] or planes[1] > own[1]:
                        ratio = surface[v, u] / surface[y, x]
                        same = ratio < float32(SAME_SURFACE) and ratio * float32(SAME_SURFACE) > 1
                        _copy_colour(texels, planes[0], planes[1], index, rgb, pixel if same else source)
                        shown = max(shown, planes[1]) if same else shown
                    if planes[2] < own[2] or planes[3] > own[3]:
                        _copy_colour(texels, planes[2], planes[3], index, background_rgb, source)
            if own[2] <= own[3]:
                shown = max(own[1], min(shown, own[2] - 1))  # nothing of the surface behind it
            reach[y, x] = shown


@compiled(types.void(TEXELS, SIZE_TYPE, SIZE_TYPE, int64, int64))
def join_strips(texels, size, strips, first, last):
    """Copies the first texel of each row of a strip behind the same row of the strip before it, by planes.

    Nothing is written where both are empty, so that no memory is taken.
    """
    (height, width), columns = size, 1 << strips[0]
    for k in range(first, last):
        for x in range(columns, width, columns):
            start = texel_index(int32(0), int32(x), height, strips)
            before = start - height * strips[1] + columns
            for row in range(0, height * strips[1], strips[1]):
                for c in range(4):
                    if texels[k, start + row, c] != 0:
                        texels[k, before + row, c] = texels[k, start + row, c]
