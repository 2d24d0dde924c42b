"""KITTI raw on a miniature of its layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from colmap_scene import draw

from mine.data.kitti import Kitti, read_rig
from mine.data.picture_pairs import PicturePairs
from mine.errors import InputError
from mine.training.evaluate import evaluate

WIDTH, HEIGHT = 180, 56
SIZE = (48, 144)
DRIVES = ("2011_09_26_drive_0001_sync", "2011_09_26_drive_0002_sync", "2011_09_28_drive_0001_sync")
K = np.array([[90.0, 0, 88.3], [0, 90.0, 27.1], [0, 0, 1]])
SHIFT = {"02": np.array([0.06, 0.001, 0.003]), "03": np.array([-0.47, 0.002, 0.002])}
POINTS = np.array([[x, y, 5 + 0.5 * abs(x)] for x in np.linspace(-3.5, 3.5, 7) for y in (-0.9, 0.1, 1.0)])


def write_drive(root: Path, drive: str, frames: int = 2) -> None:
    date = root / drive[:10]
    date.mkdir(parents=True, exist_ok=True)
    lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.95e-02"]
    for side, shift in SHIFT.items():
        P = K @ np.column_stack([np.eye(3), shift])
        lines.append(f"S_rect_{side}: {WIDTH:.6e} {HEIGHT:.6e}")
        lines.append(f"P_rect_{side}: " + " ".join(f"{value:.8e}" for value in P.ravel()))
        pixels = (POINTS + shift) @ K.T
        folder = date / drive / f"image_{side}" / "data"
        folder.mkdir(parents=True)
        for number in range(frames):
            draw(pixels[:, :2] / pixels[:, 2:] + 0.5, (HEIGHT, WIDTH)).save(folder / f"{number:010d}.png")
    (date / "calib_cam_to_cam.txt").write_text("\n".join(lines) + "\n")


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
    monkeypatch.setattr(PicturePairs, "__getitem__", lambda self, index: whole._replace(target=spoilt))
    assert evaluate(None, dataset, progress=False).mean()["unchanged"]["psnr"] == pytest.approx(before, abs=1e-4)
    dataset.border = 0.0
    assert evaluate(None, dataset, progress=False).mean()["unchanged"]["psnr"] < before - 1


def test_what_is_missing_is_told(root: Path, tmp_path: Path) -> None:
    (root / "2011_09_28" / "calib_cam_to_cam.txt").write_text("P_rect_02: 1 2 3\n")
    with pytest.raises(InputError, match="no readable calibration"):
        Kitti(root, SIZE)
    (root / "train.txt").write_text("2011_09_26_drive_0099_sync")
    with pytest.raises(InputError, match="drive_0099_sync is not in"):
        Kitti(root, SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="with pairs"):
        Kitti(tmp_path / "empty", SIZE)
    with pytest.raises(InputError, match=r"no .*test\.txt"):
        Kitti(tmp_path / "empty", SIZE, training=False)
