"""Structure from motion on rendered pictures whose cameras are known."""

import os
from pathlib import Path

import numpy as np
import pytest
from boards import CENTRES, FOCAL, HEIGHT, WIDTH, film, photograph
from PIL import Image

from mine.data.sfm.capture import read_capture
from mine.data.sfm.frames import extract_frames
from mine.data.sfm.reconstruct import Report, reconstruct
from mine.data.sfm.trajectory import read_trajectory
from mine.data.sfm.triangulate import triangulate
from mine.errors import InputError


def test_cameras_are_found_and_the_capture_can_be_read(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, centre in enumerate(CENTRES):
        photograph(centre).save(photos / f"{number}.png")
    Image.new("RGB", (WIDTH, HEIGHT), "grey").save(photos / "blank.png")
    (photos / "notes.txt").write_text("not a picture")
    account = reconstruct(photos, tmp_path / "scene", progress=False)
    assert account.registered == tuple(f"{number}.png" for number in range(5))
    assert account.left_out == ("blank.png",)
    assert account.points > 50 and account.error < 1
    assert {path.name for path in (tmp_path / "scene").iterdir()} == {"images", "sparse"}
    pictures = read_capture(tmp_path / "scene", (HEIGHT, WIDTH))
    found = np.linalg.norm(np.diff([picture.centre for picture in pictures], axis=0), axis=1)
    true = np.linalg.norm(np.diff(CENTRES, axis=0), axis=1)
    np.testing.assert_allclose(found / found.sum(), true / true.sum(), atol=0.03)


def test_account_names_what_was_left_out() -> None:
    assert str(Report(("a", "b"), (), 100, 0.5)) == "2 of 2 pictures registered, 100 points, 0.50 px error"
    text = str(Report(("a",), tuple(f"p{i}" for i in range(12)), 9, 0.5))
    assert text.startswith("1 of 13") and "p9" in text and "p10" not in text and text.endswith("and 2 more")


def test_pictures_that_share_nothing_leave_nothing_behind(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), (80 * number,) * 3).save(photos / f"{number}.png")
    with pytest.raises(InputError, match="no camera could be placed from the 3 pictures"):
        reconstruct(photos, tmp_path / "scene", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        reconstruct(tmp_path / "none", tmp_path / "scene")
    with pytest.raises(InputError, match="holds 0 pictures"):
        reconstruct(tmp_path, tmp_path / "scene")
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match="exists"):
        reconstruct(tmp_path, tmp_path)


def test_video_becomes_a_capture(tmp_path: Path) -> None:
    video = film(tmp_path / "walk.mp4", np.array([[x, 0.05 * (-1) ** i, 0] for i, x in enumerate(np.arange(5) / 6)]))
    account = reconstruct(video, tmp_path / "scene", progress=False)
    assert len(account.registered) == 5 and account.left_out == () and account.points > 50
    pictures = read_capture(tmp_path / "scene", (HEIGHT, WIDTH))
    steps = np.linalg.norm(np.diff([picture.centre for picture in pictures], axis=0), axis=1)
    assert steps.max() < 1.4 * steps.min(), "frames are in their order"
    assert len({tuple(picture.lens.params) for picture in pictures}) == 1, "one camera took them all"


def test_rate_says_how_many_frames_are_taken(tmp_path: Path) -> None:
    video = film(tmp_path / "walk.mp4", np.zeros((8, 3)), fps=4)
    assert len(extract_frames(video, tmp_path / "all", 4)) == 8
    assert extract_frames(video, tmp_path / "half", 2) == [f"{i:06d}.jpg" for i in range(1, 5)]


def test_a_percent_sign_in_a_folder_is_no_pattern(tmp_path: Path) -> None:
    """TMPDIR may have one."""
    video = film(tmp_path / "12:30 walk 100%d.mp4", np.zeros((8, 3)), fps=4)
    names = extract_frames(video, tmp_path / "100%d of", 2)
    assert names == sorted(os.listdir(tmp_path / "100%d of")) and len(names) == 4


