"""Compiled kernels of the fused plane decoder: all that happens between two convolutions, in one pass over memory.

Arrays are channels-last, (N, H, W, C), in float32 or in bfloat16, which numpy knows as its 16 bits. Each kernel works
on rows `first` to `last` - 1, counted through all planes, and is run by one thread for each band of rows.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba gives them the types of their callers, down from the signatures.

import numpy as np
from numba import float32, types
from numba.extending import overload

from mine.compiled import compiled, exp_minus, inlined


def _wide(value):
    """A stored number as float32."""


def _store(array, index, value):
    """array[index] = value, rounded to the nearest that fits."""


@overload(_wide)
def _wide_of(value):
    if value == types.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(_store)
def _store_in(array, index, value):
    if array.dtype == types.uint16:

        def narrow(array, index, value):
            bits = np.float32(value).view(np.uint32)
            array[index] = np.uint16(
                (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            )

        return narrow

    def plain(array, index, value):
        array[index] = value

    return plain


@inlined
def _elu(x):
    """max(x, 0) + exp(min(x, 0)) - 1."""
    return max(x, float32(0)) + (exp_minus(-min(x, float32(0))) - float32(1))


@inlined
def _pad_row(out, plane, y, height, width, reflect):
    """Completes row y of the middle of out (N, H + 2, W + 2, C): its ends, and the border row that repeats it."""
    line = out[plane, y + 1]
    inner = 1 if reflect else 0
    line[0] = line[1 + inner]
    line[width + 1] = line[width - inner]
    if y == inner:
        out[plane, 0] = line
    if y == height - 1 - inner:
        out[plane, height + 1] = line


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], uint16[:,:,:,::1], int64, int64)",
)
def activate_rows(drawn, out, first, last):
    """ELU of drawn (N, H, W, C), padded by one replicated pixel: out (N, H + 2, W + 2, C)."""
    height, width, channels = drawn.shape[1:]
    for row in range(first, last):
        plane, y = row // height, row % height
        source, line = drawn[plane, y].reshape(-1), out[plane, y + 1, 1 : width + 1].reshape(-1)
        for i in range(width * channels):
            _store(line, i, _elu(_wide(source[i])))
        _pad_row(out, plane, y, height, width, False)


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,::1], float32[:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[:,:,::1], float32[:,::1], uint16[:,:,:,::1], int64, int64)",
)
def interleave_rows(phases, shared, bias, out, first, last):
    """ELU of the upsampled convolution plus what is shared and what is the plane's own, padded by one reflected pixel.

    phases (N, H/2 + 1, W/2 + 1, 4 C): out pixel (2i + a, 2j + b) is phase (a, b) of place (i + a, j + b); shared
    (H, W, C), or (1, 1, C) where nothing is; bias (N, C); out (N, H + 2, W + 2, C).
    """
    height, width, channels = out.shape[1] - 2, out.shape[2] - 2, out.shape[3]
    last_row, last_column = shared.shape[0] - 1, shared.shape[1] - 1
    for row in range(first, last):
        plane, y = row // height, row % height
        a = y % 2
        for x in range(width):
            b = x % 2
            source, start = phases[plane, y // 2 + a, x // 2 + b], (2 * a + b) * channels
            common, own = shared[min(y, last_row), min(x, last_column)], bias[plane]
            pixel = out[plane, y + 1, x + 1]
            for c in range(channels):
                _store(pixel, c, _elu(_wide(source[start + c]) + common[c] + own[c]))
        _pad_row(out, plane, y, height, width, True)


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1], int64, int64)",
    "void(uint16[:,:,:,::1], float32[:,:,:,::1], int64, int64)",
)
def field_rows(drawn, out, first, last):
    """The head's outputs (N, H, W, 4) as colours, 1 / (1 + exp(-x)), and density, |x| + 1e-4: out (N, 4, H, W)."""
    height, width = drawn.shape[1:3]
    for row in range(first, last):
        plane, y = row // height, row % height
        line = drawn[plane, y]
        for c in range(3):
            colour = out[plane, c, y]
            for x in range(width):
                value = _wide(line[x, c])
                large = float32(1) / (float32(1) + exp_minus(abs(value)))
                colour[x] = large if value > 0 else float32(1) - large
        density = out[plane, 3, y]
        for x in range(width):
            density[x] = abs(_wide(line[x, 3])) + float32(1e-4)
