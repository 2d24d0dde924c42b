"""The activation of the decoder's head over a vector of 16 outputs: sigmoid for colours, |x| + 1e-4 for density.

An intrinsic in LLVM IR (see `mine.kernels.simd`), as a loop over four interleaved outputs with two different
activations would not be vectorised.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mine.kernels.simd import (
    BIT,
    FLOAT,
    SHORT,
    exp_minus,
    llvm_intrinsic,
    load,
    magnitude,
    shuffle,
    splat,
    store,
    vector,
    widen_bfloat16,
)

LANES = 16
"""Elements of a vector: a block of two by two pixels of four outputs."""


def _load_float32(builder, address, stored):
    """LANES values at an address, of numba type float32 or uint16 (bfloat16), as float32."""
    if stored == types.uint16:
        return widen_bfloat16(builder, load(builder, address, vector(SHORT, LANES), align=2))
    return load(builder, address, vector(FLOAT, LANES), align=2)


@llvm_intrinsic
def activate_head_block(typing_context, like, outputs, top, bottom):
    """Two by two pixels of the head's outputs as colours, 1 / (1 + exp(-x)), and density, |x| + 1e-4.

    Args:
        like: any value of the outputs' type, float32 or uint16 (bfloat16).
        outputs: address of (2 rows, 2 columns, 4 channels) of that type.
        top, bottom: addresses of (2 columns, 4 channels) float32, filled with the upper and the lower two pixels.
    """

    def generate(context, builder, signature, arguments):
        _, outputs, top, bottom = arguments
        x = _load_float32(builder, outputs, signature.args[0])
        absolute, one = magnitude(builder, x), splat(x.type, 1.0)
        # sigmoid(x) = (1 or exp(-|x|)) / (1 + exp(-|x|)) for x above 0 or not: the exponential never overflows.
        exponential = exp_minus(builder, absolute)
        numerator = builder.select(builder.fcmp_ordered(">", x, splat(x.type, 0.0)), one, exponential)
        colour = builder.fdiv(numerator, builder.fadd(one, exponential))
        density = builder.fadd(absolute, splat(x.type, 1e-4))
        is_colour = ir.Constant(vector(BIT, LANES), [1, 1, 1, 0] * 4)
        pixels = builder.select(is_colour, colour, density)
        for start, address in ((0, top), (LANES // 2, bottom)):
            store(builder, shuffle(builder, pixels, pixels, list(range(start, start + LANES // 2))), address)
        return context.get_dummy_value()

    return types.void(like, *[types.uint64] * 3), generate
