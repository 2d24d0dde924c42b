"""SIMD and cache instructions that loops do not become by themselves, as numba intrinsics written in LLVM IR.

LLVM compiles them for any CPU: where there is no such instruction, it emits several that do the same. Memory is given
by addresses (uint64) rather than arrays, since numba counts the references of an array at each call.

The first part builds IR (`builder` is llvmlite's); the second are intrinsics that kernels call. Tests compare the
intrinsics with numpy.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

llvm_intrinsic: Callable[..., Any] = intrinsic
"""Decorator of a function of types, which returns a signature and an IR generator: it becomes callable from kernels."""

BIT, SHORT, INT, LONG, FLOAT = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()

EXP2_POLYNOMIAL = (
    0.0013202981790527701,
    0.009674952365458012,
    0.055510472506284714,
    0.24022166430950165,
    0.6931465864181519,
)
"""Coefficients of f^5, f^4, ... f in 1 + ... = 2^f: minimax for |f| ≤ 1/2, relative error 7e-8."""


def vector(element: Any, lanes: int) -> Any:
    """The type of a vector of `lanes` elements."""
    return ir.VectorType(element, lanes)


def splat(kind: Any, value: float) -> Any:
    """The constant vector of type `kind` whose elements are all `value`."""
    return ir.Constant(kind, [value] * kind.count)


def load(builder, address, kind, align=4):
    """A vector of type `kind` from an address."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def store(builder, values, address):
    """Writes a vector to an address."""
    builder.store(values, builder.inttoptr(address, values.type.as_pointer()), align=4)


def shuffle(builder, a, b, lanes):
    """The vector of the elements `lanes` of a and b: 0 is the first of a, a's length the first of b."""
    return builder.shuffle_vector(a, b, ir.Constant(vector(INT, len(lanes)), lanes))


def multiply_add(builder, a, b, c):
    """a b + c, fused where the CPU can."""
    return builder.fadd(builder.fmul(a, b, flags=["contract"]), c, flags=["contract"])


def lerp(builder, a, b, weight):
    """a + weight (b - a)."""
    return multiply_add(builder, builder.fsub(b, a), weight, a)


def magnitude(builder, x):
    """|x| of a float32 vector."""
    bits = vector(INT, x.type.count)
    return builder.bitcast(builder.and_(builder.bitcast(x, bits), splat(bits, 0x7FFFFFFF)), x.type)


def widen_bfloat16(builder, values):
    """A float32 vector from one of bfloat16, given as 16-bit integers."""
    bits = vector(INT, values.type.count)
    shifted = builder.shl(builder.zext(values, bits), splat(bits, 16))
    return builder.bitcast(shifted, vector(FLOAT, values.type.count))


def exp_minus(builder, x):
    """exp(-x) of a float32 vector x ≥ 0 (clamped to 87); relative error 3e-7 while x is small."""
    kind, bits, largest = x.type, vector(INT, x.type.count), splat(x.type, 87.0)
    x = builder.select(builder.fcmp_ordered("<", x, largest), x, largest)
    n = builder.fptosi(multiply_add(builder, x, splat(kind, 1.4426950408889634), splat(kind, 0.5)), bits)
    f = multiply_add(builder, x, splat(kind, -1.4426950408889634), builder.sitofp(n, kind))
    p = splat(kind, EXP2_POLYNOMIAL[0])
    for coefficient in (*EXP2_POLYNOMIAL[1:], 1.0):
        p = multiply_add(builder, p, f, splat(kind, coefficient))
    exponent = builder.shl(n, splat(bits, 23))
    return builder.bitcast(builder.sub(builder.bitcast(p, bits), exponent), kind)


@llvm_intrinsic
def prefetch(typing_context, address):
    """Starts loading the cache line at an address (any address: it need not be mapped) without waiting for it."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, INT, INT, INT])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, INT(0), INT(3), INT(1)])  # for reading, to all cache levels, data
        return context.get_dummy_value()

    return types.void(types.uint64), generate


@llvm_intrinsic
def borrowed(typing_context, array):
    """The same array without reference counting, for use while the kernel's caller keeps it alive.

    numba counts references with an atomic addition in each function that an array is passed to.
    """

    def generate(context, builder, signature, arguments):
        copy = context.make_array(array)(context, builder, arguments[0])
        copy.meminfo, copy.parent = (cgutils.get_null_value(part.type) for part in (copy.meminfo, copy.parent))
        return copy._getvalue()

    return array(array), generate
