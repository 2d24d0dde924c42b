"""The volume-rendering kernel of the CPU renderer: `render_rows`.

A row of blocks of target pixels goes through the planes front to back. For each plane and block the kernel

1. finds the source pixels, the target depths and the distances to the next plane in closed form (see `geometry`), so
   that no image is ever warped;
2. samples density and colour bilinearly, texels of four interleaved channels two at a time (see `sampling`);
3. composites them by Li et al. 2021, eq. 3 and 4: w = T (1 - exp(-σδ)), then T ← T (exp(-σδ) + 1e-6);
4. where there is detail of the photo, adds w T^src times the detail: T^src is the source camera's transmittance, and
   tells how much of the plane the photo shows; or 1 down to a disparity that is given for each pixel, and 0 behind it.

Two accelerations leave out what changes a pixel by less than `TOLERANCE`:

- early ray termination: a block whose largest transmittance, times the farthest depth, is at most `TOLERANCE` is done;
- empty-space skipping: a block skips a plane if the largest densities of the tiles it sees bound the plane's weight.

The error of skipping is bounded. A plane of optical depth o behind transmittance T has weight T (1 - exp(-o)) ≤ T o.
Without it, a colour in [0, 1] changes by at most its weight, and depth by at most its weight times the farthest depth.
A block adds up these bounds, and skips no plane that would take their sum above `TOLERANCE`. Depth is relative to Σ w:
blocks whose bound exceeds 2 `TOLERANCE` times the least Σ w of their pixels are rendered again without skipping.

For the cache's sake, a row of blocks samples one plane before the next one, a row is rendered in all views before the
next row, and a block's texels are prefetched while the block before it is computed.

Equals `reference.render`: tests/render/cpu/test_render.py compares them, to 2e-4 in colour and in depth (relative to
the scene's scale), twice `TOLERANCE`.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba infers the types from the signature of `render_rows`.

from typing import NamedTuple

import numpy as np
from numba import float32, int32, int64, types, uint64

from mine.kernels.arrays import Array
from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import exp_minus
from mine.kernels.simd import borrowed, prefetch
from mine.render.cpu import geometry
from mine.render.cpu.layout import (
    BLOCK,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    CAMERAS_TYPE,
    COLOUR_SUM,
    COVERAGE,
    DENSITY,
    DEPTH,
    DEPTH_SUM,
    INTERVAL,
    MAX_RAY_LENGTH,
    MAX_TRANSMITTANCE,
    OPTICAL_DEPTH,
    SCENES_TYPE,
    SCRATCH_TYPE,
    SKIP_LIMIT,
    SKIPPED,
    SOURCE_TRANSMITTANCE,
    STATE_ROWS,
    TEXEL,
    TEXELS,
    TILE,
    TRANSMITTANCE,
    WEIGHT,
    WEIGHT_SUM,
    WEIGHT_U,
    WEIGHT_V,
    CameraArrays,
    SceneArrays,
    Scratch,
    texel_index,
)
from mine.render.cpu.sampling import (
    LANES,
    add_weighted_texels,
    any_positive,
    sample_at_most,
    sample_scalars,
    sample_texels,
)
from mine.render.reference import LAST_INTERVAL, TRANSMITTANCE_FLOOR

TOLERANCE = 1e-4
"""Bound on the error in colour of each acceleration; in depth, relative to it, it may be twice as large."""

CACHE_LINE = 64
"""Bytes that one prefetch loads."""


class Inputs(NamedTuple):
    """What one view is rendered from; images by their addresses."""

    planes: np.uint64
    """address of (S, N, 4), see `texel_index`"""
    max_density: Array
    """(S, tiles down, tiles across)"""
    source_transmittance: np.uint64
    """address of (S, H W); not read with photo_reach"""
    photo_reach: np.uint64
    """address of (N), or 0"""
    detail: np.uint64
    """address of (Hp Wp, 4), or 0"""
    disparity: Array
    """(S,)"""
    camera: tuple[Array, Array, Array, Array]
    """homography, epipole, unproject and depth_row, see `geometry`"""
    size: tuple[int, int]
    detail_size: tuple[int, int]
    strips: tuple[int, int]


@inlined
def _row_bytes(height, pitch):
    """Bytes from one row of an image to the next: 0 in an image of one row, which is its own next."""
    return uint64(TEXEL * pitch if height > 1 else 0)


@inlined
def _plane_bytes(size, strips):
    """Bytes from one plane to the next."""
    return uint64(TEXEL * (((size[1] - 1) >> strips[0]) + 1) * size[0] * strips[1])


@inlined
def _address(samples, row, i):
    """Address of element i of a row of samples."""
    return uint64(samples.ctypes.data) + uint64(4 * (row * BLOCK + i))


@inlined
def _sample_block_texels(image, row_bytes, offsets, samples, i):
    """Samples the image at an address for pixels i to i + LANES - 1: fills TEXELS, and DENSITY with channel four."""
    texels, fourth = _address(samples, TEXELS, 4 * i), _address(samples, DENSITY, i)
    across, down = _address(samples, WEIGHT_U, i), _address(samples, WEIGHT_V, i)
    sample_texels(image, row_bytes, uint64(offsets.ctypes.data) + uint64(4 * i), across, down, texels, fourth)


@inlined
def _sample_plane(plane, row_bytes, offsets, samples):
    """Samples the plane at an address, and fills OPTICAL_DEPTH."""
    for i in range(0, BLOCK, LANES):
        _sample_block_texels(plane, row_bytes, offsets, samples, i)
    for i in range(BLOCK):
        samples[OPTICAL_DEPTH, i] = samples[INTERVAL, i] * samples[DENSITY, i]


@inlined
def _composite(samples, states, b):
    """Eq. 3 and 4 for one plane, all but colour: fills WEIGHT, updates the accumulators; returns whether any w > 0."""
    total = float32(0)
    for i in range(BLOCK):
        transmitted = exp_minus(samples[OPTICAL_DEPTH, i])
        transmittance = states[b, TRANSMITTANCE, i]
        weight = transmittance * (float32(1) - transmitted)
        states[b, TRANSMITTANCE, i] = transmittance * (transmitted + float32(TRANSMITTANCE_FLOOR))
        states[b, WEIGHT_SUM, i] += weight
        states[b, DEPTH_SUM, i] += weight * samples[DEPTH, i]
        samples[WEIGHT, i] = weight
        total += weight
    return total > 0


@inlined
def _add_colour(samples, colours, i):
    """Adds w times TEXELS of pixels i to i + LANES - 1 to the block's colour sums, (BLOCK, 4) at an address."""
    add_weighted_texels(_address(samples, WEIGHT, i), _address(samples, TEXELS, 4 * i), colours + uint64(TEXEL * i))


