"""Compiled kernels of the fused plane decoder: all that happens between two convolutions, in one pass over memory.

Arrays are channels-last, (N, H, W, C), in float32 or in bfloat16, which numpy knows as its 16 bits. A kernel runs on
the thread that calls it.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba gives them the types of their callers, down from the signatures.

import numpy as np
from numba import float32, types, uint64
from numba.extending import overload

from mine.kernels.jit import compiled, exp_minus, inlined
from mine.network.planes.cpu.head_simd import LANES, field_block

PIXEL = 16
"""Bytes of a pixel of a plane: colour and density, in float32."""


def wide(value):
    """A stored number as float32."""


def store(array, index, value):
    """array[index] = value, rounded to the nearest that fits."""


@overload(wide)
def _wide_of(value):
    if value == types.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(store)
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
def elu(x):
    """max(x, 0) + exp(min(x, 0)) - 1."""
    return max(x, float32(0)) + (exp_minus(-min(x, float32(0))) - float32(1))


@compiled("void(float32[:,:,:,::1], float32[:,:,:,::1])", "void(uint16[:,:,:,::1], uint16[:,:,:,::1])")
def activate(drawn, out):
    """ELU of drawn (N, H, W, C), padded by one replicated pixel: out (N, H + 2, W + 2, C)."""
    count, height, width, channels = drawn.shape
    for plane in range(count):
        for y in range(height):
            source, line = drawn[plane, y].reshape(-1), out[plane, y + 1, 1 : width + 1].reshape(-1)
            for i in range(width * channels):
                store(line, i, elu(wide(source[i])))
            out[plane, y + 1, 0] = out[plane, y + 1, 1]
            out[plane, y + 1, width + 1] = out[plane, y + 1, width]
        out[plane, 0] = out[plane, 1]
        out[plane, height + 1] = out[plane, height]


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,::1], float32[:,::1], float32[:,:,:,::1])",
    "void(uint16[:,:,:,::1], float32[:,:,::1], float32[:,::1], uint16[:,:,:,::1])",
)
def interleave(blocks, shared, bias, out):
    """ELU of an upsampled convolution plus what is shared and what is a plane's own, padded by one reflected pixel.

    blocks (N, H/2 + 1, W/2 + 1, 4 C): two rows of two pixels each of the padded result, see `fused.block_kernel`;
    shared (H, W/2 + 1, 2 C), padded by a column on either side that counts for nothing; bias (N, 2 C), repeated for two
    pixels; out (N, H + 2, W + 2, C).
    """
    count, rows, columns, pair = blocks.shape[0], blocks.shape[1], blocks.shape[2], bias.shape[1]
    height = 2 * rows - 2
    for plane in range(count):
        own = bias[plane]
        for y in range(height):
            row, a = (y + 1) // 2, (y + 1) % 2
            line = out[plane, y + 1].reshape(columns, pair)
            for i in range(columns):
                source, common, target = blocks[plane, row, i, a * pair : (a + 1) * pair], shared[y, i], line[i]
                for c in range(pair):
                    store(target, c, elu(wide(source[c]) + common[c] + own[c]))
            out[plane, y + 1, 0] = out[plane, y + 1, 2]
            out[plane, y + 1, 2 * columns - 1] = out[plane, y + 1, 2 * columns - 3]
        out[plane, 0] = out[plane, 2]
        out[plane, height + 1] = out[plane, height - 1]


@compiled("void(float32[:,:,:,::1])", "void(uint16[:,:,:,::1])")
def activate_blocks(blocks):
    """ELU, in place, of blocks (N, H/2 + 1, W/2 + 1, 4 C) of two by two pixels whose outermost pixels are padding.

    A reflected pixel is the one at the same place in the neighbouring block.
    """
    count, rows, columns, channels = blocks.shape
    half, quarter = channels // 2, channels // 4
    for plane in range(count):
        for row in range(rows):
            line = blocks[plane, row].reshape(-1)
            for i in range(columns * channels):
                store(line, i, elu(wide(line[i])))
            for a in (0, half):
                blocks[plane, row, 0, a : a + quarter] = blocks[plane, row, 1, a : a + quarter]
                b = a + quarter
                blocks[plane, row, columns - 1, b : b + quarter] = blocks[plane, row, columns - 2, b : b + quarter]
        blocks[plane, 0, :, :half] = blocks[plane, 1, :, :half]
        blocks[plane, rows - 1, :, half:] = blocks[plane, rows - 2, :, half:]


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,:,::1])",
    "void(uint16[:,:,:,::1], float32[:,:,:,::1])",
)
def fields(drawn, out):
    """The head's outputs as colours, 1 / (1 + exp(-x)), and density, |x| + 1e-4: out (N, H, W, 4).

    drawn (N, H/2, W/2, 16): blocks of two rows, two columns, four outputs.
    """
    count, rows, columns = drawn.shape[:3]
    zero, size = drawn.dtype.type(0), drawn.itemsize
    source, top = uint64(drawn.ctypes.data), uint64(out.ctypes.data)
    for _ in range(count * rows):
        bottom = top + uint64(out.shape[2] * PIXEL)
        for _ in range(columns):
            field_block(zero, source, top, bottom)
            source, top, bottom = source + uint64(LANES * size), top + uint64(2 * PIXEL), bottom + uint64(2 * PIXEL)
        top = bottom
