"""Compiled kernels of the renderer for processors.

Three things make them fast.

1. Where a pixel sees a plane, how deep it is there and how far the next plane is, are linear in the plane's disparity
   or depth (see `cpu_blocks`): no image is ever warped or written.
2. Planes are walked front to back, so a pixel whose transmittance is spent needs no more of them. A block passes by
   planes that can add next to nothing to it, by the largest density near what it sees of them.
3. A pixel's colour and density lie side by side, so that a sample is two loads. A plane is drawn in a row of blocks
   before the next plane is, and a row in all views before the next row is: memory is read in order, asked for one
   block ahead, and what a view has read is still in cache for the next.

What is left out is bounded. A plane of optical depth o, seen through a transmittance T, has weight T (1 - exp(-o)), at
most T o. Without it a colour between 0 and 1 changes by no more than its weight, and the depth by no more than its
weight times the farthest depth; where T is large, and what is seen lies behind the plane, by no more than o of itself.
Depth is relative to the sum of weights: blocks in which that is below a half, and what was left out counts twice, are
drawn again, and pass by nothing.

Compiled code is kept beside this file, or in the user's cache folder where the package cannot be written, so only the
first import on a machine compiles (some 20 seconds).
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba gives them the types of their callers, down from the signature.

import numpy as np
from numba import float32, int32, uint64

from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import exp_minus
from mine.kernels.simd import borrowed, prefetch
from mine.render.cpu import blocks
from mine.render.cpu.blocks import (
    ACROSS,
    BLOCK,
    COLOUR,
    COVERED,
    DEPTH,
    DEPTHS,
    DOWN,
    FRACTION_U,
    FRACTION_V,
    SAMPLE,
    STATE,
    STEP,
    TEXEL,
    TEXELS,
    THROUGH,
    TILE,
    WEIGHT,
    WEIGHTS,
)
from mine.render.cpu.sampling import LANES, add_weighted_texels, any_positive, sample_scalars, sample_texels
from mine.render.reference import LAST_INTERVAL, TRANSMITTANCE_FLOOR

ROW = 32
"""Blocks that a plane is drawn in before the next plane is: their states fit the second-level cache."""

TOLERANCE = 1e-4
"""Largest error in colour that leaving planes out may cause; that of a depth, relative to it, may be twice as large."""

LINE = 64
"""Bytes of memory that are fetched together."""

# What is known of a block's way: what it passed by so far, and may; the largest transmittance left in it; and
# `longest_length`, or 0 where it sees no quadrangle.
LEFT_BY, ALLOWED, MOST, LONGEST = range(4)


@inlined
def _layout(size):
    """Bytes from an image to the next, and from a row to the next, which in an image of one row is the same one."""
    return uint64(TEXEL * size[0] * size[1]), uint64(TEXEL * size[1] if size[0] > 1 else 0)


@inlined
def _shares(places, i):
    """Addresses of the corner and the fractions of sample i."""
    at = places[1] + uint64(4 * i)
    return places[0] + uint64(4 * i), at + uint64(4 * FRACTION_U * BLOCK), at + uint64(4 * FRACTION_V * BLOCK)


@inlined
def _sample(image, below, places, i):
    """Fills TEXELS, and SAMPLE with their densities, with samples i to i + LANES - 1 of the image at an address."""
    corner, across, down = _shares(places, i)
    out, density = places[1] + uint64(4 * (TEXELS * BLOCK + 4 * i)), places[1] + uint64(4 * (SAMPLE * BLOCK + i))
    sample_texels(image, below, corner, across, down, out, density)


@inlined
def _times_density(plane, below, places, sample):
    """Samples the plane at an address, and turns steps into optical depths."""
    for i in range(0, BLOCK, LANES):
        _sample(plane, below, places, i)
    for i in range(BLOCK):
        sample[STEP, i] *= sample[SAMPLE, i]


@inlined
def _absorb(sample, states, b):
    """Volume rendering of one plane (eq. 3 and 4), all but colour, from optical depths: whether it has any weight."""
    total = float32(0)
    for i in range(BLOCK):
        passed = exp_minus(sample[STEP, i])
        through = states[b, THROUGH, i]
        weight = through * (float32(1) - passed)
        states[b, THROUGH, i] = through * (passed + float32(TRANSMITTANCE_FLOOR))
        states[b, WEIGHTS, i] += weight
        states[b, DEPTHS, i] += weight * sample[DEPTH, i]
        sample[WEIGHT, i] = weight
        total += weight
    return total > 0


@inlined
def _largest(bits, b, line):
    """Largest of a block's numbers, none negative, by their bits: these are in order, and compared by vectors."""
    largest = int32(0)
    for i in range(BLOCK):
        largest = max(largest, bits[b, line, i])
    return np.int32(largest).view(np.float32)


@inlined
def _add_colour(places, colours, i):
    """Adds weight times texels i to i + LANES - 1 to the colours at an address."""
    weights, texels = places[1] + uint64(4 * (WEIGHT * BLOCK + i)), places[1] + uint64(4 * (TEXELS * BLOCK + 4 * i))
    add_weighted_texels(weights, texels, colours + uint64(TEXEL * i))


