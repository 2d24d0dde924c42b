"""Headers of images that would keep a decoder busy for minutes: they are walked before a decoder sees the file.

Decoders join comments and metadata piece by piece, look for the next marker byte by byte, or refine a picture as many
times as its file says. What no camera and no editor writes is refused here.
"""

import re
import struct
from typing import IO

from mine.inputs.kinds import JPEG_XL, is_jpeg_xl

MAX_BYTES = 1 << 30
"""Most bytes of an image file: 178 million pixels of three colours in 16 bits. TIFFs may be larger, for other pictures
and layers in them are not read."""

MAX_BYTES_AT_ONCE = 1 << 28
"""Most bytes of one in a format whose decoder has all of it in memory."""

MAX_METADATA = 1 << 26
"""Most bytes of metadata and comments in front of a JPEG's picture; with the original photo in them, 30 million."""

MAX_EXIF = 1 << 24
"""Most bytes of EXIF data, whose segments Pillow joins one by one."""

MAX_SEGMENTS = 2000
"""Most segments of a JPEG."""

MAX_GAP = 1 << 16
"""Most bytes of a JPEG's header that belong to no segment."""

MAX_SCANS = 50
"""Most passes by which a JPEG is refined: programs write about ten."""

MAX_EXTENSIONS = 1 << 20
"""Most bytes of comments and metadata in front of a GIF's picture."""

MAX_RUN_LENGTH_PIXELS = 1 << 22
"""Most pixels of a BMP that is compressed, which Pillow decodes in Python."""

MAX_PLAIN = 1 << 26
"""Most bytes of a PPM, PGM or PBM whose numbers are text, which Pillow reads in Python."""

MAX_COMMENTS = 1000
"""Most comments in one: Pillow searches a million bytes for the end of each."""

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_ALONE = (0x01, 0xC8, 0xD8, 0xD9, *range(0xF0, 0xFE))
"""Second bytes of markers that Pillow takes to have no length: what follows are segments to it."""

_BLOCK = 1 << 16

_RATIOS = {1: (1, 1), 2: (6, 5), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Widths to heights of JPEG XL (ISO 18181-1, annex D.2)."""


def check_header(file: IO[bytes], pixels: int) -> None:
    """Checks an image file before a decoder opens it; it is at its beginning again afterwards.

    Args:
        file: The file, at its beginning. What is damaged passes: decoders tell it.
        pixels: Most pixels of an image whose decoder does not ask itself.

    Raises:
        OSError: Opening or decoding it would take minutes or gigabytes. The message has the remedy.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(32)
    at_once = head[:4] == b"RIFF" or head[4:8] == b"ftyp" or is_jpeg_xl(head)
    limit = MAX_BYTES_AT_ONCE if at_once else MAX_BYTES
    if length > limit and head[:2] not in (b"II", b"MM"):
        raise OSError(f"it has {length} bytes, more than the {limit} that are read: shrink it first")
    if head[:3] == b"\xff\xd8\xff":
        check_jpeg(file)
    elif head[:4] == b"GIF8":
        _check_gif(file)
    elif head[:2] == b"BM":
        _check_bmp(head + file.read(32))
    elif head[:2] in (b"P1", b"P2", b"P3"):
        file.seek(0)
        if length > MAX_PLAIN:
            raise OSError(f"its numbers are text of {length} bytes, more than {MAX_PLAIN}: save it as PNG")
        if file.read().count(b"#") > MAX_COMMENTS:
            raise OSError(f"its numbers are text among more than {MAX_COMMENTS} comments: save it as PNG")
    elif is_jpeg_xl(head):
        _check_jpeg_xl(file, pixels)
    file.seek(0)


def check_jpeg(file: IO[bytes], start: int = 0) -> None:
    """Raises OSError for a JPEG, `start` bytes into a file, of too many segments, metadata, gaps or scans."""
    file.seek(start + 2)
    segments = metadata = exif = gaps = scans = colours = 0
    several = False
    while True:
        end = file.tell()
        marker = _next_marker(file, None if scans else MAX_GAP - gaps)
        if marker is None or (marker == 0xD9 and scans):
            return
        segments += 1
        if segments > MAX_SEGMENTS or metadata > MAX_METADATA or exif > MAX_EXIF:
            raise OSError("its metadata are longer than any camera's: save it anew without them")
        gaps += file.tell() - 2 - end
        if marker in _ALONE:
            continue
        size = max(int.from_bytes(file.read(2), "big") - 2, 0)
        if marker == 0xDA:
            scans += 1
            several |= int.from_bytes(file.read(1), "big") < colours
            size -= 1
            if not several:  # decoders stop at the end of the only scan
                return
            if scans > MAX_SCANS:
                raise OSError(f"it is refined in more than {MAX_SCANS} passes: save it anew")
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xCC):
            several |= marker in (0xC2, 0xC6, 0xCA, 0xCE)  # progressive
            colours = (file.read(6)[5:] or b"\0")[0]
            size -= 6
        elif not scans:
            metadata += size
            kind = file.read(min(size, 4))
            exif += size if marker == 0xE1 and kind == b"Exif" else 0
            size -= len(kind)
        file.seek(max(size, 0), 1)


