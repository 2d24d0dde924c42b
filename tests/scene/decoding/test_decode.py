"""Files that cameras and editors write, beyond what every viewer agrees on: right, or refused by name."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from mine.errors import InputError, InputWarning
from mine.inputs import images
from mine.scene.decoding import colour_code_points
from mine.scene.photo import read_photo

QUADRANTS = np.array([[(200, 40, 40), (40, 180, 60)], [(40, 60, 200), (220, 210, 50)]], np.uint8)


def quad(width: int = 96, height: int = 64) -> np.ndarray:
    """(H, W, 3) uint8: red, green / blue, yellow."""
    return QUADRANTS.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def seen(path: Path) -> np.ndarray:
    """(2, 2, 3) colours in the middle of the quadrants of the photo in a file."""
    rgb = (read_photo(path).rgb * 255).round().movedim(0, 2).numpy()
    height, width = rgb.shape[:2]
    return rgb[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2]


# Names and formats


@pytest.mark.parametrize("name", ["IMG_0001.HEIC", "DSC0001.HIF", "a.heif", "no_ending", "wrong.jpg"])
def test_heic_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(quad())).save(tmp_path / name, quality=95)
    np.testing.assert_allclose(seen(tmp_path / name), QUADRANTS, atol=10)


def test_heic_is_turned_by_exif_where_nothing_else_says_how(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 28
    pillow_heif.register_heif_opener()
    Image.fromarray(quad()).save(tmp_path / "miaf.heic", format="HEIF", quality=95, exif=exif)
    content = (tmp_path / "miaf.heic").read_bytes().replace(b"irot", b"free")
    (tmp_path / "miaf.heic").write_bytes(content)
    assert b"miaf" in content
    (tmp_path / "camera.HIF").write_bytes(content.replace(b"miaf", b"heic"))
    (tmp_path / "irot.heic").write_bytes(content.replace(b"miaf", b"heic") + b"irot")
    np.testing.assert_allclose(seen(tmp_path / "miaf.heic"), QUADRANTS, atol=10)  # MIAF: EXIF is to be ignored
    np.testing.assert_allclose(seen(tmp_path / "irot.heic"), QUADRANTS, atol=10)
    np.testing.assert_allclose(seen(tmp_path / "camera.HIF"), np.rot90(QUADRANTS, 3), atol=10)
    assert read_photo(tmp_path / "camera.HIF").rgb.shape == (3, 96, 64)
    fov, upright = (read_photo(tmp_path / name).fov for name in ("miaf.heic", "camera.HIF"))
    assert fov == pytest.approx(65.2, abs=0.5) and upright == pytest.approx(46.2, abs=0.5)


@pytest.mark.parametrize("name", ["A.AVIF", "a.JPG", "A.TIF", "b.WEBP", "c.PNG"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    kind = {"A.AVIF": "AVIF", "a.JPG": "JPEG", "A.TIF": "TIFF", "b.WEBP": "WEBP", "c.PNG": "PNG"}[name]
    Image.fromarray(quad()).save(tmp_path / name, format=kind, quality=95)
    np.testing.assert_allclose(seen(tmp_path / name), QUADRANTS, atol=10)


def test_jpeg_xl_is_read_with_its_plugin_and_else_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jxl"
    for head in (b"\xff\x0a" + bytes(60), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60)):
        path.write_bytes(head)
        with monkeypatch.context() as patch:
            patch.setattr(images, "find_spec", lambda name: None)
            with pytest.raises(InputError, match=r'a\.jxl is JPEG XL: pip install "mine\[photos\]" to read it'):
                read_photo(path)
    __import__("pillow_jxl")
    for name in ("photo.JXL", "no_ending"):
        Image.fromarray(quad()).save(tmp_path / name, format="JXL")
        np.testing.assert_allclose(seen(tmp_path / name), QUADRANTS, atol=10)


# TIFF


def tiff(path: Path, pixels: np.ndarray, **tags: int) -> Path:
    """Writes a TIFF with further tags, by name."""
    numbers = {"subfile": 254, "photometric": 262, "dng": 50706}
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[numbers[name]] = bytes([1, 4, 0, 0]) if name == "dng" else value
        info.tagtype[numbers[name]] = 1 if name == "dng" else 4
    Image.fromarray(pixels).save(path, format="TIFF", tiffinfo=info)
    return path


def test_a_thumbnail_before_the_photo_is_passed_over(tmp_path: Path) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[254] = 1
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tif"), new=True) as file:
        Image.fromarray(quad(32, 32)).save(file, format="TIFF", tiffinfo=info)
        file.newFrame()
        Image.fromarray(quad()).save(file, format="TIFF")
    assert read_photo(tmp_path / "a.tif").rgb.shape == (3, 64, 96)


# JPEGs that are cut, or large


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 20, 300])
def test_a_jpeg_without_its_last_bytes_is_used_with_a_warning(tmp_path: Path, lost: int, progressive: bool) -> None:
    noise(320, 640).save(tmp_path / "whole.jpg", quality=90, progressive=progressive)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-lost])
    with pytest.warns(InputWarning, match=r"cut\.jpg breaks off before its end") as caught:
        cut = read_photo(tmp_path / "cut.jpg").rgb
    assert len(caught) == 1
    kept = slice(0, 624)  # all but the last row of blocks
    assert (cut - read_photo(tmp_path / "whole.jpg").rgb)[:, kept].abs().mean() < 0.01


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_a_jpeg_is_refused(tmp_path: Path, part: float) -> None:
    noise(320, 640).save(tmp_path / "whole.jpg", quality=90)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match=r"cut\.jpg is damaged or cut short"):
        read_photo(tmp_path / "cut.jpg")


def test_jpegs_are_limited_by_what_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16320x12240, as phones write, is decoded at a quarter of its size; a PNG as large is refused."""
    image = Image.new("L", (16320, 12240), 90)
    image.save(tmp_path / "large.jpg", quality=1)
    assert read_photo(tmp_path / "large.jpg").rgb.shape == (3, 1536, 2048)
    monkeypatch.setattr(images, "MAX_JPEG_PIXELS", 10**8)
    with pytest.raises(InputError, match="million pixels: shrink it"):
        read_photo(tmp_path / "large.jpg")