@inlined
def _add_detail(detail, below, places, colours):
    """Adds the photo's detail, an image at an address, where any of it is seen."""
    for i in range(0, BLOCK, LANES):
        if any_positive(places[1] + uint64(4 * (WEIGHT * BLOCK + i))):
            _sample(detail, below, places, i)
            _add_colour(places, colours, i)


@inlined
def _only_seen(seen, below, places, corner, sample, least_weight):
    """Scales the weights of a plane by what the source camera sees of it, an image of one number a pixel."""
    for i in range(BLOCK):
        corner[i] //= 4
    for i in range(0, BLOCK, LANES):
        at, across, down = _shares(places, i)
        sample_scalars(seen, below, at, across, down, places[1] + uint64(4 * (SAMPLE * BLOCK + i)))
    for i in range(BLOCK):
        share = sample[WEIGHT, i] * sample[SAMPLE, i]
        sample[WEIGHT, i] = share if share > least_weight else float32(0)


@inlined
def _ask_for(plane, boxes, b, k, size):
    """Prefetches what block b will sample of the plane at an address, but for what the block before it samples."""
    _, right, top, bottom = blocks.pixels(boxes, b, k, size)
    for y in range(top, min(bottom + 2, size[0])):
        last = plane + uint64(TEXEL * (y * size[1] + right + 1))
        for line in range(0, TEXEL * ACROSS, LINE):
            prefetch(last - uint64(line))


