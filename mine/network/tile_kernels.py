"""Convolutions of the plane decoder in tiles, each with all that follows it, a few rows at a time: sums stay in cache.

Maps are channels-last, (N, H, W, P), of bfloat16 as its 16 bits: C numbers a pixel or, in two parts, C numbers and
then what rounding left of them. All pixels of a map are one run to a convolution, whose sums at the end of a row mean
nothing; so it reads some pixels past the map's end, see `tiled.empty_map`. Weights: see `tiled.Tiled`.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"

import numpy as np
from numba import uint64

from mine.compiled import compiled, inlined
from mine.network.lanes import LANES, elu_in_parts, elu_of_sum_in_parts, field_block
from mine.network.tiles import (
    configure,
    multiply_parts,
    multiply_tall,
    multiply_wide,
    release,
    start_tall,
    start_wide,
    store_tall,
    store_wide,
)

SUMS = 1 << 18
"""Float32 sums at a time: 1 MB, which stays in a processor's cache."""

LINE = 64
"""Bytes of a row of a tile."""

SLACK = 64
"""Pixels that a convolution may compute too many."""

KERNEL = "uint16[:,:,::1], int64[:,::1], float32[::1]"
"""Weights (blocks of outputs, steps, bytes / 2), steps (row of the kernel, line of its inputs), bias."""