# Colours


def swapped_profile(space: bytes = b"RGB ") -> bytes:
    """sRGB whose red and green have changed places, or a grey profile of gamma 1 for b"GRAY"."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    if space == b"GRAY":
        curve = b"curv\0\0\0\0\0\0\0\0"  # of no entries: linear
        white = b"XYZ \0\0\0\0" + struct.pack(">iii", int(0.9642 * 65536), 65536, int(0.8249 * 65536))
        tags, at = [(b"wtpt", white), (b"kTRC", curve)], 128 + 4 + 24
        table, body = b"", b""
        for name, content in tags:
            table += struct.pack(">4sII", name, at + len(body), len(content))
            body += content
        header = bytearray(data[:128])
        header[16:20] = b"GRAY"
        profile = header + struct.pack(">I", len(tags)) + table + body
        profile[0:4] = struct.pack(">I", len(profile))
        return bytes(profile)
    swapped = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}
    for entry in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12):
        tag = bytes(data[entry : entry + 4])
        data[entry : entry + 4] = swapped.get(tag, tag)
    return bytes(data)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_follows_its_profile_with_and_without_alpha(tmp_path: Path, mode: str) -> None:
    """A quarter of the light is 137 in sRGB."""
    Image.new("L", (32, 32), 64).convert(mode).save(tmp_path / "a.png", icc_profile=swapped_profile(b"GRAY"))
    assert seen(tmp_path / "a.png") == pytest.approx(137, abs=2)


def test_alpha_does_not_hide_the_profile(tmp_path: Path) -> None:
    pixels = np.dstack([quad(), np.full((64, 96), 255, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=swapped_profile())
    np.testing.assert_allclose(seen(tmp_path / "a.png"), QUADRANTS[..., [1, 0, 2]], atol=4)


def test_lab_is_converted(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        Image.fromarray(quad()), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "a.tif")
    np.testing.assert_allclose(seen(tmp_path / "a.tif"), QUADRANTS, atol=10)


def in_p3(colours: np.ndarray) -> np.ndarray:
    """sRGB colours as Display P3 encodes them, by the matrix of CSS Color 4."""
    matrix = np.array([[0.8224620, 0.1775380, 0], [0.0331942, 0.9668058, 0], [0.0170826, 0.0723974, 0.9105199]])
    value = colours / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) @ matrix.T
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().astype(np.uint8)


def with_cicp(path: Path, codes: tuple[int, int]) -> None:
    """Adds a cICP chunk to a PNG, after its header."""
    data = path.read_bytes()
    body = b"cICP" + bytes([*codes, 0, 1])
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])


def test_colours_follow_the_code_points_of_png_heic_and_avif(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.fromarray(in_p3(quad()))
    image.save(tmp_path / "a.png")
    with_cicp(tmp_path / "a.png", (12, 13))
    pillow_heif.register_heif_opener()
    nclx = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
    image.save(tmp_path / "a.heic", quality=95, save_nclx_profile=True, nclx_profile=nclx)
    image.save(tmp_path / "a.avif", quality=95)
    data = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.avif").write_bytes(data.replace(b"colrnclx\0\1", b"colrnclx\0\x0c"))
    for name in ("a.png", "a.heic", "a.avif"):
        np.testing.assert_allclose(seen(tmp_path / name), QUADRANTS, atol=10, err_msg=name)


def test_code_points_of_a_png_take_the_place_of_its_profile(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"?XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"?XYZ", b"gXYZ", 1)
    told = {(12, 13): in_p3(quad()), (1, 13): quad(), (2, 2): quad()[..., [1, 0, 2]], (1, 2): quad()[..., [1, 0, 2]]}
    for codes, pixels in told.items():
        Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=swapped)
        with_cicp(tmp_path / "a.png", codes)
        np.testing.assert_allclose(seen(tmp_path / "a.png"), QUADRANTS, atol=4, err_msg=str(codes))


def test_code_points_of_srgb_change_nothing(tmp_path: Path) -> None:
    Image.fromarray(quad()).save(tmp_path / "a.png")
    for codes in ((1, 13), (1, 1), (2, 2), (99, 13)):
        with_cicp(tmp_path / "a.png", codes)
        np.testing.assert_array_equal(seen(tmp_path / "a.png"), QUADRANTS)


@pytest.mark.parametrize(("transfer", "white"), [(colour_code_points.PQ, 0.5807), (colour_code_points.HLG, 0.75)])
def test_the_white_of_hdr_is_nearly_white_and_order_is_kept(transfer: int, white: float) -> None:
    """203 of 10000 nits are 58 % of PQ's range and 75 % of HLG's (ITU-R BT.2408)."""
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    shown = colour_code_points.to_srgb(ramp, colour_code_points.ColourCodes(9, transfer))[0].astype(int)
    assert (np.diff(shown[:, 0]) >= 0).all() and np.abs(shown - shown[:, :1]).max() <= 1
    assert shown[0, 0] == 0 and shown[255, 0] >= 253
    assert 225 <= shown[round(white * 255), 0] <= 252


# More than 8 bits


def test_12_bits_in_16_are_as_bright_as_taken(tmp_path: Path) -> None:
    ramp = np.linspace(0, 4095, 64 * 96).reshape(64, 96).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    with pytest.warns(InputWarning, match="12 bits"):
        rgb = read_photo(tmp_path / "a.tif").rgb
    np.testing.assert_allclose(rgb[0], ramp / 4095, atol=0.6 / 255)


def test_white_is_zero_in_16_bits_too(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 96).reshape(64, 96).astype(np.uint16)
    tiff(tmp_path / "a.tif", ramp, photometric=0)
    np.testing.assert_allclose(read_photo(tmp_path / "a.tif").rgb[0], 1 - ramp / 65535, atol=0.6 / 255)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.linspace(0, 255, 64 * 64, dtype=np.float32), r"float values from 0 to 255"),
        (np.linspace(-1, 1, 64 * 64, dtype=np.float32), r"float values from -1 to 1"),
        (np.linspace(0, 2**30, 64 * 64).astype(np.int32), r"values from 0 to 1073741824"),
    ],
)
def test_values_of_another_scale_are_refused(tmp_path: Path, values: np.ndarray, told: str) -> None:
    Image.fromarray(values.reshape(64, 64)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=told):
        read_photo(tmp_path / "a.tif")


def colour_tiff(path: Path, pixels: np.ndarray, planar: int, form: int = 1) -> Path:
    """Writes an uncompressed colour TIFF of 16 or 32 bits, with interleaved (1) or separate (2) planes."""
    height, width = pixels.shape[:2]
    data = pixels.transpose(2, 0, 1).tobytes() if planar == 2 else pixels.tobytes()
    each = len(data) // 3 if planar == 2 else len(data)
    parts = 3 if planar == 2 else 1
    bits, at = 8 * pixels.itemsize, 8 + len(data)
    extra = struct.pack("<3H", *[bits] * 3) + struct.pack("<3H", *[form] * 3)
    offsets, counts = at + len(extra), at + len(extra) + 4 * parts
    extra += struct.pack(f"<{parts}I", *(8 + i * each for i in range(parts))) + struct.pack(
        f"<{parts}I", *[each] * parts
    )
    strip = (8, each) if parts == 1 else (offsets, counts)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, at), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, parts, strip[0]), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, parts, strip[1])]
    tags += [(284, 3, 1, planar), (339, 3, 3, at + 6)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, at + len(extra)) + data + extra + directory)
    return path


def test_colour_of_16_bits_is_right_or_refused(tmp_path: Path) -> None:
    wide = quad().astype(np.uint16) * 257
    np.testing.assert_allclose(seen(colour_tiff(tmp_path / "a.tif", wide, 1)), QUADRANTS, atol=1)
    for name, pixels, planar, told in (
        ("planar.tif", wide, 2, "separate planes of 16 bits"),
        ("dark.tif", wide // 16, 1, "at most 12 bits"),
    ):
        with pytest.raises(InputError, match=told):
            read_photo(colour_tiff(tmp_path / name, pixels, planar))
    with pytest.raises(InputError, match=r"float\.tif is a TIFF of a kind that is not read"):
        read_photo(colour_tiff(tmp_path / "float.tif", quad().astype(np.float32) / 255, 1, form=3))


# Field of view


def fov_of(path: Path, size: tuple[int, int], **tags: object) -> float | None:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        (exif if name == "Orientation" else details)[ExifTags.Base[name]] = value
    Image.new("RGB", size).save(path, exif=exif)
    return read_photo(path).fov


SENSOR = {"FocalLength": 18.0, "FocalPlaneXResolution": 4000 / 36, "FocalPlaneResolutionUnit": 4}
SENSOR |= {"ExifImageWidth": 4000, "ExifImageHeight": 2667}
"""36x24 mm behind a lens of 18 mm, which is 90 degrees across and 67 degrees upright"""


def test_field_of_view_of_turned_photos(tmp_path: Path) -> None:
    upright = np.degrees(2 * np.arctan(12 / 18))
    path = tmp_path / "a.jpg"
    assert fov_of(path, (400, 267), **SENSOR) == pytest.approx(90, abs=0.2)
    assert fov_of(path, (400, 267), Orientation=6, **SENSOR) == pytest.approx(upright, abs=0.2)
    assert fov_of(path, (267, 400), **SENSOR) == pytest.approx(upright, abs=0.2), "turned by software"
    assert fov_of(path, (267, 400), FocalLengthIn35mmFilm=18) == pytest.approx(upright, abs=0.2)


@pytest.mark.parametrize("factor", [0.01, 0.1, 30])
def test_sensors_that_nobody_builds_say_nothing(tmp_path: Path, factor: float) -> None:
    tags = SENSOR | {"FocalPlaneXResolution": 4000 / 36 * factor}
    assert fov_of(tmp_path / "a.jpg", (400, 267), **tags) is None


def test_a_photo_in_order_warns_of_nothing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise(64, 64).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_photo(tmp_path / "a.jpg")
