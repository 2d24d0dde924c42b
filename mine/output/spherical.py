"""What players and headsets read of a stereo layout and of a spherical projection, in MP4 files.

MP4 and QuickTime: the boxes `st3d` and `sv3d` of Google's Spherical Video V2
(https://github.com/google/spatial-media/blob/master/docs/spherical-video-v2-rfc.md) in the description of the video
track. ffmpeg writes them only where its input has them, so they are inserted here. Stills have no such thing: Google's
photo sphere XMP (GPano) describes the picture of one eye, and makes one sphere of two that lie side by side.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

STEREO_MODE = {"over-under": 1, "sbs": 2, "half-sbs": 2, "vr180": 2}
"""Stereo mode of `st3d` by layout: 1 is top and bottom, 2 left and right."""

_HALF = 1 << 30
"""A quarter of the sphere in fixed point of 32 fractional bits: what is left out at each side of 180 degrees."""

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_PLAIN_HEADER = 8
"""Bytes before the children of a box."""


def add_stereo_metadata(path: Path, layout: str) -> None:
    """Inserts the boxes of a layout into an MP4 or QuickTime file; other files and layouts stay as they are.

    Args:
        path: The file, whose index (`moov`) comes before its frames or after them.
        layout: One of `mine.output.stereo_options.LAYOUTS`.
    """
    if layout not in STEREO_MODE or path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        return
    data = path.read_bytes()
    added = _box(b"st3d", bytes(4) + bytes([STEREO_MODE[layout]]))
    if layout == "vr180":
        header = _box(b"svhd", bytes(4) + b"MINE\0")
        bounds = struct.pack(">4I", 0, 0, _HALF, _HALF)  # top, bottom, left, right
        projection = _box(b"proj", _box(b"prhd", bytes(16)) + _box(b"equi", bytes(4) + bounds))
        added += _box(b"sv3d", header + projection)
    path.write_bytes(insert_in_video_entry(data, added))


def insert_in_video_entry(data: bytes, added: bytes) -> bytes:
    """Appends boxes to the first sample entry of the first track of an MP4 file.

    Args:
        data: The file.
        added: Boxes.

    Returns:
        The file with the boxes, sizes of the boxes around them, and places of the frames put right.
    """
    changed = bytearray(data)
    start, end = 0, len(data)
    parents = []
    for name in _PATH:
        start, end = next(span for kind, *span in _boxes(data, start, end) if kind == name)
        parents.append(start)
        start += _PLAIN_HEADER
    # `stsd` has 8 bytes of its own before its entries.
    entry, end = next((a, b) for _, a, b in _boxes(data, start + 8, end))
    moov, moov_end = next((a, b) for kind, a, b in _boxes(data, 0, len(data)) if kind == b"moov")
    for parent in [*parents, entry]:
        (size,) = struct.unpack_from(">I", data, parent)
        struct.pack_into(">I", changed, parent, size + len(added))
    if any(kind == b"mdat" and begin > moov for kind, begin, _ in _boxes(data, 0, len(data))):
        _move_chunks(changed, data, moov, moov_end, len(added))
    return bytes(changed[:end] + added + changed[end:])


def _box(kind: bytes, content: bytes) -> bytes:
    """A box: its size, its kind, its content."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and last byte of the boxes between two places of a file."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1:  # a size of 64 bits follows
            (size,) = struct.unpack_from(">Q", data, start + 8)
        size = size or end - start
        yield kind, start, start + size
        start += size


def _move_chunks(changed: bytearray, data: bytes, start: int, end: int, distance: int) -> None:
    """Adds a distance to all places of frames in the index (`stco` and `co64`)."""
    for kind, first, last in _boxes(data, start + _PLAIN_HEADER, end):
        if kind in (b"trak", b"mdia", b"minf", b"stbl"):
            _move_chunks(changed, data, first, last, distance)
        elif kind in (b"stco", b"co64"):
            form, width = (">I", 4) if kind == b"stco" else (">Q", 8)
            (count,) = struct.unpack_from(">I", data, first + 12)
            for place in range(first + 16, first + 16 + count * width, width):
                (offset,) = struct.unpack_from(form, data, place)
                struct.pack_into(form, changed, place, offset + distance)
