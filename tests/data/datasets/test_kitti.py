"""KITTI raw on a miniature of its layout."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from kitti_folder import DRIVES, HEIGHT, POINTS, SHIFT, WIDTH, write_drive

from mine.data.base.image_pairs import ImagePairs
from mine.data.datasets.kitti import MAX_GAP, Kitti, KittiDrives, read_rig
from mine.data.datasets.kitti_poses import EARTH_RADIUS, drive_poses, unit_poses
from mine.errors import InputError
from mine.evaluation.evaluate import evaluate

SIZE = (48, 144)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for drive in DRIVES:
        write_drive(tmp_path, drive)
    (tmp_path / "test.txt").write_text(DRIVES[1] + "\n")
    return tmp_path


def brightness_at(image: torch.Tensor, K: torch.Tensor, points: np.ndarray) -> torch.Tensor:
    """Brightness of the pixels nearest to the projected points (N, 3) that are inside."""
    u, v = ((K @ torch.from_numpy(points.T).float())[:2] / torch.from_numpy(points[:, 2]).float()).round().long()
    inside = (u >= 0) & (v >= 0) & (u < image.shape[2]) & (v < image.shape[1])
    assert inside.sum() >= 8
    return image[0, v[inside], u[inside]]


def drives(root: Path, training: bool = True) -> set[str]:
    """Names of the drives of a split."""
    return {drive.name for drive, _ in Kitti(root, SIZE, training=training).moments}


def test_a_list_may_begin_with_a_byte_order_mark(root: Path) -> None:
    (root / "test.txt").write_text(DRIVES[1], encoding="utf-8-sig")
    assert drives(root, training=False) == {DRIVES[1]}
    assert drives(root) == {DRIVES[0], DRIVES[2]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_list_that_is_no_utf8_is_refused(root: Path, encoding: str) -> None:
    (root / "test.txt").write_bytes(DRIVES[1].encode(encoding))
    with pytest.raises(InputError, match=r"test\.txt cannot be read|is not in"):
        Kitti(root, SIZE)


def test_a_test_drive_that_is_not_found_is_not_trained_on(root: Path) -> None:
    """Its name may have a slip, and the drive itself would be among the others."""
    (root / "test.txt").write_text("\n".join([DRIVES[0], "2011_09_26_drive_0002"]))
    with pytest.raises(InputError, match="drive 2011_09_26_drive_0002 is not in"):
        Kitti(root, SIZE)
    (root / "train.txt").write_text(DRIVES[2])
    assert drives(root) == {DRIVES[2]}


def test_rig_has_its_baseline(root: Path) -> None:
    left, right = read_rig(root / "2011_09_26" / "calib_cam_to_cam.txt")
    np.testing.assert_allclose(right.pose[:3, 3] - left.pose[:3, 3], SHIFT["03"] - SHIFT["02"], atol=1e-6)
    assert (left.lens.width, left.lens.height) == (WIDTH, HEIGHT)


def test_left_and_right_show_the_same_points_in_metres(root: Path) -> None:
    sample = Kitti(root, SIZE, training=False)[0]
    left, right = POINTS + SHIFT["02"], POINTS + SHIFT["03"]
    assert brightness_at(sample.source, sample.K_src, left).min() > 0.7
    assert brightness_at(sample.target, sample.K_tgt, right).min() > 0.7
    moved = left @ sample.T_tgt_src[:3, :3].numpy().T + sample.T_tgt_src[:3, 3].numpy()
    np.testing.assert_allclose(moved, right, atol=1e-6)
    assert sample.metric == 1 and sample.points_src.shape == (3, 0) and (sample.depth_src == 0).all()


def test_training_takes_either_side_and_crops_both_alike(root: Path) -> None:
    dataset = Kitti(root, SIZE)
    assert len(dataset) == 4 * 100
    steps = set()
    for index in range(12):
        sample = dataset[index]
        steps.add(round(float(sample.T_tgt_src[0, 3]), 2))
        torch.testing.assert_close(sample.K_src, sample.K_tgt)
        seen = POINTS + SHIFT["02" if sample.T_tgt_src[0, 3] < 0 else "03"]
        assert brightness_at(sample.source, sample.K_src, seen).min() > 0.5
    assert steps == {-0.53, 0.53}


def test_splits_name_drives(root: Path) -> None:
    assert {drive.name for drive, _ in Kitti(root, SIZE).moments} == {DRIVES[0], DRIVES[2]}
    assert {drive.name for drive, _ in Kitti(root, SIZE, training=False).moments} == {DRIVES[1]}
    (root / "train.txt").write_text(DRIVES[2])
    assert {drive.name for drive, _ in Kitti(root, SIZE).moments} == {DRIVES[2]}


def test_evaluation_leaves_out_the_border(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Kitti(root, SIZE, training=False)
    whole = dataset[0]
    spoilt = whole.target.clone()
    spoilt[:, :2] = spoilt[:, -2:] = 1
    spoilt[..., :7] = spoilt[..., -7:] = 1
    before = evaluate(None, dataset, progress=False).mean()["unchanged"]["psnr"]
    monkeypatch.setattr(ImagePairs, "make", lambda self, index: whole._replace(target=spoilt))
    assert evaluate(None, dataset, progress=False).mean()["unchanged"]["psnr"] == pytest.approx(before, abs=1e-4)
    dataset.border = 0.0
    assert evaluate(None, dataset, progress=False).mean()["unchanged"]["psnr"] < before - 1


def test_what_is_missing_is_told(root: Path, tmp_path: Path) -> None:
    calibration = root / "2011_09_28" / "calib_cam_to_cam.txt"
    whole = calibration.read_text()
    calibration.write_text("P_rect_02: 1 2 3\n")
    with pytest.raises(InputError, match="no readable calibration"):
        Kitti(root, SIZE)
    for old, new in ((" 5.600000e+01", " inf"), (" 5.600000e+01", " 1e30"), (" 1.000000", " 0"), ("9.000000", "-9")):
        assert old in whole
        calibration.write_text(whole.replace(old, new))
        with pytest.raises(InputError, match=r"calib_cam_to_cam\.txt"):
            Kitti(root, SIZE)
    calibration.unlink()
    os.mkfifo(calibration)
    with pytest.raises(InputError, match=r"calib_cam_to_cam\.txt cannot be read \(it is a pipe"):
        Kitti(root, SIZE)
    (root / "train.txt").write_text("2011_09_26_drive_0099_sync")
    with pytest.raises(InputError, match="drive_0099_sync is not in"):
        Kitti(root, SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="with pairs"):
        Kitti(tmp_path / "empty", SIZE)
    with pytest.raises(InputError, match=r"no .*test\.txt"):
        Kitti(tmp_path / "empty", SIZE, training=False)


# The unit looks along x, with y left and z up; cameras along z, with x right and y down.
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
UNIT_TO_LASER, LASER_TO_CAMERA = np.array([-0.8, 0.3, -0.8]), np.array([0.0, -0.1, -0.3])
STEP, TURN, LATITUDE = 0.4, 0.03, 49.0


def numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in values.ravel())


def car(moment: int) -> np.ndarray:
    """World-from-unit (4, 4) of a car on a circle, turning by `TURN` with every `STEP` metres, and rising slowly."""
    heading, radius = 0.5 + TURN * moment, STEP / TURN
    x, y = (radius * (f(heading) - f(0.5)) for f in (np.sin, lambda angle: -np.cos(angle)))
    c, s = np.cos(heading), np.sin(heading)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, 0.02 * moment], [0, 0, 0, 1]])


def write_motion(root: Path, drive: str, frames: int) -> None:
    """The drive's calibration and the readings of its unit, by the inverse of Mercator's projection."""
    date = root / drive[:10]
    with (date / "calib_cam_to_cam.txt").open("a") as file:
        file.write(f"R_rect_00: {numbers(np.eye(3))}\n")
    for name, R, T in (("imu_to_velo", np.eye(3), UNIT_TO_LASER), ("velo_to_cam", AXES, LASER_TO_CAMERA)):
        text = f"calib_time: 25-May-2012 16:47:16\nR: {numbers(R)}\nT: {numbers(T)}\n"
        (date / f"calib_{name}.txt").write_text(text)
    folder = date / drive / "oxts" / "data"
    folder.mkdir(parents=True)
    scale = EARTH_RADIUS * np.cos(np.radians(LATITUDE))
    start = np.log(np.tan(np.pi / 4 + np.radians(LATITUDE) / 2))
    for moment in range(frames):
        x, y, z = car(moment)[:3, 3]
        latitude = np.degrees(2 * np.arctan(np.exp(start + y / scale)) - np.pi / 2)
        readings = [latitude, 8.4 + np.degrees(x / scale), 110 + z, 0, 0, 0.5 + TURN * moment, *[0.0] * 24]
        (folder / f"{moment:010d}.txt").write_text(" ".join(f"{value:.15g}" for value in readings))


def reference_from_world(moment: int) -> np.ndarray:
    """Of the miniature's car, by hand: through the unit and the laser scanner into camera 00."""
    camera_from_unit = np.eye(4)
    camera_from_unit[:3, :3], camera_from_unit[:3, 3] = AXES, AXES @ UNIT_TO_LASER + LASER_TO_CAMERA
    return camera_from_unit @ np.linalg.inv(car(moment))


