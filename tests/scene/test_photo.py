"""Photos of every kind a person may have, made here, and what comes out of them."""

import io
import struct
import warnings
import zlib
from inspect import unwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from torch import Tensor

from mine.errors import InputError, InputWarning
from mine.scene import photo
from mine.scene.limits import LARGEST_SIDE, MAX_SIDE
from mine.scene.photo import read_photo

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH = 40, 60


def picture() -> np.ndarray:
    """(40, 60, 3) uint8: smooth, every corner of another colour, so that no turn or flip looks like another."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y * 3], axis=-1).astype(np.uint8)


def as_array(rgb: Tensor) -> np.ndarray:
    return (rgb * 255).round().to(torch.uint8).movedim(0, 2).numpy()


def exif_of(**tags: object) -> Image.Exif:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        (exif if name == "Orientation" else details)[ExifTags.Base[name]] = value
    return exif


# Files


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.tiff", {}, 0),
        ("a.bmp", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.JPG", {"quality": 95, "format": "JPEG"}, 8),
        ("a.avif", {"quality": 95}, 8),
        ("no_extension", {"format": "PNG"}, 0),
    ],
)
def test_formats(tmp_path: Path, name: str, options: dict[str, object], tolerance: int) -> None:
    file = tmp_path / name
    Image.fromarray(picture()).save(file, **options)
    for source in (file, str(file)):
        rgb, fov = read_photo(source)
        assert rgb.shape == (3, HEIGHT, WIDTH) and rgb.dtype == torch.float32 and rgb.is_contiguous() and fov is None
        assert np.abs(as_array(rgb).astype(int) - picture()).max() <= tolerance


def test_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = tmp_path / "a.heic"
    try:
        pillow_heif.from_pillow(Image.fromarray(picture())).save(file, quality=95)
    except RuntimeError as error:
        pytest.skip(f"this build cannot write HEIC: {error}")
    assert np.abs(as_array(read_photo(file).rgb).astype(int) - picture()).max() <= 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_exif_orientation(tmp_path: Path, orientation: int, extension: str) -> None:
    """Each stored picture is the upright one, transformed by the inverse of what its tag asks for (EXIF 4.6.4)."""
    stored_from_upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }
    stored = np.ascontiguousarray(stored_from_upright[orientation](picture()))
    file = tmp_path / f"a.{extension}"
    Image.fromarray(stored).save(file, exif=exif_of(Orientation=orientation), quality=95)
    for source in (file, Image.open(file)):
        seen = as_array(read_photo(source).rgb)
        assert seen.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(seen.astype(int) - picture()).max() <= 8


def test_grey_and_16_bits(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    Image.fromarray(grey.astype(np.uint16)).save(tmp_path / "16.png")
    Image.fromarray(grey.astype(np.uint16)).save(tmp_path / "16.tiff")
    Image.fromarray((grey / 257).round().astype(np.uint8)).save(tmp_path / "8.png")
    Image.fromarray((grey / 65535).astype(np.float32)).save(tmp_path / "float.tiff")
    for name in ("16.png", "16.tiff", "8.png", "float.tiff"):
        rgb = read_photo(tmp_path / name).rgb
        assert (rgb - torch.from_numpy(grey / 65535)).abs().max() <= 0.6 / 255, name


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG from its parts, for what Pillow cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_16_bit_colour(tmp_path: Path) -> None:
    wide = (picture().astype(">u2") * 257).reshape(HEIGHT, -1)
    (tmp_path / "a.png").write_bytes(png(WIDTH, HEIGHT, 16, 2, b"".join(b"\0" + row.tobytes() for row in wide)))
    np.testing.assert_array_equal(as_array(read_photo(tmp_path / "a.png").rgb), picture())


def test_palette_and_first_frame(tmp_path: Path) -> None:
    flat = picture() // 64 * 64
    first = Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE)
    first.save(tmp_path / "a.png")
    first.save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("P", first.size)])
    for name in ("a.png", "a.gif"):
        np.testing.assert_array_equal(as_array(read_photo(tmp_path / name).rgb), flat)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    alpha[:, 20:40], alpha[:, 40:] = 128, 255
    Image.fromarray(np.concatenate([picture(), alpha], axis=-1)).save(tmp_path / "rgba.png")
    seen = as_array(read_photo(tmp_path / "rgba.png").rgb).astype(int)
    assert (seen[:, :20] == 255).all()
    np.testing.assert_allclose(seen[:, 20:40], (picture()[:, 20:40].astype(int) * 128 + 255 * 127) / 255, atol=1)
    np.testing.assert_array_equal(seen[:, 40:], picture()[:, 40:])
    grey = Image.fromarray(picture()[:, :, 0]).convert("LA")
    grey.putalpha(0)
    grey.save(tmp_path / "la.png")
    assert (read_photo(tmp_path / "la.png").rgb == 1).all()
    palette = Image.new("P", (WIDTH, HEIGHT), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "p.png", transparency=1)
    assert (read_photo(tmp_path / "p.png").rgb == 1).all()


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(as_array(read_photo(tmp_path / "a.jpg").rgb)[20, 30], [255, 0, 0], atol=3)


def profile_with_swapped_colours() -> bytes:
    """sRGB whose red and green primaries have changed places: what is red through it is green in sRGB."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12):
        swapped = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}
        tag = bytes(data[entry : entry + 4])
        data[entry : entry + 4] = swapped.get(tag, tag)
    return bytes(data)