@inlined
def _densest(density, boxes, b, k, size):
    """Bound on the densities that a block samples of a plane, density (S, tiles down, tiles across)."""
    left, right, top, bottom = blocks.pixels(boxes, b, k, size)
    densest = float32(0)
    for y in range(top // TILE, bottom // TILE + 1):
        for x in range(left // TILE, right // TILE + 1):
            densest = max(densest, density[k, y, x])
    return densest


@inlined
def _passes_by(way, b, density, gap, farthest, boxes, k, size):
    """Whether a block may pass by a plane, `gap` from the next in depth: then its weight is counted as left out."""
    if way[b, LONGEST] == 0:
        return False
    optical_depth = _densest(density, boxes, b, k, size) * gap * way[b, LONGEST]
    left_by = way[b, LEFT_BY] + optical_depth * min(float32(1), way[b, MOST] * farthest)
    if left_by > way[b, ALLOWED]:
        return False
    way[b, LEFT_BY] = left_by
    return True


@inlined
def _start(states, way, b, allowed):
    states[b, THROUGH] = 1
    states[b, WEIGHTS : DEPTHS + 1] = 0
    states[b, COLOUR:] = 0
    way[b, LEFT_BY], way[b, ALLOWED], way[b, MOST] = 0, allowed, 1


@inlined
def _starts_again(states, way, count):
    """Whether blocks saw so little that what they passed by matters: these start again, to pass by nothing."""
    again = False
    for b in range(count):
        least = states[b, WEIGHTS, 0]
        for i in range(BLOCK):
            least = min(least, states[b, WEIGHTS, i])
        if way[b, LEFT_BY] > float32(2 * TOLERANCE) * least:
            _start(states, way, b, 0)
            again = True
        else:
            way[b, LEFT_BY] = way[b, MOST] = 0
    return again


@inlined
def _place(camera, disparity, size, x, y, states, boxes, way, b):
    """Fills in what is known of the block at (x, y) before it meets a plane."""
    homography, epipole, unproject, row = camera
    blocks.find_lines(homography, epipole, unproject, row, x, y, states[b])
    way[b, LONGEST] = 0
    if blocks.is_quadrangle(homography, x, y, states[b]):
        blocks.find_boxes(states[b], disparity, boxes[b])
        way[b, LONGEST] = blocks.longest_length(states[b], unproject, size)
        if blocks.is_inside(boxes, b, 0, size) and blocks.is_inside(boxes, b, len(disparity) - 1, size):
            states[b, COVERED] = len(disparity)
            return
    blocks.count_planes(states[b], disparity, size)


@inlined
def _write(states, b, out, view, y0, x0):
    colours = states[b, COLOUR:].reshape(BLOCK, 4)
    for j in range(min(DOWN, out.shape[2] - y0)):
        for i in range(min(ACROSS, out.shape[3] - x0)):
            pixel = j * ACROSS + i
            for c in range(3):
                out[view, c, y0 + j, x0 + i] = colours[pixel, c]
            out[view, 3, y0 + j, x0 + i] = states[b, DEPTHS, pixel] / (states[b, WEIGHTS, pixel] + float32(1e-5))
            out[view, 4, y0 + j, x0 + i] = states[b, COVERED, pixel]


@inlined
def _sweep(scene, density, seen, detail, disparity, camera, sizes, arrays, count):
    """Draws a row of blocks, plane by plane; scene, seen and detail are addresses, detail 0 where there is none."""
    (size, detail_size), (states, boxes, way, sample, corner) = sizes, arrays
    (image, below), bits, planes = _layout(size), states.view(np.int32), len(disparity)
    places = uint64(corner.ctypes.data), uint64(sample.ctypes.data)
    farthest = float32(1 + 1 / disparity[planes - 1] + abs(camera[3][3]))
    for k in range(planes):
        d, d_next = disparity[k], disparity[min(k + 1, planes - 1)]
        gap = float32(1) / d_next - float32(1) / d if k + 1 < planes else float32(LAST_INTERVAL)
        plane = scene + uint64(k) * image
        for b in range(count):
            spent = way[b, MOST] * farthest <= float32(TOLERANCE)
            if spent or _passes_by(way, b, density, gap, farthest, boxes, k, size):
                continue
            if b + 1 < count and way[b + 1, LONGEST] > 0 and way[b + 1, MOST] * farthest > float32(TOLERANCE):
                _ask_for(plane, boxes, b + 1, k, size)
            if (
                way[b, LONGEST] > 0
                and blocks.is_inside(boxes, b, k, size)
                and blocks.is_inside(boxes, b, min(k + 1, planes - 1), size)
            ):
                blocks.intersect_inside(states, b, d, d_next, size, corner, sample)
            else:
                blocks.intersect(states, b, d, d_next, camera[2], camera[3], size, corner, sample)
            _times_density(plane, below, places, sample)
            if _absorb(sample, states, b):
                colours = uint64(states.ctypes.data) + uint64(4 * BLOCK * (STATE * b + COLOUR))
                for i in range(0, BLOCK, LANES):
                    _add_colour(places, colours, i)
                if detail:
                    seen_here, least = seen + uint64(k) * (image // uint64(4)), float32(TOLERANCE / planes)
                    _only_seen(seen_here, below // uint64(4), places, corner, sample, least)
                    blocks.intersect_detail(states, b, d, size, detail_size, corner, sample)
                    _add_detail(detail, _layout(detail_size)[1], places, colours)
            way[b, MOST] = _largest(bits, b, THROUGH)


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1], float32[:,:,::1], float32[:,:,::1], float32[:,::1], "
    "float64[:,:,::1], float64[:,::1], float64[:,:,::1], float64[:,::1], UniTuple(int64, 2), UniTuple(int64, 2), "
    "float32[:,:,:,::1], float32[:,:,::1], float32[:,:,::1], float32[:,::1], float32[:,::1], int32[::1], int64, "
    "int64)"
)
def render_rows(
    scenes,
    densities,
    seens,
    details,
    disparities,
    homographies,
    epipoles,
    unprojects,
    rows,
    size,
    detail_size,
    out,
    states,
    boxes,
    way,
    sample,
    corner,
    first,
    last,
):
    """Fills rows of blocks `first` to `last` - 1 of out (B, 5, H', W'): colour, depth, mask; a row in all views first.

    scenes (B or 1, S, H W, 4), densities (B or 1, S, tiles down, tiles across), seens (B or 1, S, H W), details
    (B or 1, Hp Wp, 4), the rest (B, ...); what is worked in, states to corner, as `cpu.scratch` makes it. A pixel may
    be read beyond the last of scenes, seens and details whose images have one column.
    """
    scenes, densities, seens, details = borrowed(scenes), borrowed(densities), borrowed(seens), borrowed(details)
    disparities, homographies, epipoles = borrowed(disparities), borrowed(homographies), borrowed(epipoles)
    unprojects, rows, out = borrowed(unprojects), borrowed(rows), borrowed(out)
    states, boxes, way, sample, corner = (
        borrowed(states),
        borrowed(boxes),
        borrowed(way),
        borrowed(sample),
        borrowed(corner),
    )
    views, width, in_row = out.shape[0], out.shape[3], len(states)
    for block_row in range(first, last):
        view, y = block_row % views, block_row // views * DOWN
        scene, seen, detail = min(view, len(scenes) - 1), min(view, len(seens) - 1), min(view, len(details) - 1)
        scene_at = uint64(scenes[scene].ctypes.data)
        seen_at = uint64(seens[seen].ctypes.data)
        detail_at = uint64(details[detail].ctypes.data) if details.size else uint64(0)
        camera = homographies[view], epipoles[view], unprojects[view], rows[view]
        for x0 in range(0, width, in_row * ACROSS):
            count = min(in_row, -(-(width - x0) // ACROSS))
            for b in range(count):
                _place(camera, disparities[view], size, x0 + b * ACROSS, y, states, boxes, way, b)
                _start(states, way, b, TOLERANCE)
            while True:
                _sweep(
                    scene_at,
                    densities[min(view, len(densities) - 1)],
                    seen_at,
                    detail_at,
                    disparities[view],
                    camera,
                    (size, detail_size),
                    (states, boxes, way, sample, corner),
                    count,
                )
                if not _starts_again(states, way, count):
                    break
            for b in range(count):
                _write(states, b, out, view, y, x0 + b * ACROSS)
