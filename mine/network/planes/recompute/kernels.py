"""Compiled kernels of `passes_cpu`, one pass over memory each.

Arrays are channels-last, (N, H, W, C), in float32 or in bfloat16, which numpy knows as its 16 bits; what belongs to
channels is repeated W times, a row, so that whole rows are one loop. Each kernel works on rows `first` to `last` - 1,
counted through all planes, and is run by one thread for each band of rows.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba gives them the types of their callers, down from the signatures.

import numpy as np
from numba import float32

from mine.kernels.jit import compiled, exp_minus, inlined
from mine.kernels.threads import BAND
from mine.network.planes.cpu.kernels import elu, store, wide


@inlined
def _flush(row, sums):
    """Moves a row's sums (W C) to those of its channels (C), which are float64."""
    for i in range(len(row)):
        sums[i % len(sums)] += row[i]
        row[i] = 0


@compiled(
    "void(float32[:,:,:,::1], float32[::1], float64[:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[::1], float64[:,:,::1], int64, int64)",
)
def moment_rows(z, pilot, sums, first, last):
    """Sums of z - pilot and of its square for each channel: into sums (bands, 2, C)."""
    height, width, channels = z.shape[1:]
    total, squares = np.zeros(width * channels, np.float32), np.zeros(width * channels, np.float32)
    for row in range(first, last):
        source = z[row // height, row % height].reshape(-1)
        for i in range(width * channels):
            value = wide(source[i]) - pilot[i]
            total[i] += value
            squares[i] += value * value
        if row % height == height - 1 or row == last - 1:
            _flush(total, sums[first // BAND, 0])
            _flush(squares, sums[first // BAND, 1])


@inlined
def _pad_row(out, plane, y, height, width, reflect):
    """Completes row y of the middle of out (N, H + 2, W + 2, C): its ends, and the border row that repeats it."""
    line, inner = out[plane, y + 1], 1 if reflect else 0
    line[0] = line[1 + inner]
    line[width + 1] = line[width - inner]
    if y == inner:
        out[plane, 0] = line
    if y == height - 1 - inner:
        out[plane, height + 1] = line


@compiled(
    "void(float32[:,:,:,::1], float32[::1], float32[::1], boolean, float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[::1], float32[::1], boolean, uint16[:,:,:,::1], int64, int64)",
)
def padded_rows(z, scale, shift, reflect, out, first, last):
    """ELU(scale z + shift), padded by one pixel: z (N, H, W, C), out (N, H + 2, W + 2, C)."""
    height, width, channels = z.shape[1:]
    for row in range(first, last):
        plane, y = row // height, row % height
        source, line = z[plane, y].reshape(-1), out[plane, y + 1, 1 : width + 1].reshape(-1)
        for i in range(width * channels):
            store(line, i, elu(wide(source[i]) * scale[i] + shift[i]))
        _pad_row(out, plane, y, height, width, reflect)


@inlined
def _add_row(target, added):
    for i in range(len(target)):
        store(target, i, wide(target[i]) + wide(added[i]))


@inlined
def _unpad_row(padded, plane, y, height, width, reflect):
    """Adds to row y of the middle of a gradient (N, H + 2, W + 2, C) those of the border pixels that repeat it."""
    line, inner = padded[plane, y + 1], 1 if reflect else 0
    if y == inner:
        _add_row(line.reshape(-1), padded[plane, 0].reshape(-1))
    if y == height - 1 - inner:
        _add_row(line.reshape(-1), padded[plane, height + 1].reshape(-1))
    _add_row(line[1 + inner], line[0])
    _add_row(line[width - inner], line[width + 1])


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1], float32[:,::1], boolean, float32[:,:,:,::1], float64[:,:,::1], "
    "int64, int64)",
    "void(uint16[:,:,:,::1], uint16[:,:,:,::1], float32[:,::1], boolean, uint16[:,:,:,::1], float64[:,:,::1], "
    "int64, int64)",
)
def backward_rows(z, padded, rows, reflect, out, sums, first, last):
    """Gradient g of scale z + shift (out, as z) from that of what `padded_rows` made (padded, which is spoilt).

    rows: scale, shift and mean; sums (bands, 2, C) get those of g and of g (z - mean) for each channel.
    """
    height, width, channels = z.shape[1:]
    scale, shift, mean = rows[0], rows[1], rows[2]
    total, with_z = np.zeros(width * channels, np.float32), np.zeros(width * channels, np.float32)
    for row in range(first, last):
        plane, y = row // height, row % height
        _unpad_row(padded, plane, y, height, width, reflect)
        gradient, line = padded[plane, y + 1, 1 : width + 1].reshape(-1), out[plane, y].reshape(-1)
        source = z[plane, y].reshape(-1)
        for i in range(width * channels):
            value = wide(source[i])
            slope = exp_minus(-min(value * scale[i] + shift[i], float32(0)))
            change = wide(gradient[i]) * slope
            store(line, i, change)
            total[i] += change
            with_z[i] += change * (value - mean[i])
        if y == height - 1 or row == last - 1:
            _flush(total, sums[first // BAND, 0])
            _flush(with_z, sums[first // BAND, 1])


@compiled(
    "void(float32[:,:,:,::1], float32[:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[:,::1], uint16[:,:,:,::1], int64, int64)",
)
def combine_rows(z, rows, gradient, first, last):
    """gradient = a gradient + b z + c, for rows a, b, c."""
    height, width, channels = z.shape[1:]
    a, b, c = rows[0], rows[1], rows[2]
    for row in range(first, last):
        source, line = z[row // height, row % height].reshape(-1), gradient[row // height, row % height].reshape(-1)
        for i in range(width * channels):
            store(line, i, a[i] * wide(line[i]) + b[i] * wide(source[i]) + c[i])


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,::1], float32[:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], uint16[:,:,::1], uint16[:,::1], uint16[:,:,:,::1], int64, int64)",
)
def interleave_rows(phases, shared, own, out, first, last):
    """`subpixel.interleave`: phases (N, H/2 + 1, W/2 + 1, 4 C), shared (H, W, C) or (1, 1, C), own (N, C)."""
    height, width, channels = out.shape[1:]
    last_row, last_column = shared.shape[0] - 1, shared.shape[1] - 1
    for row in range(first, last):
        plane, y = row // height, row % height
        a = y % 2
        for x in range(width):
            b = x % 2
            source, start = phases[plane, y // 2 + a, x // 2 + b], (2 * a + b) * channels
            common, constant, pixel = shared[min(y, last_row), min(x, last_column)], own[plane], out[plane, y, x]
            for c in range(channels):
                store(pixel, c, wide(source[start + c]) + wide(common[c]) + wide(constant[c]))


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], uint16[:,:,:,::1], int64, int64)",
)
def separate_rows(gradient, phases, first, last):
    """`subpixel.separate`: gradient (N, H, W, C) to phases (N, H/2 + 1, W/2 + 1, 4 C), by rows of phases."""
    height, width, channels = gradient.shape[1:]
    rows, columns = phases.shape[1:3]
    for row in range(first, last):
        plane, i = row // rows, row % rows
        for j in range(columns):
            target = phases[plane, i, j]
            for phase in range(4):
                y, x, start = 2 * i - phase // 2, 2 * j - phase % 2, phase * channels
                if 0 <= y < height and 0 <= x < width:
                    source = gradient[plane, y, x]
                    for c in range(channels):
                        target[start + c] = source[c]
                else:
                    for c in range(channels):
                        target[start + c] = 0
