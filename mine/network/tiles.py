"""Products of matrices in a processor's tile registers (Intel AMX): bfloat16 in, float32 out.

A tile has 16 rows of 64 bytes: 16 pixels of 32 inputs, 16 pairs of inputs of 16 outputs, or 16 pixels of 16 outputs.
The instructions are written in LLVM's language, see `mine.vectors`; memory is given by addresses.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

from collections.abc import Callable
from itertools import product

import torch
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils, config

from mine.vectors import LONG, in_llvm

SIDE = 16
"""Rows of a tile, and columns of one of float32."""

BYTES = 1024
"""Of a tile."""

BYTE = ir.IntType(8)


def available() -> bool:
    """Whether this processor has tiles, this process may use them, and kernels are compiled for it as it is."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    compiled_for_it = config.CPU_NAME is None and config.CPU_FEATURES is None  # type: ignore[attr-defined]
    ask: Callable[[], bool] = getattr(torch.cpu, "_init_amx", bool)  # the system lets no process use them unasked
    return capabilities.get("amx_bf16", False) and compiled_for_it and ask()


def _call(builder, name, *arguments):
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


def _tile(number):
    return ir.Constant(BYTE, number)


def _move(builder, name, tile, address, stride):
    _call(builder, name, _tile(tile), builder.inttoptr(address, BYTE.as_pointer()), stride)


@in_llvm
def configure(typing_context):
    """Eight tiles of 16 rows of 64 bytes, for this thread."""

    def generate(context, builder, signature, arguments):
        values = [1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[SIDE] * 8, *[0] * 8]
        kind = ir.ArrayType(BYTE, 64)
        place = cgutils.alloca_once_value(builder, ir.Constant(kind, values))
        _call(builder, "ldtilecfg", builder.bitcast(place, BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(), generate


@in_llvm
def release(typing_context):
    """Gives the tiles back."""

    def generate(context, builder, signature, arguments):
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


def _operations(rows, columns):
    """Of rows times columns (four in all) tiles of sums, numbers 0 to 3."""

    @in_llvm
    def start(typing_context, bias):
        """Sums of every pixel are the bias: as many float32 as there are outputs, 16 times columns."""

        def generate(context, builder, signature, arguments):
            for row, column in product(range(rows), range(columns)):
                place = builder.add(arguments[0], LONG(column * 64))
                _move(builder, "tileloadd64", row * columns + column, place, LONG(0))
            return context.get_dummy_value()

        return types.void(types.uint64), generate

    @in_llvm
    def multiply(typing_context, pixels, stride, weights):
        """Adds the products of 16 * rows pixels, `stride` bytes apart, and of as many tiles of weights as columns."""

        def generate(context, builder, signature, arguments):
            pixels, stride, weights = arguments
            for column in range(columns):
                _move(builder, "tileloadd64", 4 + column, builder.add(weights, LONG(column * BYTES)), LONG(64))
            for row in range(rows):
                tile = 6 + row % 2
                _move(builder, "tileloadd64", tile, pixels, stride)
                pixels = builder.add(pixels, builder.mul(stride, LONG(SIDE)))
                for column in range(columns):
                    _call(builder, "tdpbf16ps", _tile(row * columns + column), _tile(tile), _tile(4 + column))
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 3), generate

    @in_llvm
    def store(typing_context, out, stride):
        """Writes the sums, pixels `stride` bytes apart."""

        def generate(context, builder, signature, arguments):
            out, stride = arguments
            for row in range(rows):
                for column in range(columns):
                    place = builder.add(out, LONG(column * 64))
                    _move(builder, "tilestored64", row * columns + column, place, stride)
                out = builder.add(out, builder.mul(stride, LONG(SIDE)))
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 2), generate

    return start, multiply, store


@in_llvm
def multiply_parts(typing_context, pixels, apart, stride, weights):
    """As `multiply_wide`, of inputs in two parts, `apart` bytes apart, and two tiles of either part of the weights.

    The product of the second parts is left out.
    """

    def generate(context, builder, signature, arguments):
        pixels, apart, stride, weights = arguments
        below = builder.mul(stride, LONG(SIDE))
        for line, part in ((pixels, 0), (builder.add(pixels, apart), None), (pixels, 1)):
            for row, place in enumerate((line, builder.add(line, below))):
                if row == 0 and part is not None:
                    for column in range(2):
                        place_of = builder.add(weights, LONG((2 * part + column) * BYTES))
                        _move(builder, "tileloadd64", 4 + column, place_of, LONG(64))
                _move(builder, "tileloadd64", 6 + row, place, stride)
                for column in range(2):
                    _call(builder, "tdpbf16ps", _tile(2 * row + column), _tile(6 + row), _tile(4 + column))
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 4), generate


start_wide, multiply_wide, store_wide = _operations(2, 2)
start_tall, multiply_tall, store_tall = _operations(4, 1)
