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


def _fetch_pairs(builder, image, offset):
    """Pixels `offset` bytes from an image's start and their right neighbours, two vectors, by one fetch for both."""
    pointers, nothing = _vector(ir.PointerType()), ir.Constant(_vector(LONG), ir.Undefined)
    start = builder.insert_element(nothing, image, INT(0))
    start = builder.shuffle_vector(start, nothing, ir.Constant(_vector(INT), [0] * LANES))
    kind = ir.FunctionType(_vector(LONG), [pointers, INT, _vector(BIT), _vector(LONG)])
    gather = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{LANES}i64.v{LANES}p0")
    at = builder.inttoptr(builder.add(start, builder.zext(offset, _vector(LONG))), pointers)
    everywhere = ir.Constant(_vector(BIT), [1] * LANES)
    pairs = builder.bitcast(builder.call(gather, [at, INT(4), everywhere, nothing]), _vector(FLOAT, 2 * LANES))
    return [_pick(builder, pairs, pairs, list(range(half, 2 * LANES, 2))) for half in (0, 1)]


def _between(builder, a, b, share):
    return builder.fadd(a, builder.fmul(builder.fsub(b, a), share, flags=["contract"]), flags=["contract"])


def _store(builder, values, address):
    builder.store(values, builder.inttoptr(address, values.type.as_pointer()), align=4)


def _scalar(builder, address, lane, element=FLOAT):
    return builder.load(builder.inttoptr(builder.add(address, LONG(4 * lane)), element.as_pointer()), align=4)


def _pick(builder, a, b, places):
    """Elements of two vectors, those of the second counted on from the first's."""
    return builder.shuffle_vector(a, b, ir.Constant(_vector(INT, len(places)), places))


def _for_pair(builder, values, lane):
    """values[lane] four times, then values[lane + 1] four times: what two texels are multiplied by."""
    return _pick(builder, values, values, [lane] * 4 + [lane + 1] * 4)


@in_llvm
def sample(typing_context, image, below, offsets, across, down, out):
    """out[i], i < LANES: bilinear samples of a flat image, whose next row is `below` bytes on.

    All are addresses, the image's and out's of float32. Samples lie between the pixel that is offsets[i] (int32) bytes
    from the image's start and the next, and those below, by shares across[i] and down[i] (float32).
    """

    def generate(context, builder, signature, arguments):
        image, below, offsets, across, down, out = arguments
        offset, share = _load(builder, offsets, INT), _load(builder, across)
        left, right = _fetch_pairs(builder, image, offset)
        top = _between(builder, left, right, share)
        left, right = _fetch_pairs(builder, builder.add(image, below), offset)
        bottom = _between(builder, left, right, share)
        _store(builder, _between(builder, top, bottom, _load(builder, down)), out)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 6), generate


@in_llvm
def sample_texels(typing_context, image, below, offsets, across, down, out, fourth):
    """out[4 i + c], i < LANES, c < 4: `sample` of an image of four numbers a pixel; fourth[i]: out[4 i + 3] again.

    A texel and its right neighbour are one load.
    """

    def generate(context, builder, signature, arguments):
        image, below, offsets, across, down, out, fourth = arguments
        next_row, share, pairs = builder.add(image, below), _load(builder, across), []
        for lane in range(0, LANES, 2):
            columns = []
            for one in (lane, lane + 1):
                offset = builder.zext(_scalar(builder, offsets, one, INT), LONG)
                top, bottom = (_load(builder, builder.add(row, offset)) for row in (image, next_row))
                nothing = ir.Constant(_vector(FLOAT), ir.Undefined)
                first = builder.insert_element(nothing, _scalar(builder, down, one), INT(0))
                columns.append(_between(builder, top, bottom, _pick(builder, first, nothing, [0] * LANES)))
            a, b = columns
            left = _pick(builder, a, b, [0, 1, 2, 3, 8, 9, 10, 11])
            right = _pick(builder, a, b, [4, 5, 6, 7, 12, 13, 14, 15])
            pairs.append(_between(builder, left, right, _for_pair(builder, share, lane)))
            _store(builder, pairs[-1], builder.add(out, LONG(16 * lane)))
        low, high = (_pick(builder, pairs[i], pairs[i + 1], [3, 7, 11, 15]) for i in (0, 2))
        _store(builder, _pick(builder, low, high, list(range(LANES))), fourth)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 7), generate


@in_llvm
def add_texels(typing_context, weights, texels, sums):
    """sums[4 i + c] += weights[i] * texels[4 i + c], i < LANES, c < 4; all are addresses of float32."""

    def generate(context, builder, signature, arguments):
        weights, texels, sums = arguments
        weight = _load(builder, weights)
        for lane in range(0, LANES, 2):
            pair, at = (_load(builder, builder.add(start, LONG(16 * lane))) for start in (texels, sums))
            added = builder.fmul(pair, _for_pair(builder, weight, lane), flags=["contract"])
            _store(builder, builder.fadd(at, added, flags=["contract"]), builder.add(sums, LONG(16 * lane)))
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 3), generate


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


@in_llvm
def borrowed(typing_context, array):
    """The same array, with its references not counted: whoever calls the kernel keeps it alive.

    Counting is an atomic addition for each function that an array is given to.
    """

    def generate(context, builder, signature, arguments):
        copy = context.make_array(array)(context, builder, arguments[0])
        copy.meminfo, copy.parent = (cgutils.get_null_value(part.type) for part in (copy.meminfo, copy.parent))
        return copy._getvalue()

    return array(array), generate
