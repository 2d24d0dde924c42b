"""Bounds of COLMAP's binary files: every count in them is compared with the bytes that follow it.

COLMAP itself believes the counts. Where a file is cut short it goes on reading what is not there, for ever or until the
memory is full. Formats are those of COLMAP's documentation ("Output Format"), little-endian.
"""

import math
import os
import struct
from functools import cache
from pathlib import Path
from typing import Any

from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError
from mine.inputs.files import open_input

NAMES = ("cameras", "images", "points3D", "rigs", "frames")
"""Files of a model, without their suffix."""

MAX_BYTES = 1 << 30
"""Most bytes of a file: 10,000 images with 4,000 features each."""

MAX_SIDE = 100_000
"""Longest side of a camera's images, in pixels."""

MAX_NAME = 4096
"""Longest name of an image, in bytes."""

_REMEDY = "make it anew with `mine colmap`"


def check_model_files(folder: Path) -> None:
    """Checks the files of a model before COLMAP reads them.

    Args:
        folder: Of the model: cameras, images, points3D and, since COLMAP 3.12, rigs and frames, as .bin or .txt.

    Raises:
        InputError: Rigs are there without frames or the other way round; a file is no regular file or too large; or a
            binary one is cut short, goes on after its last record, or holds counts or cameras that cannot be.
    """
    # pycolmap would only say "unordered_map::at".
    there = {name: any(os.path.lexists(folder / (name + suffix)) for suffix in (".bin", ".txt")) for name in NAMES}
    if there["rigs"] != there["frames"]:
        lacks, has = ("rigs", "frames") if there["frames"] else ("frames", "rigs")
        raise InputError(f"{folder} has {has} and lacks {lacks}, which belong together: copy both files, or neither")
    for name in NAMES:
        for suffix in (".bin", ".txt"):
            path = folder / (name + suffix)
            if not os.path.lexists(path):
                continue
            with open_input(path, "COLMAP file", _REMEDY, MAX_BYTES) as file:
                if suffix == ".bin":
                    _check(path, name, file.read())


def _check(path: Path, name: str, content: bytes) -> None:
    """Raises InputError for a binary file that its own records do not fill exactly."""
    records = _Records(content)
    try:
        _WALKS[name](records)
        if records.position != len(content):
            raise _BrokenError(f"{len(content) - records.position} bytes follow its last record")
    except _BrokenError as error:
        raise InputError(f"{path} is not a readable COLMAP reconstruction ({error}): {_REMEDY}") from error


class _BrokenError(Exception):
    """What is wrong with a file."""


class _Records:
    """Position in the bytes of a file; no read goes past their end."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0

    def skip(self, size: int) -> None:
        """Moves on by `size` bytes."""
        if size > len(self.content) - self.position:
            raise _BrokenError(f"it is cut short: {size} bytes should follow byte {self.position}")
        self.position += size

    def take(self, format_: str) -> tuple[Any, ...]:
        """The next values, of types as `struct` writes them."""
        start = self.position
        self.skip(struct.calcsize("<" + format_))
        return struct.unpack_from("<" + format_, self.content, start)

    def count(self, least: int, format_: str = "Q") -> int:
        """The next count, of records that have at least `least` bytes each."""
        (found,) = self.take(format_)
        if found * least > len(self.content) - self.position:
            raise _BrokenError(f"it counts {found} records before byte {self.position}, more than there is room for")
        return int(found)


@cache
def _parameters(model: int) -> int:
    """Number of parameters of a camera model, by COLMAP's number of it."""
    known = {int(found): found for found in pycolmap.CameraModelId.__members__.values()}
    if model not in known or known[model] == pycolmap.CameraModelId.INVALID:
        raise _BrokenError(f"it has the unknown camera model {model}")
    return len(pycolmap.Camera.create_from_model_id(1, known[model], 1.0, 1, 1).params)


def _walk_cameras(records: _Records) -> None:
    for _ in range(records.count(24)):
        _, model, width, height = records.take("IiQQ")
        parameters = records.take(f"{_parameters(model)}d")
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise _BrokenError(f"it has a camera of {width}x{height} pixels")
        if not all(math.isfinite(value) for value in parameters):
            raise _BrokenError("it has a camera with parameters that are not finite")


def _walk_images(records: _Records) -> None:
    for _ in range(records.count(4 + 7 * 8 + 4 + 1 + 8)):
        records.skip(4 + 7 * 8 + 4)
        end = records.content.find(b"\0", records.position, records.position + MAX_NAME)
        if end < 0:
            raise _BrokenError(f"it has a name without end at byte {records.position}")
        records.position = end + 1
        records.skip(24 * records.count(24))


def _walk_points(records: _Records) -> None:
    for _ in range(records.count(8 + 3 * 8 + 3 + 8 + 8)):
        records.skip(8 + 3 * 8 + 3 + 8)
        records.skip(8 * records.count(8))


def _walk_rigs(records: _Records) -> None:
    for _ in range(records.count(4 + 4)):
        records.skip(4)
        sensors = records.count(8, "I")
        if sensors:
            records.skip(8)  # the reference sensor, which has no pose
        for _ in range(sensors - 1):
            _, _, has_pose = records.take("iIB")
            records.skip(7 * 8 * bool(has_pose))


def _walk_frames(records: _Records) -> None:
    for _ in range(records.count(4 + 4 + 7 * 8 + 4)):
        records.skip(4 + 4 + 7 * 8)
        records.skip(16 * records.count(16, "I"))


_WALKS = {
    "cameras": _walk_cameras,
    "images": _walk_images,
    "points3D": _walk_points,
    "rigs": _walk_rigs,
    "frames": _walk_frames,
}
