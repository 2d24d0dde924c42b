"""COLMAP's files cut short and changed: a capture or one line, whatever their bytes are."""

import os
import random
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from colmap_scene import grid_points, write_scene
from permissions import permissions_count

from mine.data.sfm.capture import read_capture
from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.layout import captures_in
from mine.data.sfm.model_files import NAMES, check_model_files
from mine.errors import InputError

COVER = (32, 48)
CENTRES = np.array([[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]])


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of three pictures of six points, binary."""
    folder = write_scene(
        tmp_path_factory.mktemp("capture") / "a",
        np.array([[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]]),
        None,
        grid_points(3, 2),
    )
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    for path in (folder / "sparse" / "0").iterdir():
        path.unlink()
    model.write(folder / "sparse" / "0")
    return folder


@pytest.fixture
def broken(capture: Path, tmp_path: Path) -> Path:
    """A copy of the capture to break."""
    return Path(shutil.copytree(capture, tmp_path / "a"))


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        read_capture(folder, COVER)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_walk_ends_where_the_file_does(capture: Path) -> None:
    """COLMAP's own files are accepted whole, with every camera model, several sensors a rig and without points."""
    check_model_files(capture / "sparse" / "0")
    assert len(read_capture(capture, COVER)) == 3


def test_every_camera_model_is_known(tmp_path: Path) -> None:
    model = pycolmap.Reconstruction()
    kinds = [kind for kind in pycolmap.CameraModelId.__members__.values() if kind != pycolmap.CameraModelId.INVALID]
    for number, kind in enumerate(kinds, start=1):
        model.add_camera_with_trivial_rig(pycolmap.Camera.create_from_model_id(number, kind, 10.0, 20, 30))
    rig = pycolmap.Rig(rig_id=99)
    for number in (101, 102, 103):
        camera = pycolmap.Camera.create_from_model_id(number, kinds[0], 10.0, 20, 30)
        model.add_camera(camera)
        if number == 101:
            rig.add_ref_sensor(camera.sensor_id)
        else:
            rig.add_sensor(camera.sensor_id, pycolmap.Rigid3d() if number == 102 else None)
    model.add_rig(rig)
    model.write(tmp_path)
    assert len(kinds) > 15
    check_model_files(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_files_cut_short_anywhere_are_refused(broken: Path, name: str) -> None:
    path = broken / "sparse" / "0" / f"{name}.bin"
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        assert name in refused(broken)
    path.write_bytes(content + b"\0")
    assert "1 bytes follow its last record" in refused(broken)


@pytest.mark.parametrize(("name", "at"), [(name, 0) for name in NAMES] + [("points3D", 51), ("images", 79)])
def test_counts_beyond_the_file_are_refused(broken: Path, name: str, at: int) -> None:
    path = broken / "sparse" / "0" / f"{name}.bin"
    content = path.read_bytes()
    (count,) = struct.unpack_from("<Q", content, at)
    assert 1 <= count <= 6, "this is where a count lies"
    for value in (count + 1, count + 100, 2**31, 2**32, 2**40, 2**62, 2**63, 2**64 - 1):
        path.write_bytes(content[:at] + struct.pack("<Q", value) + content[at + 8 :])
        refused(broken)


@pytest.mark.parametrize("name", ["rigs", "frames"])
def test_rigs_and_frames_belong_together(broken: Path, name: str) -> None:
    (broken / "sparse" / "0" / f"{name}.bin").unlink()
    assert f"lacks {name}" in refused(broken)
    for other in ("rigs", "frames"):
        (broken / "sparse" / "0" / f"{other}.bin").unlink(missing_ok=True)
    assert read_capture(broken, COVER), "as COLMAP before 3.12 wrote it"


@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes_give_a_capture_or_one_line(broken: Path, name: str) -> None:
    path = broken / "sparse" / "0" / f"{name}.bin"
    content, rng = path.read_bytes(), random.Random(name)
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(len(changed))] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        path.write_bytes(changed)
        try:
            assert read_capture(broken, COVER)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("position", "value"),
    [(16, 0), (24, 0), (16, 2**63), (32, np.nan), (32, np.inf), (32, 0.0), (32, -5.0), (32, 1e300)],
)
def test_cameras_without_pixels_or_focal_length_are_refused(broken: Path, position: int, value: float) -> None:
    path = broken / "sparse" / "0" / "cameras.bin"
    content = path.read_bytes()
    path.write_bytes(
        content[:position] + struct.pack("<d" if position == 32 else "<Q", value) + content[position + 8 :]
    )
    assert "camera" in refused(broken)


@pytest.mark.parametrize(
    "line", ["1 PINHOLE 0 120 150 150 80 60", "1 PINHOLE 160 0 150 150 80 60", "1 PINHOLE 9 9 nan 1 1 1"]
)
def test_cameras_of_text_files_are_checked_too(tmp_path: Path, line: str) -> None:
    folder = write_scene(tmp_path / "a", CENTRES, None, grid_points(3, 2))
    (folder / "sparse" / "0" / "cameras.txt").write_text(line + "\n")
    assert "camera" in refused(folder)


@pytest.mark.parametrize("name", ["../../01.png", "/etc/passwd", "a/../../01.png"])
def test_pictures_outside_the_capture_are_refused(tmp_path: Path, name: str) -> None:
    folder = write_scene(tmp_path / "a", CENTRES, None, grid_points(3, 2))
    path = folder / "sparse" / "0" / "images.txt"
    path.write_text(path.read_text().replace("01.png", name))
    assert "outside its folder" in refused(folder)


def test_pipes_are_not_waited_for(broken: Path) -> None:
    path = broken / "sparse" / "0" / "points3D.bin"
    path.unlink()
    os.mkfifo(path)
    assert "pipe or a device" in refused(broken)


def test_other_files_beside_a_model_are_left_alone(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "a", CENTRES, None, grid_points(3, 2))
    os.mkfifo(folder / "sparse" / "0" / "notes.txt")
    assert len(read_capture(folder, COVER)) == 3


@pytest.mark.parametrize("name", ["images_²", "images_0", "images_" + "9" * 200])
def test_folders_that_are_no_smaller_copies_are_left_alone(broken: Path, name: str) -> None:
    shutil.copytree(broken / "images", broken / name)
    assert {view.path.parent.name for view in read_capture(broken, COVER)} == {"images"}


@pytest.mark.parametrize("name", ["sparse/0", "sparse", "."])
def test_a_folder_without_permission_is_told(broken: Path, name: str) -> None:
    (broken / name).chmod(0o000)
    with permissions_count():
        for read in (lambda: read_capture(broken, COVER), lambda: captures_in(broken.parent)):
            with pytest.raises(InputError, match=r"cannot be read \(Permission denied\): make it readable"):
                read()
    (broken / name).chmod(0o755)
