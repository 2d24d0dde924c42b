"""Headers by which small files would take minutes or gigabytes are refused before a decoder sees them."""

import io
import struct
from pathlib import Path

import pytest
from PIL import Image, TiffImagePlugin

from mine.errors import InputError
from mine.inputs import headers
from mine.inputs.headers import check_header
from mine.inputs.images import open_image
from mine.scene.photo import read_photo


def saved(kind: str, **options: object) -> bytes:
    """A photo of 64x48 pixels with detail, in a format."""
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    image.save(buffer := io.BytesIO(), kind, **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def in_gif(comment: bytes) -> bytes:
    """A GIF with a comment in front of its picture."""
    gif = saved("GIF")
    start = 13 + (3 << (gif[10] & 7) + 1)
    blocks = b"".join(bytes([len(part := comment[at : at + 255])]) + part for at in range(0, len(comment), 255))
    return gif[:start] + b"!\xfe" + blocks + b"\0" + gif[start:]


def bmp(width: int, height: int) -> bytes:
    """A BMP of one colour, compressed by run lengths."""
    rows = (bytes([width, 5]) + b"\0\0") * height + b"\0\1"
    start = 14 + 40 + 1024
    header = struct.pack("<LllHHLLllLL", 40, width, height, 1, 8, 1, len(rows), 2835, 2835, 256, 0)
    return b"BM" + struct.pack("<LLL", start + len(rows), 0, start) + header + bytes(range(256)) * 4 + rows


def jpeg_xl(height: int, width: int | None, ratio: int = 0) -> bytes:
    """The first bytes of a JPEG XL of a size below 2^18, written by the fields of its SizeHeader, lowest bit first."""
    sides = [0, (2, 2), (height - 1, 18), (ratio, 3)] + ([(2, 2), (width - 1, 18)] if width else [])
    at, bits = 1, 0
    for value, count in sides[1:]:
        bits, at = bits | value << at, at + count
    return b"\xff\x0a" + bits.to_bytes(8, "little")


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there `count` times."""
    jpeg = saved("JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * (count - 1) + b"\xff\xd9"


@pytest.mark.parametrize("size", [(16, 16), (640, 480), (131072, 77)])
def test_the_size_of_a_jpeg_xl_is_known_before_it_is_decoded(size: tuple[int, int]) -> None:
    width, height = size
    plain = jpeg_xl(height, width)
    container = headers.JPEG_XL[1] + struct.pack(">L4s8x", 16, b"ftyp") + struct.pack(">L4s", 0, b"jxlc") + plain
    for content in (plain, container):
        check_header(io.BytesIO(content), width * height)
        with pytest.raises(OSError, match=f"{width}x{height} pixels"):
            check_header(io.BytesIO(content), width * height - 1)
    with pytest.raises(OSError, match="1600x900 pixels"):
        check_header(io.BytesIO(jpeg_xl(900, None, ratio=5)), 1)


@pytest.mark.parametrize(
    ("content", "limit", "value", "told"),
    [
        (saved("JPEG", comment=b"a" * 600), "MAX_METADATA", 500, "metadata"),
        (saved("JPEG")[:2] + segment(0xE1, b"") * 40 + saved("JPEG")[2:], "MAX_SEGMENTS", 40, "metadata"),
        (saved("JPEG")[:20] + bytes(300) + saved("JPEG")[20:], "MAX_GAP", 200, "header is damaged"),
        (saved("JPEG")[:20] + (b"aaa" + segment(0xE1, b"")) * 10 + saved("JPEG")[20:], "MAX_GAP", 29, "damaged"),
        (scans(40), "MAX_SCANS", 39, "more than 39 passes"),
        (in_gif(b"a" * 900), "MAX_EXTENSIONS", 500, "comments"),
        (bmp(40, 30), "MAX_RUN_LENGTH_PIXELS", 1000, "compressed BMP of 40x30 pixels: save it as PNG"),
        (b"P2 16 16 9\n" + b"5 " * 256, "MAX_PLAIN", 500, "text"),
        (b"P2 16 16 9\n#\n#\n" + b"5 " * 256, "MAX_COMMENTS", 1, "text"),
        (saved("PNG"), "MAX_BYTES", 100, "more than the 100 that are read: shrink it first"),
        (saved("WEBP"), "MAX_BYTES_AT_ONCE", 50, "more than the 50"),
        (saved("AVIF"), "MAX_BYTES_AT_ONCE", 50, "more than the 50"),
    ],
    ids=range(12),
)
def test_what_no_program_writes_is_refused_and_what_they_write_is_read(
    content: bytes, limit: str, value: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo").write_bytes(content)
    assert read_photo(tmp_path / "photo").rgb.shape[0] == 3
    monkeypatch.setattr(headers, limit, value)
    with pytest.raises(InputError, match=told):
        read_photo(tmp_path / "photo")


def with_segments(marker: int, name: bytes, count: int) -> bytes:
    """A JPEG with that many segments of 65 kB in front of its picture."""
    return saved("JPEG")[:2] + segment(marker, name + bytes(65000)) * count + saved("JPEG")[2:]


@pytest.mark.parametrize(
    "content",
    [
        with_segments(0xE2, b"ICC_PROFILE", 255),
        with_segments(0xE1, b"http://ns.adobe.com/xmp/extension/", 500),
        with_segments(0xE1, b"Exif\0\0", 1),
        scans(20),
        in_gif(b"a" * 60000),
        b"P3 1920 1080 255\n" + b"255 " * (1920 * 1080 * 3),
    ],
    ids=["16 MB of ICC profile", "32 MB of XMP", "a long note", "20 passes", "60 kB of comment", "Full HD in text"],
)
def test_what_programs_write_passes(content: bytes) -> None:
    check_header(io.BytesIO(content), 1 << 20)


def test_exif_is_limited_more_than_other_metadata() -> None:
    with pytest.raises(OSError, match="metadata"):
        check_header(io.BytesIO(with_segments(0xE1, b"Exif\0\0", 300)), 1 << 20)


def test_segments_are_counted_as_pillow_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a marker that has no length to Pillow counts, whatever length is written there."""
    monkeypatch.setattr(headers, "MAX_SEGMENTS", 30)
    hidden = segment(0xE1, b"") * 40
    for content in (segment(0xD9, hidden), segment(0xC8, hidden), segment(0xF0, hidden), b"\xff\xd9" * 40):
        with pytest.raises(OSError, match="metadata"):
            check_header(io.BytesIO(saved("JPEG")[:2] + content + saved("JPEG")[2:]), 1 << 20)


def test_a_narrow_image_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (4000, 16)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="shrunk to 2048 pixels has 2048x9 pixels"):
        read_photo(tmp_path / "a.png")