def test_colours_follow_the_embedded_profile(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png", icc_profile=profile_with_swapped_colours())
    seen = as_array(read_photo(tmp_path / "a.png").rgb).astype(int)
    np.testing.assert_allclose(seen, picture()[:, :, [1, 0, 2]], atol=3)


def test_a_broken_or_foreign_profile_is_ignored(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    np.testing.assert_array_equal(as_array(read_photo(tmp_path / "broken.png").rgb), picture())
    grey = picture()[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "grey.png", icc_profile=profile_with_swapped_colours())
    np.testing.assert_array_equal(as_array(read_photo(tmp_path / "grey.png").rgb), np.stack([grey] * 3, -1))


def test_large_photos_are_shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "MAX_SIDE", 64)
    large = Image.fromarray(picture()).resize((600, 400))
    for name in ("a.png", "a.jpg"):
        large.save(tmp_path / name, exif=exif_of(FocalLengthIn35mmFilm=28, Orientation=1))
        rgb, fov = read_photo(tmp_path / name)
        assert rgb.shape in ((3, 43, 64), (3, 42, 64))
        assert fov == pytest.approx(read_photo(Image.open(tmp_path / name)).fov), "as before shrinking"
    for source in (np.array(large), torch.from_numpy(np.array(large)).movedim(2, 0) / 255):
        rgb = read_photo(source).rgb
        assert rgb.shape == (3, 43, 64)
        assert (rgb[:, 20, 32] - torch.from_numpy(picture()[20, 30] / 255)).abs().max() < 0.05


# Field of view


def fov_of(tmp_path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **tags: object) -> float | None:
    file = tmp_path / "a.jpg"
    Image.new("RGB", size).save(file, exif=exif_of(**tags))
    return read_photo(file).fov


def test_field_of_view_from_35mm_equivalent(tmp_path: Path) -> None:
    """On a 3:2 picture the equivalent is that of a 36 mm wide frame; upright pictures are 24 mm wide."""
    assert fov_of(tmp_path, FocalLengthIn35mmFilm=18) == pytest.approx(90)
    upright = np.degrees(2 * np.arctan(12 / 18))
    assert fov_of(tmp_path, FocalLengthIn35mmFilm=18, Orientation=6) == pytest.approx(upright)
    assert fov_of(tmp_path, (HEIGHT, WIDTH), FocalLengthIn35mmFilm=18) == pytest.approx(upright)


@pytest.mark.parametrize(("unit", "per_mm"), [(2, 25.4), (3, 10), (4, 1)])
def test_field_of_view_from_the_sensor(tmp_path: Path, unit: int, per_mm: float) -> None:
    """A 6 mm wide sensor behind a 3 mm lens sees 90°: 60 pixels are 10 per mm."""
    tags = {"FocalLength": 3.0, "FocalPlaneXResolution": 10 * per_mm, "FocalPlaneResolutionUnit": unit}
    assert fov_of(tmp_path, **tags) == pytest.approx(90, abs=0.1)
    assert fov_of(tmp_path, (120, 80), ExifImageWidth=60, **tags) == pytest.approx(90, abs=0.1), "enlarged since"
    upright = np.degrees(2 * np.arctan(HEIGHT / WIDTH))
    assert fov_of(tmp_path, Orientation=8, **tags) == pytest.approx(upright, abs=0.1)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"FocalLengthIn35mmFilm": 0},
        {"FocalLength": 3.0},
        {"FocalLength": 3.0, "FocalPlaneXResolution": 0.0},
        {"FocalLength": 3.0, "FocalPlaneXResolution": 10.0, "FocalPlaneResolutionUnit": 9},
        {"FocalLengthIn35mmFilm": 1},
        {"FocalLengthIn35mmFilm": 60000},
        {"FocalLength": 1e-30, "FocalPlaneXResolution": 1e-30, "ExifImageWidth": 4e9},
        {"FocalLength": b"\xff", "FocalPlaneXResolution": "text"},
    ],
)
def test_nonsense_says_nothing_of_the_field_of_view(tmp_path: Path, tags: dict[str, object]) -> None:
    assert fov_of(tmp_path, **tags) is None


