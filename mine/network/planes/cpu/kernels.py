"""Compiled kernels of the fused plane decoder: everything between two convolutions, in one pass over memory.

A level of the decoder upsamples by sub-pixel convolution (see `mine.network.planes.subpixel`), whose outputs are blocks
of two by two pixels. The kernels interleave the blocks, add the bias terms, apply ELU and pad for the next convolution.

Feature maps are channels-last arrays, (N, H, W, C), float32 or bfloat16 (as uint16, see `mine.kernels.arrays`). A
kernel runs on the thread that calls it. Their composition equals `reference.reference_decoder`: tests/network/planes/
test_decoder.py compares them.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba infers the types from the signatures.

from numba import uint64

from mine.kernels.jit import compiled
from mine.kernels.numerics import elu, store, to_float32
from mine.network.planes.cpu.head_simd import LANES, activate_head_block

PIXEL_BYTES = 16
"""Bytes of a pixel of a plane: colour and density, in float32."""


@compiled("void(float32[:,:,:,::1], float32[:,:,:,::1])", "void(uint16[:,:,:,::1], uint16[:,:,:,::1])")
def elu_pad(features, out):
    """ELU, then replication padding by one pixel: features (N, H, W, C) to out (N, H + 2, W + 2, C)."""
    count, height, width, channels = features.shape
    for plane in range(count):
        for y in range(height):
            source, target = features[plane, y].reshape(-1), out[plane, y + 1, 1 : width + 1].reshape(-1)
            for i in range(width * channels):
                store(target, i, elu(to_float32(source[i])))
            out[plane, y + 1, 0] = out[plane, y + 1, 1]
            out[plane, y + 1, width + 1] = out[plane, y + 1, width]
        out[plane, 0] = out[plane, 1]
        out[plane, height + 1] = out[plane, height]


@compiled(
    "void(float32[:,:,:,::1], float32[:,:,::1], float32[:,::1], float32[:,:,:,::1])",
    "void(uint16[:,:,:,::1], float32[:,:,::1], float32[:,::1], uint16[:,:,:,::1])",
)
def interleave_elu_pad(blocks, image_term, plane_bias, out):
    """Sub-pixel interleaving, ELU of the sum of the three terms, then reflection padding by one pixel.

    Args:
        blocks: (N, H/2 + 1, W/2 + 1, 4 C) convolution of the upsampled features; the 4 C outputs are two rows of two
            pixels each of the padded result, see `fused.block_kernel`.
        image_term: (H, W/2 + 1, 2 C) convolution of the image's features, the same for every plane, with a column of
            padding on either side whose value is overwritten.
        plane_bias: (N, 2 C) convolution of the disparity embedding, constant over a plane, repeated for two pixels.
        out: (N, H + 2, W + 2, C), filled.
    """
    count, rows, columns, pair = blocks.shape[0], blocks.shape[1], blocks.shape[2], plane_bias.shape[1]
    height = 2 * rows - 2
    for plane in range(count):
        bias = plane_bias[plane]
        for y in range(height):
            row, a = (y + 1) // 2, (y + 1) % 2
            line = out[plane, y + 1].reshape(columns, pair)
            for i in range(columns):
                source, term, target = blocks[plane, row, i, a * pair : (a + 1) * pair], image_term[y, i], line[i]
                for c in range(pair):
                    store(target, c, elu(to_float32(source[c]) + term[c] + bias[c]))
            out[plane, y + 1, 0] = out[plane, y + 1, 2]
            out[plane, y + 1, 2 * columns - 1] = out[plane, y + 1, 2 * columns - 3]
        out[plane, 0] = out[plane, 2]
        out[plane, height + 1] = out[plane, height - 1]


@compiled("void(float32[:,:,:,::1])", "void(uint16[:,:,:,::1])")
def elu_pad_blocks(blocks):
    """ELU, then reflection padding by one pixel, in place, of feature maps stored as blocks of two by two pixels.

    Args:
        blocks: (N, H/2 + 1, W/2 + 1, 4 C), blocks of the padded map: its outermost pixels are overwritten. The pixel
            that padding reflects is the one at the same position in the neighbouring block.
    """
    count, rows, columns, channels = blocks.shape
    half, quarter = channels // 2, channels // 4
    for plane in range(count):
        for row in range(rows):
            line = blocks[plane, row].reshape(-1)
            for i in range(columns * channels):
                store(line, i, elu(to_float32(line[i])))
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
def activate_head(outputs, planes):
    """The head's activation: colours 1 / (1 + exp(-x)) and density |x| + 1e-4.

    Args:
        outputs: (N, H/2, W/2, 16), blocks of two rows, two columns and four channels.
        planes: (N, H, W, 4), filled.
    """
    count, rows, columns = outputs.shape[:3]
    like, size = outputs.dtype.type(0), outputs.itemsize
    source, top = uint64(outputs.ctypes.data), uint64(planes.ctypes.data)
    for _ in range(count * rows):
        bottom = top + uint64(planes.shape[2] * PIXEL_BYTES)
        for _ in range(columns):
            activate_head_block(like, source, top, bottom)
            source = source + uint64(LANES * size)
            top, bottom = top + uint64(2 * PIXEL_BYTES), bottom + uint64(2 * PIXEL_BYTES)
        top = bottom