@inlined
def _multiply_by_source_transmittance(inputs, k, offsets, samples, least_weight):
    """w ← w T^src of plane k, or 0 where that is at most `least_weight`."""
    row_bytes = _row_bytes(inputs.size[0], inputs.strips[1]) // uint64(4)
    for i in range(BLOCK):
        offsets[i] //= 4  # from texels of four channels to those of one
    for i in range(0, BLOCK, LANES):
        across, down = _address(samples, WEIGHT_U, i), _address(samples, WEIGHT_V, i)
        out, offset = _address(samples, SOURCE_TRANSMITTANCE, i), uint64(offsets.ctypes.data) + uint64(4 * i)
        if inputs.photo_reach:
            sample_at_most(inputs.photo_reach, row_bytes, offset, across, down, out, inputs.disparity[k])
        else:
            plane = inputs.source_transmittance + uint64(k) * (_plane_bytes(inputs.size, inputs.strips) // uint64(4))
            sample_scalars(plane, row_bytes, offset, across, down, out)
    for i in range(BLOCK):
        weight = samples[WEIGHT, i] * samples[SOURCE_TRANSMITTANCE, i]
        samples[WEIGHT, i] = weight if weight > least_weight else float32(0)


@inlined
def _add_detail(inputs, k, states, b, offsets, samples, colours):
    """Adds w T^src times the photo's detail to block b's colour sums, where any of it shows on plane k."""
    disparity, size, detail_size = inputs.disparity, inputs.size, inputs.detail_size
    _multiply_by_source_transmittance(inputs, k, offsets, samples, float32(TOLERANCE / len(disparity)))
    geometry.locate_detail(states, b, disparity[k], size, detail_size, offsets, samples)
    for i in range(0, BLOCK, LANES):
        if any_positive(_address(samples, WEIGHT, i)):
            _sample_block_texels(inputs.detail, _row_bytes(detail_size[0], detail_size[1]), offsets, samples, i)
            _add_colour(samples, colours, i)


@inlined
def _max_transmittance(states, b):
    """The largest transmittance of block b, which is not negative: bits of such floats compare as integers, by SIMD."""
    bits = states.view(np.int32)
    largest = int32(0)
    for i in range(BLOCK):
        largest = max(largest, bits[b, TRANSMITTANCE, i])
    return np.int32(largest).view(np.float32)


@inlined
def _prefetch_texels(plane, boxes, b, k, size, strips):
    """Prefetches what block b samples of the plane at an address, but for what the block to the left samples."""
    _, right, top, bottom = geometry.texel_range(boxes, b, k, size)
    for y in range(top, min(bottom + 2, size[0])):
        for before in range(0, BLOCK_WIDTH, CACHE_LINE // TEXEL):
            column = max(right + int32(1) - int32(before), int32(0))
            prefetch(plane + uint64(TEXEL) * uint64(texel_index(y, column, size[0], strips)))


@inlined
def _max_density(max_density, boxes, b, k, size):
    """Bound on the densities that block b samples of plane k, from those of tiles (S, tiles down, tiles across)."""
    left, right, top, bottom = geometry.texel_range(boxes, b, k, size)
    densest = float32(0)
    for y in range(top // TILE, bottom // TILE + 1):
        for x in range(left // TILE, right // TILE + 1):
            densest = max(densest, max_density[k, y, x])
    return densest


@inlined
def _skip_plane(progress, b, max_density, gap, farthest, boxes, k, size):
    """Whether block b may skip plane k, `gap` from the next one in source depth; adds its bound to SKIPPED if so."""
    if progress[b, MAX_RAY_LENGTH] == 0:
        return False
    optical_depth = _max_density(max_density, boxes, b, k, size) * gap * progress[b, MAX_RAY_LENGTH]
    skipped = progress[b, SKIPPED] + optical_depth * min(float32(1), progress[b, MAX_TRANSMITTANCE] * farthest)
    if skipped > progress[b, SKIP_LIMIT]:
        return False
    progress[b, SKIPPED] = skipped
    return True


@inlined
def _reset(states, progress, b, skip_limit):
    """Resets the accumulators of block b."""
    states[b, TRANSMITTANCE] = 1
    states[b, WEIGHT_SUM : DEPTH_SUM + 1] = 0
    states[b, COLOUR_SUM:] = 0
    progress[b, SKIPPED], progress[b, SKIP_LIMIT], progress[b, MAX_TRANSMITTANCE] = 0, skip_limit, 1


@inlined
def _reset_inaccurate(states, progress, count):
    """Resets blocks that skipped too much for their Σ w, to skip nothing, and terminates others; returns if any was."""
    any_reset = False
    for b in range(count):
        least = states[b, WEIGHT_SUM, 0]
        for i in range(BLOCK):
            least = min(least, states[b, WEIGHT_SUM, i])
        if progress[b, SKIPPED] > float32(2 * TOLERANCE) * least:
            _reset(states, progress, b, 0)
            any_reset = True
        else:
            progress[b, SKIPPED] = progress[b, MAX_TRANSMITTANCE] = 0
    return any_reset


@inlined
def _start_block(inputs, scratch, b, x, y):
    """Fills in the state of block b, at target pixel (x, y), before it meets a plane."""
    states, boxes, progress = scratch.states, scratch.bounding_boxes, scratch.progress
    disparity, camera, size = inputs.disparity, inputs.camera, inputs.size
    _reset(states, progress, b, TOLERANCE)
    geometry.fill_lines(camera, x, y, states[b])
    progress[b, MAX_RAY_LENGTH] = 0
    if geometry.sees_quadrilateral(camera[0], x, y, states[b]):
        geometry.fill_bounding_boxes(states[b], disparity, boxes[b])
        progress[b, MAX_RAY_LENGTH] = geometry.max_ray_length(states[b], camera[2], size)
        if geometry.is_inside_frame(boxes, b, 0, size) and geometry.is_inside_frame(boxes, b, len(disparity) - 1, size):
            states[b, COVERAGE] = len(disparity)
            return
    geometry.count_covering_planes(states[b], disparity, size)


@inlined
def _render_plane_in_block(inputs, scratch, b, k, plane):
    """Steps 1 to 4 of this module's description, for block b and plane k at an address."""
    states, boxes, progress = scratch.states, scratch.bounding_boxes, scratch.progress
    samples, offsets, disparity, size = scratch.samples, scratch.offsets, inputs.disparity, inputs.size
    k_next = min(k + 1, len(disparity) - 1)
    d, d_next = disparity[k], disparity[k_next]
    if (
        progress[b, MAX_RAY_LENGTH] > 0
        and geometry.is_inside_frame(boxes, b, k, size)
        and geometry.is_inside_frame(boxes, b, k_next, size)
    ):
        geometry.intersect_inside(states, b, d, d_next, size, inputs.strips, offsets, samples)
    else:
        geometry.intersect_clamped(states, b, d, d_next, inputs.camera, size, inputs.strips, offsets, samples)
    _sample_plane(plane, _row_bytes(size[0], inputs.strips[1]), offsets, samples)
    if _composite(samples, states, b):
        colours = uint64(states.ctypes.data) + uint64(4 * BLOCK * (STATE_ROWS * b + COLOUR_SUM))
        for i in range(0, BLOCK, LANES):
            _add_colour(samples, colours, i)
        if inputs.detail:
            _add_detail(inputs, k, states, b, offsets, samples, colours)
    progress[b, MAX_TRANSMITTANCE] = _max_transmittance(states, b)


@inlined
def _render_planes(inputs, scratch, count):
    """Renders a row of `count` blocks, plane by plane from the nearest, with both accelerations."""
    boxes, progress, disparity, size = scratch.bounding_boxes, scratch.progress, inputs.disparity, inputs.size
    plane_bytes, planes = _plane_bytes(size, inputs.strips), len(disparity)
    farthest = float32(1 + 1 / disparity[planes - 1] + abs(inputs.camera[3][3]))
    for k in range(planes):
        gap = float32(1) / disparity[k + 1] - float32(1) / disparity[k] if k + 1 < planes else float32(LAST_INTERVAL)
        plane = inputs.planes + uint64(k) * plane_bytes
        for b in range(count):
            terminated = progress[b, MAX_TRANSMITTANCE] * farthest <= float32(TOLERANCE)
            if terminated or _skip_plane(progress, b, inputs.max_density, gap, farthest, boxes, k, size):
                continue
            if (
                b + 1 < count
                and progress[b + 1, MAX_RAY_LENGTH] > 0
                and progress[b + 1, MAX_TRANSMITTANCE] * farthest > float32(TOLERANCE)
            ):
                _prefetch_texels(plane, boxes, b + 1, k, size, inputs.strips)
            _render_plane_in_block(inputs, scratch, b, k, plane)


@inlined
def _write(states, b, out, view, y0, x0):
    """Writes block b to the view's pixels from (x0, y0) on, as far as they are in the view."""
    colours = states[b, COLOUR_SUM:].reshape(BLOCK, 4)
    for j in range(min(BLOCK_HEIGHT, out.shape[2] - y0)):
        for i in range(min(BLOCK_WIDTH, out.shape[3] - x0)):
            pixel = j * BLOCK_WIDTH + i
            for c in range(3):
                out[view, c, y0 + j, x0 + i] = colours[pixel, c]
            out[view, 3, y0 + j, x0 + i] = states[b, DEPTH_SUM, pixel] / (states[b, WEIGHT_SUM, pixel] + float32(1e-5))
            out[view, 4, y0 + j, x0 + i] = states[b, COVERAGE, pixel]


@inlined
def _view_inputs(scenes, disparities, cameras, view):
    """The inputs of one view: arrays of one scene are those of all views."""
    planes, transmittance, detail = scenes.planes, scenes.source_transmittance, scenes.detail
    reach = scenes.photo_reach
    return Inputs(
        uint64(planes[min(view, len(planes) - 1)].ctypes.data),
        borrowed(scenes.max_density)[min(view, len(scenes.max_density) - 1)],
        uint64(transmittance[min(view, len(transmittance) - 1)].ctypes.data),
        uint64(reach[min(view, len(reach) - 1)].ctypes.data) if reach.size else uint64(0),
        uint64(detail[min(view, len(detail) - 1)].ctypes.data) if detail.size else uint64(0),
        borrowed(disparities)[view],
        (
            borrowed(cameras.homography)[view],
            borrowed(cameras.epipole)[view],
            borrowed(cameras.unproject)[view],
            borrowed(cameras.depth_row)[view],
        ),
        scenes.size,
        scenes.detail_size,
        scenes.strips,
    )


@compiled(types.void(SCENES_TYPE, float32[:, ::1], CAMERAS_TYPE, float32[:, :, :, ::1], SCRATCH_TYPE, int64, int64))
def render_rows(scenes, disparities, cameras, out, scratch, first, last):
    """Renders rows of blocks `first` to `last` - 1, counted through the views: row 0 in all views, then row 1, ...

    Args:
        scenes: the fields of `layout.SceneArrays`.
        disparities: (B, S).
        cameras: the fields of `layout.CameraArrays`.
        out: (B, 5, H', W'), filled with colour, depth and coverage.
        scratch: the fields of `layout.Scratch`, this thread's own.
    """
    scenes, cameras = SceneArrays(*scenes), CameraArrays(*cameras)
    states, boxes, progress, samples, offsets = scratch
    scratch = Scratch(borrowed(states), borrowed(boxes), borrowed(progress), borrowed(samples), borrowed(offsets))
    out = borrowed(out)
    views, width, row_blocks = out.shape[0], out.shape[3], len(scratch.states)
    for block_row in range(first, last):
        view, y = block_row % views, block_row // views * BLOCK_HEIGHT
        inputs = _view_inputs(scenes, disparities, cameras, view)
        for x0 in range(0, width, row_blocks * BLOCK_WIDTH):
            count = min(row_blocks, -(-(width - x0) // BLOCK_WIDTH))
            for b in range(count):
                _start_block(inputs, scratch, b, x0 + b * BLOCK_WIDTH, y)
            while True:
                _render_planes(inputs, scratch, count)
                if not _reset_inaccurate(scratch.states, scratch.progress, count):
                    break
            for b in range(count):
                _write(scratch.states, b, out, view, y, x0 + b * BLOCK_WIDTH)
