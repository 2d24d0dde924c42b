"""Compiled kernels of `recompute.compiled`, one pass over memory each.

Feature maps are channels-last arrays, (N, H, W, C), float32 or bfloat16 (as uint16, see `mine.kernels.arrays`). Values
of channels come repeated W times, (W C,), so that one loop covers a whole row. Each kernel works on rows `first` to
`last` - 1, counted through all planes; `mine.kernels.threads.run_in_bands` gives each thread bands of rows.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba infers the types from the signatures.

import numpy as np
from numba import float32

from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import elu, exp_minus, store, to_float32
from mine.kernels.threads import BAND


@inlined
def _flush_sums(row, sums):
    """Adds a row's float32 sums (W C,) to those of its channels (C,), in float64, and resets them."""
    for i in range(len(row)):
        sums[i % len(sums)] += row[i]
        row[i] = 0


@compiled(
    "void(float32[:,:,:,::1], float32[::1], float64[:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[::1], float64[:,:,::1], int64, int64)",
)
def moment_rows(z, pilot, sums, first, last):
    """Sums of z - pilot and of (z - pilot)² over each channel.

    Args:
        z: (N, H, W, C).
        pilot: (W C,), near the mean of each channel.
        sums: (bands, 2, C), zero; this call's band is filled.
    """
    height, width, channels = z.shape[1:]
    total, squares = np.zeros(width * channels, np.float32), np.zeros(width * channels, np.float32)
    for row in range(first, last):
        source = z[row // height, row % height].reshape(-1)
        for i in range(width * channels):
            value = to_float32(source[i]) - pilot[i]
            total[i] += value
            squares[i] += value * value
        if row % height == height - 1 or row == last - 1:
            _flush_sums(total, sums[first // BAND, 0])
            _flush_sums(squares, sums[first // BAND, 1])


@inlined
def _pad_row(out, plane, y, height, width, reflect):
    """Pads row y of out (N, H + 2, W + 2, C): its two end pixels, and the border row that is a copy of it, if any."""
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
def norm_elu_pad_rows(z, scale, shift, reflect, out, first, last):
    """ELU(scale z + shift), padded by one pixel.

    Args:
        z: (N, H, W, C).
        scale, shift: (W C,).
        reflect: whether padding reflects; otherwise it replicates.
        out: (N, H + 2, W + 2, C), filled.
    """
    height, width, channels = z.shape[1:]
    for row in range(first, last):
        plane, y = row // height, row % height
        source, line = z[plane, y].reshape(-1), out[plane, y + 1, 1 : width + 1].reshape(-1)
        for i in range(width * channels):
            store(line, i, elu(to_float32(source[i]) * scale[i] + shift[i]))
        _pad_row(out, plane, y, height, width, reflect)


@inlined
def _add_row(target, added):
    for i in range(len(target)):
        store(target, i, to_float32(target[i]) + to_float32(added[i]))


@inlined
def _pad_row_backward(padded, plane, y, height, width, reflect):
    """Adds the gradients of the border pixels to row y of `padded` (N, H + 2, W + 2, C), which they are copies of."""
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
def norm_elu_pad_backward_rows(z, padded, affine, reflect, out, sums, first, last):
    """The gradient g of scale z + shift from that of the result of `norm_elu_pad_rows`; ELU'(x) = exp(min(x, 0)).

    Args:
        z: (N, H, W, C).
        padded: (N, H + 2, W + 2, C) gradient of the result; overwritten.
        affine: (3, W C), scale, shift and mean.
        reflect: whether padding reflects; otherwise it replicates.
        out: (N, H, W, C), filled with g.
        sums: (bands, 2, C), zero; this call's band is filled with the sums of g and of g (z - mean) over each channel.
    """
    height, width, channels = z.shape[1:]
    scale, shift, mean = affine[0], affine[1], affine[2]
    total, with_z = np.zeros(width * channels, np.float32), np.zeros(width * channels, np.float32)
    for row in range(first, last):
        plane, y = row // height, row % height
        _pad_row_backward(padded, plane, y, height, width, reflect)
        gradient, line = padded[plane, y + 1, 1 : width + 1].reshape(-1), out[plane, y].reshape(-1)
        source = z[plane, y].reshape(-1)
        for i in range(width * channels):
            value = to_float32(source[i])
            slope = exp_minus(-min(value * scale[i] + shift[i], float32(0)))
            g = to_float32(gradient[i]) * slope
            store(line, i, g)
            total[i] += g
            with_z[i] += g * (value - mean[i])
        if y == height - 1 or row == last - 1:
            _flush_sums(total, sums[first // BAND, 0])
            _flush_sums(with_z, sums[first // BAND, 1])


@compiled(
    "void(float32[:,:,:,::1], float32[:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[:,::1], uint16[:,:,:,::1], int64, int64)",
)
def combine_rows(z, coefficients, gradient, first, last):
    """gradient = a gradient + b z + c, in place.

    Args:
        z, gradient: (N, H, W, C).
        coefficients: (3, W C), a, b and c.
    """
    height, width, channels = z.shape[1:]
    a, b, c = coefficients[0], coefficients[1], coefficients[2]
    for row in range(first, last):
        source, line = z[row // height, row % height].reshape(-1), gradient[row // height, row % height].reshape(-1)
        for i in range(width * channels):
            store(line, i, a[i] * to_float32(line[i]) + b[i] * to_float32(source[i]) + c[i])


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,::1], float32[:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], uint16[:,:,::1], uint16[:,::1], uint16[:,:,:,::1], int64, int64)",
)
def interleave_rows(phases, image_term, plane_bias, out, first, last):
    """`subpixel.interleave`, with both terms.

    Args:
        phases: (N, H/2 + 1, W/2 + 1, 4 C).
        image_term: (H, W, C) or (1, 1, C), added to every plane.
        plane_bias: (N, C), added all over a plane.
        out: (N, H, W, C), filled.
    """
    height, width, channels = out.shape[1:]
    last_row, last_column = image_term.shape[0] - 1, image_term.shape[1] - 1
    for row in range(first, last):
        plane, y = row // height, row % height
        a = y % 2
        for x in range(width):
            b = x % 2
            source, start = phases[plane, y // 2 + a, x // 2 + b], (2 * a + b) * channels
            term, bias, pixel = image_term[min(y, last_row), min(x, last_column)], plane_bias[plane], out[plane, y, x]
            for c in range(channels):
                store(pixel, c, to_float32(source[start + c]) + to_float32(term[c]) + to_float32(bias[c]))


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], uint16[:,:,:,::1], int64, int64)",
)
def separate_rows(gradient, phases, first, last):
    """`subpixel.separate`, by rows of the phases.

    Args:
        gradient: (N, H, W, C).
        phases: (N, H/2 + 1, W/2 + 1, 4 C), filled.
    """
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
