"""Vector instructions and prefetching, which loops do not become by themselves.

They are written in LLVM's language, for any processor: where it has no such instruction, it does the same by others.
Memory is given by addresses rather than arrays, whose references numba would count at each call.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
"""Elements of a vector."""

in_llvm: Callable[..., Any] = intrinsic
"""Makes a function of types, which returns a signature and what writes the instructions, callable from kernels."""

BIT, INT, LONG, FLOAT = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType()


def _vector(element: Any, count: int = LANES) -> Any:
    return ir.VectorType(element, count)


def _load(builder, address, element=FLOAT):
    return builder.load(builder.inttoptr(address, _vector(element).as_pointer()), align=4)


def _fetch_pairs(builder, image, corner):
    """image[corner[i]] and image[corner[i] + 1] as two vectors, by one fetch for both."""
    pointers, nothing = _vector(ir.PointerType()), ir.Constant(_vector(LONG), ir.Undefined)
    start = builder.insert_element(nothing, image, INT(0))
    start = builder.shuffle_vector(start, nothing, ir.Constant(_vector(INT), [0] * LANES))
    offset = builder.shl(builder.zext(corner, _vector(LONG)), ir.Constant(_vector(LONG), [2] * LANES))
    kind = ir.FunctionType(_vector(LONG), [pointers, INT, _vector(BIT), _vector(LONG)])
    gather = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{LANES}i64.v{LANES}p0")
    at, everywhere = builder.inttoptr(builder.add(start, offset), pointers), ir.Constant(_vector(BIT), [1] * LANES)
    pairs = builder.bitcast(builder.call(gather, [at, INT(4), everywhere, nothing]), _vector(FLOAT, 2 * LANES))
    halves = (ir.Constant(_vector(INT), list(range(half, 2 * LANES, 2))) for half in (0, 1))
    return [builder.shuffle_vector(pairs, pairs, half) for half in halves]


def _between(builder, a, b, share):
    return builder.fadd(a, builder.fmul(builder.fsub(b, a), share, flags=["contract"]), flags=["contract"])


@in_llvm
def sample(typing_context, image, below, corners, across, down, out):
    """out[i], i < LANES: bilinear samples of a flat image, whose next row is `below` bytes on.

    All are addresses, the image's and out's of float32. Samples lie between the texels corners[i] (int32) and
    corners[i] + 1, and those below, by shares across[i] and down[i] (float32).
    """

    def generate(context, builder, signature, arguments):
        image, below, corners, across, down, out = arguments
        corner, share = _load(builder, corners, INT), _load(builder, across)
        left, right = _fetch_pairs(builder, image, corner)
        top = _between(builder, left, right, share)
        left, right = _fetch_pairs(builder, builder.add(image, below), corner)
        bottom = _between(builder, left, right, share)
        found = _between(builder, top, bottom, _load(builder, down))
        builder.store(found, builder.inttoptr(out, _vector(FLOAT).as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 6), generate


@in_llvm
def any_positive(typing_context, address):
    """Whether one of LANES float32 at an address is more than 0."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(_vector(FLOAT), [0.0] * LANES)
        positive = builder.fcmp_ordered(">", _load(builder, arguments[0]), zero)
        bits = builder.bitcast(positive, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.IntType(LANES)(0))

    return types.boolean(types.uint64), generate


@in_llvm
def prefetch(typing_context, address):
    """Asks for the cache line at an address, any address, without waiting for it."""

    def generate(context, builder, signature, arguments):
        at = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [at.type, INT, INT, INT])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [at, INT(0), INT(3), INT(1)])
        return context.get_dummy_value()

    return types.void(types.uint64), generate