@inlined
def _band(maps, outputs):
    """Rows at a time."""
    return max(1, SUMS // (maps.shape[2] * outputs))


@inlined
def _sums(maps, outputs):
    """Room for a band's sums, from the start of a line of the cache on."""
    room = np.empty((_band(maps, outputs) * maps.shape[2] + SLACK) * outputs + LANES, np.float32)
    return room[(LINE - room.ctypes.data % LINE) // 4 :]


@inlined
def _copy(source, target):
    """Of numbers in a row; array assignments would take as long to compile as all else."""
    for i in range(len(source)):
        target[i] = source[i]


@compiled(f"void(uint16[:,:,:,::1], int64, int64, {KERNEL}, float32[::1])")
def _convolve(maps, row, rows, weights, steps, bias, sums):
    """Sums, (pixels, outputs), of so many rows of all the maps', from a row on."""
    outputs, pitch = len(bias), maps.shape[2]
    stride, line = uint64(maps.shape[3] * 2), uint64(outputs * 4)
    base = uint64(maps.ctypes.data) + uint64(row * pitch) * stride
    wide, two = outputs % 32 == 0, weights.shape[2] == 4 * 16 * 32
    side, width = uint64(32 if wide else 64), uint64(2 * LINE if wide else LINE)
    offsets = steps[:, 0] * pitch * maps.shape[3] * 2 + steps[:, 1] * LINE
    configure()
    for block in range(len(weights)):
        first, start = uint64(weights[block].ctypes.data), uint64(bias.ctypes.data) + uint64(block) * width
        out, pixels = uint64(sums.ctypes.data) + uint64(block) * width, base
        for _ in range((rows * pitch + side - 1) // side):
            weight = first
            if wide:
                start_wide(start)
                for step in range(len(offsets)):
                    at = pixels + uint64(offsets[step])
                    if two:
                        multiply_parts(at, stride // uint64(2), stride, weight)
                        weight += uint64(64 * LINE)
                    else:
                        multiply_wide(at, stride, weight)
                        weight += uint64(32 * LINE)
                store_wide(out, line)
            else:
                start_tall(start)
                for step in range(len(offsets)):
                    multiply_tall(pixels + uint64(offsets[step]), stride, weight)
                    weight += uint64(16 * LINE)
                store_tall(out, line)
            pixels, out = pixels + side * stride, out + side * line
    release()


@compiled(f"void(uint16[:,:,:,::1], {KERNEL}, float32[:,:,::1], float32[:,::1], uint16[:,:,:,::1], int64)")
def upsample(maps, weights, steps, bias, shared, own, out, parts):
    """As `fused_kernels.interleave`, of the convolution of maps (N, H/2 + 2, W/2 + 2, P)."""
    outputs, height, pair = len(bias), maps.shape[1], own.shape[1]
    channels = pair // 2
    band, sums = _band(maps, outputs), _sums(maps, outputs)
    apart = uint64(channels * 2 if parts == 2 else 0)
    pixel = uint64(channels * 2 * parts)
    for start in range(0, len(maps) * height - 1, band):
        rows = min(band, len(maps) * height - 1 - start)
        _convolve(maps, start, rows, weights, steps, bias, sums)
        for row in range(start, start + rows):
            plane, y = row // height, row % height
            for a in range(2):
                line = 2 * y + a - 1
                if y == height - 1 or line < 0 or line >= len(shared):
                    continue
                source = uint64(sums.ctypes.data) + uint64(((row - start) * maps.shape[2] * 2 + a) * pair * 4)
                common, target = uint64(shared[line].ctypes.data), uint64(out[plane, line + 1].ctypes.data)
                mine = uint64(own[plane].ctypes.data)
                for _ in range(out.shape[2] // 2):
                    for b in range(2):
                        for c in range(0, channels, LANES):
                            at = uint64((b * channels + c) * 4)
                            elu_of_sum_in_parts(source + at, common + at, mine + at, target + uint64(2 * c), apart)
                        target += pixel
                    source, common = source + uint64(8 * pair), common + uint64(4 * pair)
    last = out.shape[2] - 1
    for plane in range(len(out)):
        for y in range(1, out.shape[1] - 1):
            _copy(out[plane, y, 2], out[plane, y, 0])
            _copy(out[plane, y, last - 2], out[plane, y, last])
        for x in range(last + 1):
            _copy(out[plane, 2, x], out[plane, 0, x])
            _copy(out[plane, out.shape[1] - 3, x], out[plane, out.shape[1] - 1, x])


@compiled(f"void(uint16[:,:,:,::1], {KERNEL}, uint16[:,:,:,::1], int64)")
def draw(maps, weights, steps, bias, out, parts):
    """ELU of the 3x3 convolution of maps (N, H + 2, W + 2, P), padded by a replicated pixel: out has their size."""
    outputs, height, width = len(bias), maps.shape[1], maps.shape[2]
    band, sums = _band(maps, outputs), _sums(maps, outputs)
    apart = uint64(outputs * 2 if parts == 2 else 0)
    for start in range(0, len(maps) * height - 2, band):
        rows = min(band, len(maps) * height - 2 - start)
        _convolve(maps, start, rows, weights, steps, bias, sums)
        for row in range(start, start + rows):
            plane, y = row // height, row % height
            if y >= height - 2:
                continue
            source = uint64(sums.ctypes.data) + uint64((row - start) * width * outputs * 4)
            target = uint64(out[plane, y + 1, 1].ctypes.data)
            for _ in range(width - 2):
                for c in range(0, outputs, LANES):
                    elu_in_parts(source + uint64(4 * c), target + uint64(2 * c), apart)
                source, target = source + uint64(4 * outputs), target + uint64(2 * outputs * parts)
            _copy(out[plane, y + 1, 1], out[plane, y + 1, 0])
            _copy(out[plane, y + 1, width - 2], out[plane, y + 1, width - 1])
    for plane in range(len(out)):
        for x in range(width):
            _copy(out[plane, 1, x], out[plane, 0, x])
            _copy(out[plane, height - 2, x], out[plane, height - 1, x])


@compiled(f"void(uint16[:,:,:,::1], {KERNEL}, uint16[:,:,:,::1])")
def draw_blocks(maps, weights, steps, bias, out):
    """As `fused_kernels.activate_blocks`, of the 2x2 convolution of maps: out (N, H/2 + 1, W/2 + 1, 4 C), one part."""
    outputs, height, pitch = len(bias), maps.shape[1], maps.shape[2]
    band, sums = _band(maps, outputs), _sums(maps, outputs)
    half, quarter, last = outputs // 2, outputs // 4, out.shape[2] - 1
    for start in range(0, len(maps) * height - 1, band):
        rows = min(band, len(maps) * height - 1 - start)
        _convolve(maps, start, rows, weights, steps, bias, sums)
        for row in range(start, start + rows):
            plane, y = row // height, row % height
            if y == height - 1:
                continue
            source = uint64(sums.ctypes.data) + uint64((row - start) * pitch * outputs * 4)
            target = uint64(out[plane, y].ctypes.data)
            for c in range(0, out.shape[2] * outputs, LANES):
                elu_in_parts(source + uint64(4 * c), target + uint64(2 * c), uint64(0))
            for a in (0, half):
                b = a + quarter
                _copy(out[plane, y, 1, a:b], out[plane, y, 0, a:b])
                _copy(out[plane, y, last - 1, b : b + quarter], out[plane, y, last, b : b + quarter])
    for plane in range(len(out)):
        for x in range(last + 1):
            _copy(out[plane, 1, x, :half], out[plane, 0, x, :half])
            _copy(out[plane, height - 3, x, half:], out[plane, height - 2, x, half:])


@compiled(f"void(uint16[:,:,:,::1], {KERNEL}, float32[:,:,:,::1])")
def draw_fields(maps, weights, steps, bias, out):
    """As `fused_kernels.fields`, of the head's convolution of blocks."""
    outputs, height, pitch = len(bias), maps.shape[1], maps.shape[2]
    band, sums, zero = _band(maps, outputs), _sums(maps, outputs), np.float32(0)
    for start in range(0, len(maps) * height - 1, band):
        rows = min(band, len(maps) * height - 1 - start)
        _convolve(maps, start, rows, weights, steps, bias, sums)
        for row in range(start, start + rows):
            plane, y = row // height, row % height
            if y == height - 1:
                continue
            source = uint64(sums.ctypes.data) + uint64((row - start) * pitch * outputs * 4)
            top, bottom = uint64(out[plane, 2 * y].ctypes.data), uint64(out[plane, 2 * y + 1].ctypes.data)
            for _ in range(pitch - 1):
                field_block(zero, source, top, bottom)
                source, top, bottom = source + uint64(LINE), top + uint64(32), bottom + uint64(32)