def test_readings_of_the_unit_are_the_poses_of_the_car(tmp_path: Path) -> None:
    write_drive(tmp_path, DRIVES[0], frames=8)
    write_motion(tmp_path, DRIVES[0], frames=8)
    found = drive_poses(tmp_path / DRIVES[0][:10] / DRIVES[0], range(8))
    for moment, pose in enumerate(found):
        np.testing.assert_allclose(pose, reference_from_world(moment), atol=1e-5)


@pytest.mark.parametrize(
    ("angles", "forward", "up"),
    [
        ((0, 0, 0), (1, 0, 0), (0, 0, 1)),
        ((0, 0, np.pi / 2), (0, 1, 0), (0, 0, 1)),  # north
        ((0, np.pi / 6, 0), (np.sqrt(3) / 2, 0, -0.5), (0.5, 0, np.sqrt(3) / 2)),  # front down
        ((np.pi / 6, 0, 0), (1, 0, 0), (0, -0.5, np.sqrt(3) / 2)),  # left side up
        ((np.pi / 2, 0, np.pi / 2), (0, 1, 0), (1, 0, 0)),
    ],
)
def test_angles_of_the_unit(angles: tuple[float, ...], forward: tuple[float, ...], up: tuple[float, ...]) -> None:
    (pose,) = unit_poses(np.array([[LATITUDE, 8.4, 110, *angles]]))
    np.testing.assert_allclose(pose[:3, 0], forward, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 2], up, atol=1e-12)