def shared(entries: int, length: int, kind: int = 7, order: str = "<") -> bytes:
    """A TIFF of 32x32 pixels with further entries that all have the same bytes for a value."""
    tags = {256: 32, 257: 32, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 32, 279: 1024}
    tags[273] = start = 8 + 2 + 12 * (entries + len(tags)) + 4
    rows = [struct.pack(order + "HHLL", tag, 4, 1, value) for tag, value in tags.items()]
    rows += [struct.pack(order + "HHLL", 1000 + number, kind, length, start) for number in range(entries)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    return head + struct.pack(order + "H", len(rows)) + b"".join(rows) + bytes(4) + b"\x80" * max(1024, length)


@pytest.mark.parametrize("order", "<>")
def test_entries_that_share_a_value_are_not_read(order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as the directory of a TIFF nor as EXIF data, which are taken for none."""
    hostile = shared(60, 3000, order=order)
    reads: list[int] = []
    read = TiffImagePlugin.ImageFile._safe_read
    monkeypatch.setattr(
        TiffImagePlugin.ImageFile, "_safe_read", lambda file, size: reads.append(size) or read(file, size)
    )
    for name in ("a.jpg", "a.png", "a.webp", "a.avif"):
        content = saved(name[2:].replace("jpg", "jpeg"), exif=b"Exif\0\0" + hostile)
        (tmp_path / name).write_bytes(content)
        reads.clear()
        assert read_photo(tmp_path / name).fov is None
        assert reads.count(3000) == 0, name
    (tmp_path / "a.tif").write_bytes(hostile)
    with pytest.raises(InputError, match=r"a\.tif is a TIFF of a kind that is not read"):
        read_photo(tmp_path / "a.tif")
    assert reads.count(3000) == 0
    for content in (shared(1, 3000, order=order), shared(2, 3000, order=order)):
        (tmp_path / "a.tif").write_bytes(content)
        assert read_photo(tmp_path / "a.tif").rgb.shape[1:] == (32, 32)


def test_a_directory_has_few_entries_and_few_numbers(tmp_path: Path) -> None:
    for content in (shared(1000, 1), shared(1, 1 << 22, kind=4)):
        (tmp_path / "a.tif").write_bytes(content + bytes(1 << 25))
        with pytest.raises(OSError, match="TIFF of a kind"), open_image(tmp_path / "a.tif"):
            pass
