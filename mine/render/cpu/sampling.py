"""Bilinear sampling of LANES pixels at a time, as numba intrinsics (see `mine.kernels.simd`).

The images are flat, addressed by bytes. Samples come with the byte offsets of their top-left texels and with their
bilinear weights: the weight `across` belongs to the right texel, `down` to the lower one. Equals
`reference.sample`; tests/render/cpu/test_sampling.py compares each intrinsic with numpy.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils

from mine.kernels.simd import BIT, FLOAT, INT, LONG, lerp, llvm_intrinsic, load, shuffle, splat, store, vector

LANES = 8
"""Samples of one call: elements of a float32 vector of 256 bits."""

FLOATS, INTS, LONGS = vector(FLOAT, LANES), vector(INT, LANES), vector(LONG, LANES)


def _gather_pairs(builder, image, offset):
    """Texels at byte offsets `offset` of an image, and their right neighbours: two vectors by one gather of 64 bits."""
    pointers, undefined = vector(ir.PointerType(), LANES), ir.Constant(LONGS, ir.Undefined)
    start = builder.insert_element(undefined, image, INT(0))
    start = builder.shuffle_vector(start, undefined, splat(INTS, 0))
    kind = ir.FunctionType(LONGS, [pointers, INT, vector(BIT, LANES), LONGS])
    gather = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{LANES}i64.v{LANES}p0")
    addresses = builder.inttoptr(builder.add(start, builder.zext(offset, LONGS)), pointers)
    gathered = builder.call(gather, [addresses, INT(4), splat(vector(BIT, LANES), 1), undefined])
    pairs = builder.bitcast(gathered, vector(FLOAT, 2 * LANES))
    return [shuffle(builder, pairs, pairs, list(range(half, 2 * LANES, 2))) for half in (0, 1)]


def _bilinear(builder, image, row_bytes, offset, across, down, value_of):
    """Bilinear samples of `value_of` texels: a function of vectors."""
    rows = []
    for row in (image, builder.add(image, row_bytes)):
        left, right = (value_of(texels) for texels in _gather_pairs(builder, row, offset))
        rows.append(lerp(builder, left, right, across))
    return lerp(builder, rows[0], rows[1], down)


def _load_scalar(builder, address, lane, element=FLOAT):
    return builder.load(builder.inttoptr(builder.add(address, LONG(4 * lane)), element.as_pointer()), align=4)


def _repeat_for_texels(builder, values, lane):
    """values[lane] four times, then values[lane + 1] four times: the factors of two texels of four channels."""
    return shuffle(builder, values, values, [lane] * 4 + [lane + 1] * 4)


@llvm_intrinsic
def sample_scalars(typing_context, image, row_bytes, offsets, across, down, out):
    """Bilinear samples of an image of one channel.

    Args:
        image: address of the image, float32; `row_bytes`: bytes from one of its rows to the next.
        offsets: address of LANES int32, byte offsets of the top-left texels.
        across, down: addresses of LANES float32, the bilinear weights.
        out: address of LANES float32, filled with the samples.
    """

    def generate(context, builder, signature, arguments):
        image, row_bytes, offsets, across, down, out = arguments
        offset, across, down = load(builder, offsets, INTS), load(builder, across, FLOATS), load(builder, down, FLOATS)
        samples = _bilinear(builder, image, row_bytes, offset, across, down, lambda texels: texels)
        store(builder, samples, out)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 6), generate


@llvm_intrinsic
def sample_at_most(typing_context, image, row_bytes, offsets, across, down, out, limit):
    """Bilinear samples of whether texels of an image of one channel are at most `limit`: 1 where they are, else 0.

    Args:
        image, row_bytes, offsets, across, down, out: as for `sample_scalars`.
        limit: float32.
    """

    def generate(context, builder, signature, arguments):
        image, row_bytes, offsets, across, down, out, limit = arguments
        undefined = ir.Constant(FLOATS, ir.Undefined)
        limits = shuffle(builder, builder.insert_element(undefined, limit, INT(0)), undefined, [0] * LANES)
        one, zero = splat(FLOATS, 1.0), splat(FLOATS, 0.0)

        def is_at_most(texels):
            return builder.select(builder.fcmp_ordered("<=", texels, limits), one, zero)

        offset, across, down = load(builder, offsets, INTS), load(builder, across, FLOATS), load(builder, down, FLOATS)
        samples = _bilinear(builder, image, row_bytes, offset, across, down, is_at_most)
        store(builder, samples, out)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 6, types.float32), generate


@llvm_intrinsic
def sample_texels(typing_context, image, row_bytes, offsets, across, down, out, fourth):
    """Bilinear samples of an image of four interleaved channels: a texel and its right neighbour are one load.

    Args:
        image, row_bytes, offsets, across, down: as for `sample_scalars`.
        out: address of (LANES, 4) float32, filled with the samples.
        fourth: address of LANES float32, filled with the fourth channel of the samples again.
    """

    def generate(context, builder, signature, arguments):
        image, row_bytes, offsets, across, down, out, fourth = arguments
        next_row, weight, pairs = builder.add(image, row_bytes), load(builder, across, FLOATS), []
        for lane in range(0, LANES, 2):
            columns = []
            for one in (lane, lane + 1):
                offset = builder.zext(_load_scalar(builder, offsets, one, INT), LONG)
                top, bottom = (load(builder, builder.add(row, offset), FLOATS) for row in (image, next_row))
                undefined = ir.Constant(FLOATS, ir.Undefined)
                first = builder.insert_element(undefined, _load_scalar(builder, down, one), INT(0))
                columns.append(lerp(builder, top, bottom, shuffle(builder, first, undefined, [0] * LANES)))
            a, b = columns
            left = shuffle(builder, a, b, [0, 1, 2, 3, 8, 9, 10, 11])
            right = shuffle(builder, a, b, [4, 5, 6, 7, 12, 13, 14, 15])
            pairs.append(lerp(builder, left, right, _repeat_for_texels(builder, weight, lane)))
            store(builder, pairs[-1], builder.add(out, LONG(16 * lane)))
        low, high = (shuffle(builder, pairs[i], pairs[i + 1], [3, 7, 11, 15]) for i in (0, 2))
        store(builder, shuffle(builder, low, high, list(range(LANES))), fourth)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 7), generate


@llvm_intrinsic
def add_weighted_texels(typing_context, weights, texels, sums):
    """sums[i, c] += weights[i] texels[i, c].

    Args:
        weights: address of LANES float32; `texels` and `sums`: addresses of (LANES, 4) float32.
    """

    def generate(context, builder, signature, arguments):
        weights, texels, sums = arguments
        weight = load(builder, weights, FLOATS)
        for lane in range(0, LANES, 2):
            pair, total = (load(builder, builder.add(start, LONG(16 * lane)), FLOATS) for start in (texels, sums))
            added = builder.fmul(pair, _repeat_for_texels(builder, weight, lane), flags=["contract"])
            store(builder, builder.fadd(total, added, flags=["contract"]), builder.add(sums, LONG(16 * lane)))
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 3), generate


@llvm_intrinsic
def any_positive(typing_context, address):
    """Whether one of LANES float32 at an address is greater than 0."""

    def generate(context, builder, signature, arguments):
        positive = builder.fcmp_ordered(">", load(builder, arguments[0], FLOATS), splat(FLOATS, 0.0))
        bits = builder.bitcast(positive, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.IntType(LANES)(0))

    return types.boolean(types.uint64), generate
