"""Directories of TIFF and EXIF data: those that unfold to more than their file are taken for empty.

A directory's entries name where their values lie, and may all name the same bytes, which Pillow reads anew for each:
half a megabyte becomes gigabytes. Pillow reads directories in many places, some while it opens a file (JPEG, AVIF), so
that the check is put into the one method by which it does.
"""

import struct
from typing import IO

from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

MAX_ENTRIES = 1000
"""Most entries of a directory: cameras write some fifty."""

MAX_NUMBERS = 1 << 23
"""Most bytes of all numbers in a directory, each of which becomes an object: a million tiles' places and lengths. Texts
stay bytes."""

SHARED = 2
"""Most bytes of all values in bytes of the file: small files have the same resolution across and down in one place."""

TEXTS = (1, 2, 7)
"""Types of values that stay bytes: BYTE, ASCII and UNDEFINED."""

_load = Directory.load


def is_bounded(directory: Directory, file: IO[bytes]) -> bool:
    """Whether a directory has few entries, and values of hardly more bytes than its file.

    Args:
        directory: Which has read the header of the file, so that its order of bytes is known.
        file: The file at the beginning of the directory, where it is again afterwards.
    """
    order, start = directory._endian, file.tell()
    head, row, inline = (order + "Q", order + "HHQQ", 8) if directory._bigtiff else (order + "H", order + "HHLL", 4)
    length = file.seek(0, 2)
    file.seek(start)
    count = file.read(struct.calcsize(head))
    entries = struct.unpack(head, count)[0] if len(count) == struct.calcsize(head) else 0
    rows = file.read(min(entries, MAX_ENTRIES) * struct.calcsize(row))
    file.seek(start)
    numbers = total = 0
    for _, kind, values, at in struct.iter_unpack(row, rows[: len(rows) - len(rows) % struct.calcsize(row)]):
        size = values * directory._load_dispatch.get(kind, (0,))[0]
        if size <= inline or at + size <= length:  # Pillow stops at a value that is not in the file
            total += size
            numbers += size * (kind not in TEXTS)
    return entries <= MAX_ENTRIES and total <= SHARED * length and numbers <= MAX_NUMBERS


def _load_bounded(directory: Directory, file: IO[bytes]) -> None:
    """`ImageFileDirectory_v2.load`, by which a directory that is not bounded stays empty."""
    if is_bounded(directory, file):
        _load(directory, file)
    else:
        directory.reset()


Directory.load = _load_bounded  # type: ignore[method-assign, assignment]
