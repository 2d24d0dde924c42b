"""Scalar functions of the kernels: exp, ELU and bfloat16 conversion, written so that LLVM vectorises loops over them.

`simd.exp_minus` is exp again, for kernels that hold a whole vector: LLVM IR cannot be built from a numba function.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba infers the types from their callers.

import numpy as np
from numba import float32, types
from numba.extending import overload

from mine.kernels.jit import inlined


@inlined
def exp_minus(x):
    """exp(-x) of a float32 x ≥ 0, at least 2^-126; relative error 2e-7 + 1.2e-7 x, the latter from rounding x / ln 2.

    exp(-x) = 2^n e^f with n = round(-x / ln 2): e^f by its Taylor polynomial of degree 6, 2^n by the exponent's bits.
    A call of the C library's exp would keep the loop from being vectorised.
    """
    y = max(x * float32(-1.4426950408889634), float32(-126))
    n = np.floor(y + float32(0.5))
    f = (y - n) * float32(0.6931471805599453)
    p = float32(1 / 720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        p = p * f + float32(coefficient)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def elu(x):
    """The exponential linear unit max(x, 0) + exp(min(x, 0)) - 1 of a float32."""
    return max(x, float32(0)) + (exp_minus(-min(x, float32(0))) - float32(1))


def to_float32(value):
    """A stored value as float32: float32 as it is, bfloat16 (as uint16, see `mine.kernels.arrays`) widened."""


def store(array, index, value):
    """array[index] = value, a float32; rounded to the nearest, ties to even, if the array is bfloat16 (as uint16)."""


@overload(to_float32)
def _to_float32(value):
    if value == types.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(store)
def _store(array, index, value):
    if array.dtype == types.uint16:

        def store_bfloat16(array, index, value):
            bits = np.float32(value).view(np.uint32)
            array[index] = np.uint16(
                (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            )

        return store_bfloat16

    def store_float32(array, index, value):
        array[index] = value

    return store_float32
