"""Raw photos as cameras write them: DNG, with a thumbnail first, the sensor's values, and the camera's own JPEG."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

Tag = tuple[int, int, bytes]
"""Number, type and content of a tag of TIFF."""


COLOUR_FILTERS, LINEAR_RAW = 32803, 34892
"""TIFF's numbers of what a sensor's values mean: one colour at each pixel, or the light at each."""


def short(number: int, *values: int) -> Tag:
    return number, 3, struct.pack(f"<{len(values)}H", *values)


def long(number: int, *values: int) -> Tag:
    return number, 4, struct.pack(f"<{len(values)}I", *values)


def byte(number: int, *values: int) -> Tag:
    return number, 1, bytes(values)


def _directory(tags: list[Tag], start: int) -> bytes:
    """A directory of TIFF that lies at byte `start`, with the values of its tags behind it."""
    entries, values = b"", b""
    room = start + 2 + 12 * len(tags) + 4
    for number, kind, content in sorted(tags):
        count = len(content) // {1: 1, 3: 2, 4: 4}[kind]
        if len(content) > 4:
            place, values = struct.pack("<I", room + len(values)), values + content + bytes(len(content) % 2)
        else:
            place = content.ljust(4, b"\0")
        entries += struct.pack("<HHI", number, kind, count) + place
    return struct.pack("<H", len(tags)) + entries + bytes(4) + values


def write_dng(
    path: Path,
    photo: np.ndarray,
    preview: Image.Image | None,
    orientation: int = 1,
    focal: int = 0,
    monochrome: bool = False,
) -> Path:
    """Writes a raw photo.

    Args:
        path: File to write.
        photo: (H, W, 3) uint8 linear colours of the sensor, of which each pixel keeps one (RG / GB).
        preview: The camera's own picture.
        orientation: EXIF's number of how the camera was held.
        focal: Focal length in 35 mm equivalent, 0 for none.
        monochrome: Whether the sensor has no colour filters: it then keeps the greens of the photo.
    """
    height, width = photo.shape[:2]
    sensor = photo[..., 1].copy()
    if not monochrome:
        sensor[::2, ::2], sensor[1::2, 1::2] = photo[::2, ::2, 0], photo[1::2, 1::2, 2]
    kind = LINEAR_RAW if monochrome else COLOUR_FILTERS
    thumbnail = np.asarray(Image.fromarray(photo).resize((24, 16)))
    blocks = [thumbnail.tobytes(), (sensor.astype("<u2") * 16).tobytes()]
    if preview is not None:
        encoded = io.BytesIO()
        preview.save(encoded, "JPEG", quality=95)
        blocks.append(encoded.getvalue())
    places = [8 + sum(map(len, blocks[:number])) for number in range(len(blocks))]
    content = b"".join(blocks) + bytes(sum(map(len, blocks)) % 2)

    def picture(
        number: int, size: tuple[int, int], photometric: int, compression: int, bits: tuple[int, ...]
    ) -> list[Tag]:
        tags = [long(256, size[0]), long(257, size[1]), short(258, *bits), short(259, compression)]
        tags += [short(262, photometric), long(273, places[number]), short(277, len(bits)), long(278, size[1])]
        return [*tags, long(279, len(blocks[number])), long(254, 0 if photometric == kind else 1)]

    directories = [[*picture(1, (width, height), kind, 1, (16,)), long(50717, 4080)]]
    if not monochrome:
        directories[0] += [short(33421, 2, 2), byte(33422, 0, 1, 1, 2)]
    if preview is not None:
        directories.append(picture(2, preview.size, 6, 7, (8, 8, 8)))
    if focal:
        directories.append([short(41989, focal)])
    starts = []
    for tags in directories:
        starts.append(8 + len(content))
        content += _directory(tags, starts[-1])
    first = [*picture(0, (24, 16), 2, 1, (8, 8, 8)), short(274, orientation), byte(50706, 1, 4, 0, 0)]
    first += [long(330, *starts[: 2 if preview is not None else 1]), *([long(34665, starts[-1])] if focal else [])]
    start = 8 + len(content)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, start) + content + _directory(first, start))
    return path