def test_videos_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    film(tmp_path / "short.mp4", CENTRES[:2])
    before = sorted(tmp_path.iterdir())
    for name, rate, told in (
        ("broken.mp4", 3, "not a readable video"),
        ("short.mp4", 3, "holds 2 pictures"),
        ("short.mp4", 0, "out of range"),
    ):
        with pytest.raises(InputError, match=told) as caught:
            reconstruct(tmp_path / name, tmp_path / "scene", progress=False, rate=rate)
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def write_trajectory(path: Path, names: list[str], centres: np.ndarray) -> Path:
    """Cameras at these places that look straight ahead, in RealEstate10K's format."""
    lines = ["https://example.org/video"]
    for name, (x, y, z) in zip(names, centres, strict=True):
        lines.append(f"{name} {FOCAL / WIDTH} {FOCAL / HEIGHT} 0.5 0.5 0 0 1 0 0 {-x} 0 1 0 {-y} 0 0 1 {-z}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_known_cameras_stay_and_points_take_their_unit(tmp_path: Path) -> None:
    names = [f"{900000 + 100000 * i}" for i in range(5)]  # from six digits to seven
    (tmp_path / "frames" / "part 1").mkdir(parents=True)
    for name, centre in zip(names, CENTRES, strict=True):
        photograph(centre).save(tmp_path / "frames" / ("part 1" if name > "9" else "") / f"{name}.png")
    photograph(CENTRES[0]).save(tmp_path / "frames" / "7.png")
    cameras = write_trajectory(tmp_path / "cameras.txt", [*names, "5000000"], [*CENTRES, CENTRES[0]])
    account = triangulate(tmp_path / "frames", cameras, tmp_path / "scene", progress=False)
    assert account.registered == ("1000000.png", "1100000.png", "1200000.png", "1300000.png", "part 1/900000.png")
    assert (account.left_out, account.not_used) == ((), ("7.png (it has no camera)",))
    assert str(account).endswith("; not used: 7.png (it has no camera)")
    pictures = {picture.path.stem: picture for picture in read_capture(tmp_path / "scene", (HEIGHT, WIDTH))}
    for name, centre in zip(names, CENTRES, strict=True):
        np.testing.assert_allclose(pictures[name].centre, centre, atol=1e-9)
        assert pictures[name].K[0, 2] == WIDTH / 2 - 0.5
    depth = pictures[names[2]].points[2]
    on_board = (np.abs(depth - 3) < 0.1) | (np.abs(depth - 4.5) < 0.15)
    assert len(depth) > 50 and on_board.mean() > 0.9


def test_cameras_of_other_pictures(tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        Image.new("RGB", (64, 48), "grey").save(tmp_path / f"{name}.png")
    other = write_trajectory(tmp_path / "other.txt", ["7", "8", "9"], CENTRES[:3])
    with pytest.raises(InputError, match="0 of the pictures"):
        triangulate(tmp_path, other, tmp_path / "scene", progress=False)
    same = write_trajectory(tmp_path / "same.txt", ["1", "2", "3"], CENTRES[:3])
    with pytest.raises(InputError, match="no point could be found"):
        triangulate(tmp_path, same, tmp_path / "scene", progress=False)
    assert not (tmp_path / "scene").exists()


@pytest.mark.parametrize(
    "line", ["", "12 1 1", "12" + " 1e200" * 18, "12" + " nan" * 18, "12" + " 1" * 18, "x" + " 1" * 18]
)
def test_broken_camera_files_are_told_with_their_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "cameras.txt").write_text(f"address\n{line}\n12")
    with pytest.raises(InputError, match="line 2") as caught:
        read_trajectory(tmp_path / "cameras.txt")
    assert "\n" not in str(caught.value)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match="cannot be read"):
        read_trajectory(tmp_path / "empty.txt")


def test_photos_of_phones_in_subfolders_become_a_capture(tmp_path: Path) -> None:
    """HEIC, turned by EXIF, and hidden files beside them: all are upright in the capture, and none is left out."""
    pillow_heif = pytest.importorskip("pillow_heif")
    photos = tmp_path / "photos"
    (photos / "day 1").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    for number, centre in enumerate(CENTRES):
        if number < 2:
            pillow_heif.from_pillow(photograph(centre)).save(photos / f"IMG_{number}.HEIC", quality=95)
        elif number < 4:
            photograph(centre).rotate(90, expand=True).save(photos / "day 1" / f"{number}.jpg", quality=98, exif=turned)
        else:
            photograph(centre).save(photos / f"{number}.png")
    pillow_heif.from_pillow(Image.new("RGB", (WIDTH, HEIGHT), "grey")).save(photos / "grey.HEIC", quality=95)
    (photos / "text.jpg").write_text("no picture")
    (photos / "._4.png").write_bytes(b"\0\5\x16\7")
    (photos / ".DS_Store").touch()
    account = reconstruct(photos, tmp_path / "scene", progress=False)
    assert account.registered == ("4.png", "IMG_0.HEIC", "IMG_1.HEIC", "day 1/2.jpg", "day 1/3.jpg")
    assert account.left_out == ("grey.HEIC",), "the name that the photo has, not that of its copy"
    assert len(account.not_used) == 1 and "text.jpg is not an image" in account.not_used[0]
    pictures = read_capture(tmp_path / "scene", (HEIGHT, WIDTH))
    assert {picture.path.relative_to(tmp_path / "scene" / "images").as_posix() for picture in pictures} == {
        "IMG_0.jpg",
        "IMG_1.jpg",
        "day 1/2.jpg",
        "day 1/3.jpg",
        "4.png",
    }
    for picture in pictures:
        assert abs(picture.load().width / picture.load().height - WIDTH / HEIGHT) < 0.1
