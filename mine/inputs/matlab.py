"""Numbers in MATLAB's files of version 5 ("MAT-File Format", MathWorks), read within bounds.

SciPy's reader, 1.17, ends the process with a segmentation fault for some damaged files, believes the shapes that a file
promises, and unfolds what is compressed to any size.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mine.errors import InputError
from mine.inputs.files import open_input

Array = NDArray[Any]

MAX_BYTES = 1 << 26
"""Most bytes of a file, and of what it unfolds to: photos of 640x480 with ten maps have 10 million."""

MAX_ARRAYS = 1000
"""Most variables of a file, and fields of a struct."""

HEADER = 128
COMPRESSED, MATRIX = 15, 14
STRUCT = 2
COMPLEX = 1 << 11
DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of elements, by MATLAB's numbers of them."""

NUMBERS = range(6, 16)
"""Classes of arrays of numbers, which may be stored in a smaller type: whole numbers of class double in one byte."""


class _BrokenError(Exception):
    """What is wrong with a file."""


def read_mat(path: Path, what: str, remedy: str) -> dict[str, Array | dict[str, Array]]:
    """Reads the arrays of a file, and those in its structs.

    Args:
        path: The file.
        what: What it should hold, for messages.
        remedy: What to do when it cannot be read.

    Returns:
        Real arrays in the type in which they are stored, of at least two dimensions as MATLAB has them, and
        dictionaries of such for single structs, by name. Texts, cells and all else are left out.

    Raises:
        InputError: It is no regular file, too large, damaged, or of another version.
    """
    with open_input(path, what, remedy, MAX_BYTES) as file:
        content = file.read()
    try:
        if content[124:128] != b"\0\1IM":
            raise _BrokenError("it is no MATLAB file of version 5")
        return {name: value for name, value in map(_matrix, _variables(content)) if value is not None}
    except _BrokenError as error:
        raise InputError(f"{what} {path} cannot be read ({error}): {remedy}") from error


def _variables(content: bytes) -> Iterator[bytes]:
    """The data of the variables in a file."""
    room = MAX_BYTES
    for number, (kind, data) in enumerate(_elements(content[HEADER:])):
        if number == MAX_ARRAYS:
            raise _BrokenError(f"it has more than {MAX_ARRAYS} variables")
        if kind == COMPRESSED:
            unfolded = _unfold(data, room)
            room -= len(unfolded)
            kind, data = next(_elements(unfolded), (0, b""))
        if kind != MATRIX:
            raise _BrokenError("it is damaged")
        yield data


def _unfold(data: bytes, room: int) -> bytes:
    """Compressed data, of at most `room` bytes."""
    stream = zlib.decompressobj()
    try:
        unfolded = stream.decompress(data, room + 1)
    except zlib.error as error:
        raise _BrokenError(str(error)) from error
    if len(unfolded) > room:
        raise _BrokenError(f"it unfolds to more than {MAX_BYTES} bytes")
    return unfolded


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and data of the elements in a file, an array or a struct."""
    at = 0
    while at < len(content):
        if at + 8 > len(content):
            raise _BrokenError("it is cut short")
        kind, size = struct.unpack_from("<II", content, at)
        if kind >> 16:  # up to four bytes lie beside their type
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            end = start + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if start + size > len(content) or start + size > end:
            raise _BrokenError("it is cut short")
        yield kind, content[start : start + size]
        at = end


def _matrix(data: bytes, in_struct: bool = False) -> tuple[str, Array | dict[str, Array] | None]:
    """Name and value of an array's element; None for a value of another kind, and for structs in structs."""
    elements = _elements(data)
    flags = struct.unpack("<II", _next(elements, 6, 8))[0]
    kind = flags & 0xFF
    sides = _next(elements, 5)
    shape = struct.unpack(f"<{len(sides) // 4}i", sides[: len(sides) // 4 * 4])
    name = _next(elements, 1).decode("latin-1")
    if len(shape) not in range(2, 5) or min(shape) < 0:
        raise _BrokenError(f"{name or 'an array'} has an impossible shape")
    if kind == STRUCT and shape == (1, 1) and not in_struct:
        return name, _fields(elements)
    if kind not in NUMBERS or flags & COMPLEX:
        return name, None
    stored, values = next(elements, (0, b""))
    size = np.dtype(DTYPES.get(stored, "V1")).itemsize
    if stored not in DTYPES or len(values) != math.prod(shape) * size:
        raise _BrokenError(f"{name or 'an array'} has not the values that its shape {shape} has room for")
    return name, np.frombuffer(values, f"<{DTYPES[stored]}").reshape(shape, order="F")


def _fields(elements: Iterator[tuple[int, bytes]]) -> dict[str, Array]:
    """The arrays of numbers in the fields of a struct."""
    length = int.from_bytes(_next(elements, 5, 4), "little")
    names = _next(elements, 1)
    if not 0 < length <= len(names) <= MAX_ARRAYS * length:
        raise _BrokenError("a struct has no fields, or too many")
    found = {}
    for start in range(0, len(names), length):
        _, value = _matrix(_next(elements, MATRIX), in_struct=True)
        if isinstance(value, np.ndarray):
            found[names[start : start + length].split(b"\0")[0].decode("latin-1")] = value
    return found


def _next(elements: Iterator[tuple[int, bytes]], kind: int, size: int | None = None) -> bytes:
    """The data of the next element, which is of a type, and of a size in bytes."""
    found, data = next(elements, (0, b""))
    if found != kind or len(data) != (len(data) if size is None else size):
        raise _BrokenError("it is damaged")
    return data