def test_a_second_of_arc_is_31_metres_north_and_less_east() -> None:
    start, north, east = unit_poses(
        np.array([[60, 8, 0, 0, 0, 0], [60 + 1 / 3600, 8, 0, 0, 0, 0], [60, 8 + 1 / 3600, *[0] * 4]])
    )
    second = EARTH_RADIUS * np.radians(1 / 3600)
    np.testing.assert_allclose(north[:3, 3] - start[:3, 3], [0, second, 0], rtol=1e-4)
    np.testing.assert_allclose(east[:3, 3] - start[:3, 3], [second / 2, 0, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("given", [False, True], ids=["oxts", "poses.txt"])
def test_training_pairs_moments_of_a_drive(tmp_path: Path, given: bool) -> None:
    frames = MAX_GAP + 4
    write_drive(tmp_path, DRIVES[0], frames)
    write_motion(tmp_path, DRIVES[0], frames)
    if given:
        drive = tmp_path / DRIVES[0][:10] / DRIVES[0]
        poses = [numbers(np.linalg.inv(reference_from_world(moment))[:3]) for moment in range(frames)]
        (drive / "poses.txt").write_text("\n".join(poses))
        (drive / "oxts" / "data" / "0000000000.txt").unlink()
    dataset = KittiDrives(tmp_path, SIZE)
    apart = set()
    for index in range(60):
        moment = index % frames
        T = dataset[index].T_tgt_src.double().numpy()
        known = {
            (other, one, two): _eye_pose(two)
            @ reference_from_world(other)
            @ np.linalg.inv(reference_from_world(moment))
            @ np.linalg.inv(_eye_pose(one))
            for other in range(frames)
            for one in SHIFT
            for two in SHIFT
        }
        other, one, two = min(known, key=lambda key: np.abs(known[key] - T).max())
        np.testing.assert_allclose(T, known[other, one, two], atol=1e-4)
        assert (other, two) != (moment, one)
        apart.add(abs(other - moment))
    assert apart == set(range(MAX_GAP + 1))


def test_missing_frames_bring_no_others_nearer(tmp_path: Path) -> None:
    write_drive(tmp_path, DRIVES[0], 16)
    write_motion(tmp_path, DRIVES[0], 16)
    for number in {*range(16)} - {0, 3, 10, 15}:
        for picture in (tmp_path / DRIVES[0][:10] / DRIVES[0]).glob(f"image_*/data/{number:010d}.png"):
            picture.unlink()
    dataset = KittiDrives(tmp_path, SIZE)
    apart = set()
    for index in range(60):
        pair = dataset.pair(index)
        source, target = int(pair.source.path.stem), int(pair.target.path.stem)
        apart.add(abs(source - target))
    assert apart == {0, 3, 5}


def _eye_pose(side: str) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = SHIFT[side]
    return pose


def test_missing_and_broken_poses_are_told(tmp_path: Path) -> None:
    write_drive(tmp_path, DRIVES[0])
    with pytest.raises(InputError, match=r"no list of numbers at .*0000000000\.txt: .*oxts, or give poses\.txt"):
        KittiDrives(tmp_path, SIZE)
    write_motion(tmp_path, DRIVES[0], 2)
    KittiDrives(tmp_path, SIZE)
    date = tmp_path / DRIVES[0][:10]
    (date / "calib_imu_to_velo.txt").write_text("R: 1 2 3\nT: 0 0 0")
    with pytest.raises(InputError, match=r"calib_imu_to_velo\.txt is no readable calibration: R is .*: give 9 numbers"):
        KittiDrives(tmp_path, SIZE)
    (date / DRIVES[0] / "oxts" / "data" / "0000000001.txt").write_text("49 8 nan 0 0 0")
    with pytest.raises(InputError, match="no 6 finite numbers"):
        KittiDrives(tmp_path, SIZE)
    (date / DRIVES[0] / "oxts" / "data" / "0000000001.txt").write_text("90 8 0 0 0 0")
    with pytest.raises(InputError, match="latitudes beyond 85"):
        KittiDrives(tmp_path, SIZE)
    (date / DRIVES[0] / "poses.txt").write_text(2 * (numbers(np.zeros((3, 4))) + "\n"))
    with pytest.raises(InputError, match=r"poses\.txt: .* no rotation"):
        KittiDrives(tmp_path, SIZE)
    (date / DRIVES[0] / "poses.txt").write_text(numbers(np.eye(4)[:3]))
    with pytest.raises(InputError, match="has 1 lines: give one for each picture"):
        KittiDrives(tmp_path, SIZE)
