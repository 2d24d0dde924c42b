"""Which files of a folder become pictures of a capture, and in what form."""

import os
from pathlib import Path

import numpy as np
import pytest
from permissions import permissions_count
from PIL import ExifTags, Image

from mine.data.sfm.pictures import picture_names, prepare
from mine.data.sfm.reconstruct import Report, check_usable, reconstruct
from mine.errors import InputError

pillow_heif = pytest.importorskip("pillow_heif")


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Dark at the top, brighter to the bottom, red at the left."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([200 * (x < width / 2), y * 2, 0 * x], axis=-1).astype(np.uint8))


def exif(**tags: object) -> Image.Exif:
    found = Image.Exif()
    details = found.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        (found if name == "Orientation" else details)[ExifTags.Base[name]] = value
    return found


def test_hidden_files_are_passed_over_and_subfolders_are_not(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/c d/3.png", "1.jpg", "images/4.HEIC", "images_2/4.jpg", "__MACOSX/._1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("._1.jpg", ".DS_Store", "b/._2.JPG", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    assert picture_names(tmp_path) == ["1.jpg", "b/2.JPG", "b/c d/3.png", "images/4.HEIC"]


def test_what_colmap_reads_stays_where_it_is(tmp_path: Path) -> None:
    picture().save(tmp_path / "1.jpg")
    picture().save(tmp_path / "2.png")
    found = prepare(tmp_path, ["1.jpg", "2.png"], tmp_path / "work")
    assert (found.folder, found.names, found.not_read) == (tmp_path, ["1.jpg", "2.png"], {})
    assert not (tmp_path / "work").exists()


def test_pictures_are_turned_upright_and_converted_with_their_focal_length(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    picture().save(photos / "1.jpg", quality=95)
    lens = exif(FocalLengthIn35mmFilm=28)
    pillow_heif.register_heif_opener()
    picture().save(photos / "IMG_2.HEIC", quality=95, exif=lens)
    picture().save(photos / "IMG_2.jpg", quality=95)
    picture().save(photos / "3.avif", quality=95)
    picture().rotate(90, expand=True).save(
        photos / "4.jpg", quality=95, exif=exif(Orientation=6, FocalLengthIn35mmFilm=28)
    )
    Image.fromarray(np.asarray(picture().convert("L")).astype(np.uint16) * 257).save(photos / "5.png")
    (photos / "6.jpg").write_bytes(b"no picture")
    (photos / "7.NEF").write_bytes(bytes(100))
    found = prepare(photos, picture_names(photos), tmp_path / "work")
    assert found.names == ["1.jpg", "3.jpg", "4.jpg", "5.jpg", "IMG_2.HEIC.jpg", "IMG_2.jpg"]
    assert sorted(found.not_read) == ["6.jpg", "7.NEF"]
    assert "raw photo" in found.not_read["7.NEF"]
    for name in found.names:
        with Image.open(found.folder / name) as image:
            assert image.size == (96, 64), name
            assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            shown = np.asarray(image.convert("RGB")).astype(int)
            focal = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm)
        assert focal == (28 if name in ("IMG_2.HEIC.jpg", "4.jpg") else None), name
        if name != "5.jpg":
            np.testing.assert_allclose(shown, np.asarray(picture()), atol=40, err_msg=name)
    assert not (found.folder / "1.jpg").is_file() or (found.folder / "1.jpg").samefile(photos / "1.jpg")


def test_pictures_that_cannot_be_read_are_told_when_too_few_are_left(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        (photos / f"{number}.dng").write_bytes(bytes(100))
    with pytest.raises(InputError, match=r"0 of 4 pictures in .* can be read \(first other: .*0\.dng is a raw photo"):
        reconstruct(photos, tmp_path / "scene", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def names(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


@pytest.mark.parametrize(("found", "total", "points"), [(2, 21, 42), (2, 3, 500), (4, 21, 400), (5, 5, 12)])
def test_hopeless_captures_are_refused_with_advice(found: int, total: int, points: int) -> None:
    account = Report(names(found), names(total - found), points, 0.5)
    told = f"{found} of {total} pictures in film.mp4 could be placed, with {points} points"
    with pytest.raises(InputError, match=told) as caught:
        check_usable(account, Path("film.mp4"))
    assert "overlapping" in str(caught.value)


@pytest.mark.parametrize(("found", "total", "points"), [(3, 3, 60), (9, 9, 1284), (10, 400, 900), (15, 30, 5000)])
def test_captures_with_hope_are_kept(found: int, total: int, points: int) -> None:
    check_usable(Report(names(found), names(total - found), points, 0.5), Path("film.mp4"))


def test_links_that_lead_back_add_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "a").symlink_to(tmp_path)
    assert picture_names(tmp_path) == ["1.jpg"]


def test_only_numbers_make_a_folder_of_smaller_copies(tmp_path: Path) -> None:
    for name in ("images", "images_4", "images_²", "images_0", "images_left", "photos_2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    left_out = {"images_4"}
    assert {name.split("/")[0] for name in picture_names(tmp_path)} == set(map(str, os.listdir(tmp_path))) - left_out


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "closed").mkdir(mode=0o000)
    with permissions_count(), pytest.raises(InputError, match=r"closed cannot be read \(Permission denied\)"):
        picture_names(tmp_path)


def test_names_that_are_not_utf_8_become_readable_ones(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    odd = [os.fsdecode(name) for name in (b"\xe9.png", b"\xe8.png", b"x\xe9/1.jpg", b"\xe9.avif")]
    for name in ("1.jpg", *odd):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(photos / name)
    found = prepare(photos, picture_names(photos), tmp_path / "work")
    assert len(found.names) == len({*found.names}) == 5 and "1.jpg" in found.names and not found.not_read
    assert sorted(found.given.values()) == sorted(odd) and found.given.keys() == {*found.names} - {"1.jpg"}
    for name in found.names:
        name.encode()
        with Image.open(found.folder / name) as image:
            assert image.size == (96, 64), name