def test_damaged_exif_does_not_cost_the_photo(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    rgb, fov = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(as_array(rgb), picture())
    assert fov is None


# Arrays and tensors


def test_arrays_and_tensors_keep_their_values() -> None:
    tensor = torch.from_numpy(picture()).movedim(2, 0)
    for source in (picture(), picture()[:, ::-1][:, ::-1], tensor, Image.fromarray(picture())):
        np.testing.assert_array_equal(as_array(read_photo(source).rgb), picture())
    exact = torch.rand(3, HEIGHT, WIDTH)
    torch.testing.assert_close(read_photo(exact).rgb, exact, atol=0, rtol=0)
    torch.testing.assert_close(read_photo(exact.movedim(0, 2).double().numpy()).rgb, exact, atol=1e-7, rtol=0)
    torch.testing.assert_close(read_photo(exact.bfloat16().requires_grad_()).rgb, exact.bfloat16().float())


def test_arrays_of_any_byte_order_and_width_are_read() -> None:
    colours = picture() / 255
    for kind in (">f4", "<f4", ">f8", "f2", "longdouble"):
        np.testing.assert_allclose(read_photo(colours.astype(kind)).rgb.movedim(0, 2), colours, atol=1e-3)


def test_the_callers_data_stay_as_they_are() -> None:
    """Neither the tensor given nor the one returned changes with the other."""
    source = torch.rand(3, HEIGHT, WIDTH)
    read_photo(source).rgb.zero_()
    assert source.max() > 0.5
    image = Image.fromarray(picture()).resize((3000, 2000))
    read_photo(image)
    assert image.size == (3000, 2000)


def test_resampling_overshoot_is_clamped() -> None:
    source = torch.full((3, 16, 16), 1.0005)
    source[0] = -0.0005
    rgb = read_photo(source).rgb
    assert rgb.min() == 0 and rgb.max() == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (np.zeros((32, 32)), r"shape \(32, 32\)"),
        (np.zeros((3, 32, 32)), "shape"),
        (np.zeros((32, 32, 4), np.uint8), "shape"),
        (torch.zeros(32, 32, 3), "shape"),
        (torch.zeros(1, 3, 32, 32), "shape"),
        (np.full((32, 32, 3), np.nan), "nan"),
        (np.full((32, 32, 3), np.inf), "inf"),
        (np.full((32, 32, 3), 255.0), "255"),
        (torch.full((3, 32, 32), -0.5), "-0.5"),
        (np.zeros((32, 32, 3), np.int64), "int64"),
        (np.zeros((32, 32, 3), np.complex64), "complex64"),
        (np.zeros((32, 32, 3), object), "object"),
        (np.full((32, 32, 3), "a"), "<U1"),
        (torch.zeros(3, 15, 32), "32x15"),
        (np.zeros((0, 32, 3)), "32x0"),
        (Image.new("RGB", (1, 1)), "1x1"),
        (42, "int"),
        (b"bytes", "bytes"),
    ],
)
def test_what_is_no_photo_is_refused(source: object, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        unwrap(read_photo)(source)  # without the check of its annotations
    assert "\n" not in str(caught.value)


# Files that are no photos


def jpeg() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"just some text, no image", "not an image"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "damaged"),
        (jpeg()[:700], "damaged"),
        (png(64, 64, 8, 2, bytes(10)), "damaged"),
        (png(1, 1, 8, 2, bytes(4)), "1x1"),
        (png(60, 15, 8, 2, bytes(15 * 181)), "60x15"),
        (png(30000, 30000, 8, 2, b""), "million"),
        (png(13370, 13350, 8, 2, b""), "million"),
        (png(20, 4000, 8, 2, bytes(4000 * 61)), "shrunk"),
    ],
)
def test_files_that_are_no_photos_are_told_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "photo.bin"
    file.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught:
        read_photo(file)
    assert "photo.bin" in str(caught.value) and "\n" not in str(caught.value)


@given(cut=st.integers(0, 1500), at=st.integers(0, 1500), value=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_damaged_files_give_a_photo_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, value: int
) -> None:
    data = bytearray(jpeg())
    data[at % len(data)] = value
    file = tmp_path_factory.getbasetemp() / "damaged.jpg"
    file.write_bytes(data[: len(data) - cut])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            assert read_photo(file).rgb.isfinite().all()
    except InputError as error:
        assert "\n" not in str(error)


def test_more_of_a_photo_is_kept_on_request() -> None:
    large = np.zeros((60, LARGEST_SIDE + 100, 3), np.uint8)
    assert max(read_photo(large).rgb.shape) == MAX_SIDE
    assert max(read_photo(large, 3000).rgb.shape) == 3000
    assert max(read_photo(Image.fromarray(large), 3000).rgb.shape) == 3000
    assert max(read_photo(large, 10**6).rgb.shape) == LARGEST_SIDE
    assert max(read_photo(large[:, :100], 3000).rgb.shape) == 100
