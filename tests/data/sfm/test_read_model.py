"""Captures whose text files come from other systems and programs."""

from pathlib import Path

import numpy as np
import pytest
from colmap_scene import HEIGHT, WIDTH, write_scene
from PIL import Image

from mine.data.sfm.capture import read_capture
from mine.errors import InputError

CENTRES = [(0, 0, 0), (0.2, 0, 0), (0.4, 0, 0)]


def rename(folder: Path, old: str, new: str, stored: str | None = None) -> None:
    """Renames an image to `new`, which images.txt calls `stored`."""
    (folder / "images" / new).parent.mkdir(parents=True, exist_ok=True)
    (folder / "images" / old).rename(folder / "images" / new)
    text = folder / "sparse" / "0" / "images.txt"
    text.write_text(text.read_text().replace(f" {old}\n", f" {stored or new}\n"), encoding="utf-8")


def test_names_with_spaces(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "scene", CENTRES)
    rename(folder, "01.png", "A-DJI 01 (402).png")
    rename(folder, "02.png", "day 1/Straße 2.png")
    names = [
        picture.path.relative_to(folder / "images").as_posix() for picture in read_capture(folder, (HEIGHT, WIDTH))
    ]
    assert names == ["03.png", "A-DJI 01 (402).png", "day 1/Straße 2.png"]


@pytest.mark.parametrize("binary", [False, True])
def test_backslashes_of_windows(tmp_path: Path, binary: bool) -> None:
    from mine.data.sfm.colmap_library import pycolmap

    folder = write_scene(tmp_path / "scene", CENTRES)
    rename(folder, "01.png", "left/01.png", "left\\01.png")
    if binary:
        model = folder / "sparse" / "0"
        pycolmap.Reconstruction(model).write_binary(model)
        for text in model.glob("*.txt"):
            text.unlink()
    assert (folder / "images/left/01.png") in [picture.path for picture in read_capture(folder, (HEIGHT, WIDTH))]


def test_backslashes_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "scene", CENTRES)
    rename(folder, "01.png", "01b.png", "..\\..\\secret.png")
    with pytest.raises(InputError, match="outside its folder"):
        read_capture(folder, (HEIGHT, WIDTH))


def test_byte_order_marks(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "scene", CENTRES)
    before = read_capture(folder, (HEIGHT, WIDTH))
    for text in (folder / "sparse" / "0").glob("*.txt"):
        text.write_bytes(b"\xef\xbb\xbf# made on Windows\r\n" + text.read_bytes().replace(b"\n", b"\r\n"))
    after = read_capture(folder, (HEIGHT, WIDTH))
    assert [picture.path for picture in after] == [picture.path for picture in before]
    np.testing.assert_array_equal(after[1].points, before[1].points)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_pictures_of_many_grey_levels_show_what_they_hold(tmp_path: Path, mode: str) -> None:
    """Pillow's own conversion makes all above 255 white."""
    folder = write_scene(tmp_path / "scene", CENTRES)
    path = folder / "images" / "01.png"
    before = np.asarray(read_capture(folder, (HEIGHT, WIDTH))[0].load())
    grey = before[..., 0].astype(np.float32) / 255
    levels = grey if mode == "F" else (grey * 65535).round().astype(np.uint16 if mode == "I;16" else np.int32)
    with Image.fromarray(levels) as image:
        assert image.mode == mode
        image.save(path, format="TIFF")  # whatever its name says
    np.testing.assert_array_equal(np.asarray(read_capture(folder, (HEIGHT, WIDTH))[0].load()), before)


def test_a_picture_with_values_out_of_range_cannot_be_decoded(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "scene", CENTRES)
    Image.fromarray(np.full((HEIGHT, WIDTH), 70000, np.int32)).save(folder / "images" / "01.png", format="TIFF")
    with pytest.raises(OSError, match=r"01\.png cannot be decoded .*70000"):
        read_capture(folder, (HEIGHT, WIDTH))[0].load()


def test_a_picture_is_turned_where_its_camera_has_the_upright_shape(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "scene", CENTRES)
    whole = read_capture(folder, (HEIGHT, WIDTH))[0].load()
    path = folder / "images" / "01.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).rotate(90, expand=True).save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(read_capture(folder, (HEIGHT, WIDTH))[0].load()), np.asarray(whole))


@pytest.mark.parametrize("orientation", [6, 8])
def test_a_picture_that_lies_on_its_side_as_its_camera_does_is_made_upright(tmp_path: Path, orientation: int) -> None:
    folder = write_scene(tmp_path / "scene", CENTRES)
    stored = read_capture(folder, (HEIGHT, WIDTH))[0]
    pixels = np.asarray(stored.load())
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(stored.path).save(stored.path, exif=exif)
    upright = read_capture(folder, (HEIGHT, WIDTH))[0]
    assert upright.size == (WIDTH, HEIGHT), "width and height are exchanged"
    np.testing.assert_array_equal(np.asarray(upright.load()), np.rot90(pixels, -1 if orientation == 6 else 1))
    points = np.array([[0.3, -0.2, 0.1], [0.1, 0.4, -0.3], [4.0, 5.0, 6.0]])
    x, y = stored.project(stored.in_camera(points))
    expected = (HEIGHT - 1 - y, x) if orientation == 6 else (y, WIDTH - 1 - x)
    np.testing.assert_allclose(upright.project(upright.in_camera(points)), expected, atol=1e-9)
    np.testing.assert_allclose(upright.centre, stored.centre, atol=1e-12)
    assert np.linalg.det(upright.pose[:3, :3]) == pytest.approx(1)
    small = read_capture(folder, (20, 10))[0]
    assert small.size[0] >= 20 and small.size[1] >= 10, "a crop of that size fits into the upright picture"
