"""Raw photos: the camera's own picture of them, or what LibRaw develops, upright; refused by name without rawpy."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from raw_photo import write_dng

from mine.data.sfm.pictures import prepare
from mine.errors import InputError
from mine.inputs import raw
from mine.scene.decoding.decode import decode_file
from mine.scene.exif import horizontal_fov, read_exif
from mine.scene.photo import read_photo

COLOURS = np.array([[(200, 40, 40), (40, 180, 60)], [(40, 60, 200), (220, 210, 50)]], np.uint8)
SENSOR = COLOURS.repeat(120, 0).repeat(160, 1)
LINEAR = ((SENSOR / 255) ** 2.2 * 255).astype(np.uint8)

ORIENTATIONS = {1: 0, 3: 2, 6: 3, 8: 1}
"""By EXIF's number of how the camera was held: quarter turns to the left that make the photo upright."""


def middles(path: Path) -> np.ndarray:
    """(2, 2, 3) colours in the middle of the quadrants of the photo in a file."""
    rgb = (read_photo(path).rgb * 255).round().movedim(0, 2).numpy()
    height, width = rgb.shape[:2]
    return rgb[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_picture_of_the_camera_is_used_upright(tmp_path: Path, orientation: int) -> None:
    turns = ORIENTATIONS[orientation]
    path = write_dng(tmp_path / "IMG_0001.DNG", LINEAR, Image.fromarray(SENSOR), orientation, focal=28)
    np.testing.assert_allclose(middles(path), np.rot90(COLOURS, turns), atol=4)
    photo = read_photo(path)
    assert photo.rgb.shape[1:] == ((240, 320) if turns % 2 == 0 else (320, 240))
    assert photo.fov == pytest.approx(63.4 if turns % 2 == 0 else 49.7, abs=0.1)


def test_the_size_of_a_raw_photo_is_its_own_whatever_picture_of_it_is_used(tmp_path: Path) -> None:
    half = write_dng(tmp_path / "half.dng", LINEAR, Image.fromarray(SENSOR[::2, ::2]), orientation=6)
    assert read_photo(half, 100).full_size == (320, 240)
    assert read_photo(write_dng(tmp_path / "none.dng", LINEAR, None), 100).full_size == (240, 320)


def test_the_resolution_of_a_sensor_is_in_pixels_of_the_whole_raw_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.FocalLength: 36.0, ExifTags.Base.FocalPlaneXResolution: 320 * 25.4 / 36}
    )  # a sensor of 36 mm and its focal length
    monkeypatch.setattr("mine.scene.decoding.raw.read_exif", lambda image: exif)
    path = write_dng(tmp_path / "a.dng", LINEAR, Image.fromarray(SENSOR))
    for side in (320, 100):
        assert read_photo(path, side).fov == pytest.approx(53.13, abs=0.1)


def test_a_picture_that_the_camera_has_turned_already_is_not_turned_again(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", LINEAR, Image.fromarray(np.rot90(SENSOR, 3)), orientation=6)
    np.testing.assert_allclose(middles(path), np.rot90(COLOURS, 3), atol=4)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("preview", [None, (64, 48)])
def test_a_raw_photo_with_a_thumbnail_alone_is_developed(
    tmp_path: Path, orientation: int, preview: tuple[int, int] | None
) -> None:
    thumbnail = preview and Image.new("RGB", preview, "black")
    path = write_dng(tmp_path / "a.dng", LINEAR, thumbnail, orientation)
    seen = middles(path)
    assert read_photo(path).rgb.shape[1:] in ((240, 320), (320, 240))
    expected = np.rot90(COLOURS, ORIENTATIONS[orientation]).astype(int)
    # LibRaw brightens by the picture's own levels: what was brighter than another colour still is.
    assert (seen[expected > 170].min() > seen[expected < 70].max()).all()


def test_a_sensor_without_colour_filters_gives_a_grey_photo(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", LINEAR, None, monochrome=True)
    rgb = read_photo(path).rgb
    assert rgb.shape == (3, 240, 320)
    assert (rgb == rgb[:1]).all() and rgb.max() > rgb.min() + 0.2


def test_names_do_not_matter_but_for_what_is_told(tmp_path: Path) -> None:
    for name in ("a.dng", "a.NEF", "a.tif", "noending"):
        path = write_dng(tmp_path / name, LINEAR, Image.fromarray(SENSOR))
        np.testing.assert_allclose(middles(path), COLOURS, atol=4)


def test_without_rawpy_raw_photos_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "find_spec", lambda name: None)
    write_dng(tmp_path / "a.dng", LINEAR, Image.fromarray(SENSOR))
    write_dng(tmp_path / "b.NEF", LINEAR, None)
    (tmp_path / "c.ARW").write_bytes((tmp_path / "a.dng").read_bytes())
    for path in tmp_path.iterdir():
        with pytest.raises(
            InputError, match=r'is a raw photo \(.*\): pip install "mine\[photos\]" to read it'
        ) as caught:
            read_photo(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_what_libraw_cannot_read_is_refused(tmp_path: Path) -> None:
    whole = write_dng(tmp_path / "a.dng", LINEAR, Image.fromarray(SENSOR)).read_bytes()
    (tmp_path / "d.CR2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(200))
    (tmp_path / "e.cr3").write_bytes(b"\0\0\0\x18ftypcrx " + bytes(200))
    (tmp_path / "f.RAF").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(200))
    (tmp_path / "g.rw2").write_bytes(b"IIU\0\x18\0\0\0" + bytes(200))
    (tmp_path / "h.NEF").write_bytes(bytes(100))
    (tmp_path / "a.dng").write_bytes(whole[:-50])
    for path in tmp_path.iterdir():
        with pytest.raises(InputError) as caught:
            read_photo(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_raw_photos_become_pictures_of_a_capture_with_their_focal_length(tmp_path: Path) -> None:
    write_dng(tmp_path / "1.DNG", LINEAR, Image.fromarray(SENSOR), orientation=6, focal=28)
    found = prepare(tmp_path, ["1.DNG"], tmp_path / "work")
    assert (found.names, found.given, found.not_read) == (["1.jpg"], {"1.jpg": "1.DNG"}, {})
    with Image.open(found.folder / "1.jpg") as image:
        assert image.size == (240, 320)
        assert horizontal_fov(read_exif(image), image.size) == pytest.approx(49.7, abs=0.1)


def test_large_sensors_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mine.scene.decoding.raw.MAX_PIXELS", 320 * 240 - 1)
    with pytest.raises(InputError, match="320x240 pixels"):
        decode_file(write_dng(tmp_path / "a.dng", LINEAR, None), 2048)
