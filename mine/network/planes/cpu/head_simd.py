"""Vectors of 16 numbers, which loops do not become where they are wanted: exponentials, and what a head draws.

They are written in LLVM's language, for any processor, see `mine.kernels.simd`; memory is given by addresses.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mine.kernels.simd import BIT, FLOAT, INT, in_llvm

LANES = 16
"""Elements of a vector: a block of two by two pixels of four outputs."""

SHORT = ir.IntType(16)
POWERS = (0.0013202981790527701, 0.009674952365458012, 0.055510472506284714, 0.24022166430950165, 0.6931465864181519)
"""Of f^5, f^4, ... f, in 1 + ... = 2^f to 7e-8 for |f| <= 1/2: the least largest relative error."""


def _lanes(element: Any) -> Any:
    return ir.VectorType(element, LANES)


def _all(kind: Any, value: float) -> Any:
    """A constant of a scalar's or a vector's type."""
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def _mad(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=["contract"]), c, flags=["contract"])


def _exp_minus(builder, x):
    """exp(-x) of x >= 0, float32 or a vector of them, to 3e-7."""
    kind = x.type
    bits = _lanes(INT) if isinstance(kind, ir.VectorType) else INT
    most = _all(kind, 87.0)
    x = builder.select(builder.fcmp_ordered("<", x, most), x, most)
    whole = builder.fptosi(_mad(builder, x, _all(kind, 1.4426950408889634), _all(kind, 0.5)), bits)
    f = _mad(builder, x, _all(kind, -1.4426950408889634), builder.sitofp(whole, kind))
    p = _all(kind, POWERS[0])
    for power in (*POWERS[1:], 1.0):
        p = _mad(builder, p, f, _all(kind, power))
    exponent = builder.shl(whole, _all(bits, 23))
    return builder.bitcast(builder.sub(builder.bitcast(p, bits), exponent), kind)


def _magnitude(builder, x):
    bits = _lanes(INT)
    return builder.bitcast(builder.and_(builder.bitcast(x, bits), _all(bits, 0x7FFFFFFF)), x.type)


def _load(builder, address, stored):
    """LANES numbers at an address, float32 or bfloat16 (as uint16), as float32."""
    element = SHORT if stored == types.uint16 else FLOAT
    values = builder.load(builder.inttoptr(address, _lanes(element).as_pointer()), align=2)
    return values if element is FLOAT else _widened(builder, values)


def _widened(builder, values):
    return builder.bitcast(builder.shl(builder.zext(values, _lanes(INT)), _all(_lanes(INT), 16)), _lanes(FLOAT))


@in_llvm
def field_block(typing_context, like, drawn, top, bottom):
    """Two by two pixels of what a head drew as colours, 1 / (1 + exp(-x)), and density, |x| + 1e-4.

    drawn: address of (row, column, output), of like's type, float32 or bfloat16 (as uint16); top, bottom: where a row's
    (column, output) are written, in float32.
    """

    def generate(context, builder, signature, arguments):
        _, drawn, top, bottom = arguments
        x = _load(builder, drawn, signature.args[0])
        size, one = _magnitude(builder, x), _all(x.type, 1.0)
        less = _exp_minus(builder, size)
        above = builder.select(builder.fcmp_ordered(">", x, _all(x.type, 0.0)), one, less)
        colour = builder.fdiv(above, builder.fadd(one, less))
        density = builder.fadd(size, _all(x.type, 1e-4))
        is_colour = ir.Constant(_lanes(BIT), [1, 1, 1, 0] * 4)
        out = builder.select(is_colour, colour, density)
        for start, address in ((0, top), (LANES // 2, bottom)):
            lanes = ir.Constant(ir.VectorType(INT, LANES // 2), list(range(start, start + LANES // 2)))
            half = builder.shuffle_vector(out, out, lanes)
            builder.store(half, builder.inttoptr(address, half.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(like, *[types.uint64] * 3), generate