def _next_marker(file: IO[bytes], gap: int | None) -> int | None:
    """The second byte of the next marker in a JPEG, behind which the file is then; None at its end.

    Raises:
        OSError: There are more than `gap` bytes before it.
    """
    passed = 0
    while len(block := file.read(_BLOCK)) > 1:
        found = _MARKER.search(block)
        passed += found.start() if found else len(block) - 1
        if gap is not None and passed > gap:
            raise OSError("its header is damaged: copy it again, or save it anew")
        if found:
            file.seek(found.end() - len(block), 1)
            return block[found.end() - 1]
        file.seek(-1, 1)  # a marker may begin with the last byte
    return None


def _check_gif(file: IO[bytes]) -> None:
    """Raises OSError for a GIF with too much in front of its picture."""
    file.seek(10)
    flags = file.read(3)[:1]
    file.seek(3 << (flags[0] & 7) + 1 if flags and flags[0] & 128 else 0, 1)
    start = file.tell()
    while (kind := file.read(1)) not in (b"", b",", b";"):
        size = file.read(2)[1:] if kind == b"!" else b""
        while size and size[0]:
            file.seek(size[0], 1)
            size = file.read(1)
        if file.tell() - start > MAX_EXTENSIONS:
            raise OSError("its comments are longer than any program's: save it anew")


def _check_bmp(head: bytes) -> None:
    """Raises OSError for a BMP that is compressed by run lengths and large."""
    header, width, height, _, compression = struct.unpack_from("<IiiII", head.ljust(34, b"\0"), 14)
    if header > 12 and compression in (1, 2) and abs(width * height) > MAX_RUN_LENGTH_PIXELS:
        raise OSError(f"it is a compressed BMP of {abs(width)}x{abs(height)} pixels: save it as PNG")


def _check_jpeg_xl(file: IO[bytes], pixels: int) -> None:
    """Raises OSError for a JPEG XL of more pixels, which is decoded while it is opened."""
    file.seek(0)
    head = file.read(12)
    if head.startswith(JPEG_XL[1]):
        head = _codestream(file)
    bits = int.from_bytes(head[2:].ljust(10, b"\0"), "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & (1 << count) - 1, bits >> count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    across, down = _RATIOS.get(ratio := take(3), (1, 1))
    width = height * across // down if ratio else side()
    if width * height > pixels:
        raise OSError(f"it has {width}x{height} pixels, more than {pixels // 10**6} million: shrink it first")


def _codestream(file: IO[bytes]) -> bytes:
    """The first bytes of the codestream in a container of JPEG XL, behind its signature."""
    for _ in range(MAX_SEGMENTS):
        box = file.read(8)
        size, header = int.from_bytes(box[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(file.read(8), "big"), 16
        if box[4:] == b"jxlp":
            file.seek(4, 1)
        if box[4:] in (b"jxlc", b"jxlp"):
            return file.read(12)
        if size < header:  # the last box, or none
            break
        file.seek(size - header, 1)
    return b""
