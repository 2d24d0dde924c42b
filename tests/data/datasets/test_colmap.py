"""Captures in COLMAP's layout: conventions, scaling, choice of targets, and what is said of bad ones."""

import logging
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from colmap_scene import FOCAL, WIDTH, colmap_pixels, grid_points, render_dots, write_scene
from PIL import Image

from mine.data.base.crop_window import fit_window
from mine.data.base.image_pairs import other_targets, splat
from mine.data.base.sample import Sample
from mine.data.datasets.colmap import Colmap
from mine.data.registry import evaluation_set, training_set
from mine.data.sfm.capture import read_capture
from mine.data.sfm.layout import captures_in
from mine.data.sources import ColmapSource
from mine.errors import InputError

SIZE = (80, 120)
ROW = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.7, 0, 0], [1.2, 0, 0]])


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene", ROW)


def dot_offsets(image: torch.Tensor, K: torch.Tensor, points: torch.Tensor) -> np.ndarray:
    """Distance in pixels from each projected point (3, N) to the centroid of the brightness around it."""
    pixels = (K @ points)[:2] / points[2]
    y, x = torch.meshgrid(*(torch.arange(length).float() for length in image.shape[1:]), indexing="ij")
    distances = []
    for u, v in pixels.T.tolist():
        if 6 < u < image.shape[2] - 7 and 6 < v < image.shape[1] - 7:
            near = image[0] * (((x - u) ** 2 + (y - v) ** 2) < 4.5**2)
            distances.append(float(torch.hypot((near * x).sum() / near.sum() - u, (near * y).sum() / near.sum() - v)))
    assert len(distances) >= 10
    return np.array(distances)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("distortion", [0.0, 0.12])
def test_points_lie_on_their_dots(tmp_path: Path, training: bool, distortion: float) -> None:
    yaws = np.array([0.0, 0.05, -0.04, -0.1])
    dataset = Colmap([write_scene(tmp_path / "s", ROW, yaws, distortion=distortion)], SIZE, training)
    for index in range(3):
        sample = dataset[index]
        assert dot_offsets(sample.source, sample.K_src, sample.points_src).max() < 0.2
        assert dot_offsets(sample.target, sample.K_tgt, sample.points_tgt).max() < 0.2


def test_pose_takes_source_points_onto_the_targets_dots(scene: Path) -> None:
    sample = Colmap([scene], SIZE, training=False)[1]
    moved = sample.T_tgt_src[:3, :3] @ sample.points_src + sample.T_tgt_src[:3, 3:]
    assert dot_offsets(sample.target, sample.K_tgt, moved).max() < 0.2


def test_smaller_pictures_serve_when_they_suffice(tmp_path: Path) -> None:
    points = grid_points(5, 4)  # few enough to stay apart in small pictures
    scene = write_scene(tmp_path / "scene", ROW, points=points)
    (scene / "images_2").mkdir()
    for number, centre in enumerate(ROW, start=1):
        pixels = colmap_pixels(points, centre, 0.0, 0.0) / 2
        render_dots(pixels, (60, 80)).save(scene / "images_2" / f"{number:02d}.png")
    assert read_capture(scene, (40, 60))[0].path.parent.name == "images_2"
    assert read_capture(scene, (100, 100))[0].path.parent.name == "images"
    sample = Colmap([scene], (40, 60), training=False)[0]
    assert dot_offsets(sample.source, sample.K_src, sample.points_src).max() < 0.2


def test_nearest_surface_lies_just_beyond_one(scene: Path) -> None:
    dataset = Colmap([scene], SIZE)
    for index in range(6):
        nearest = dataset[index].points_src[2].unique().quantile(0.02)
        assert 0.97 < nearest < 1.29
    ratio = dataset[0].points_src[2].max() / dataset[0].points_src[2].min()
    assert 1.02 < ratio < 2, "depths keep their proportions"


def test_scale_applies_to_poses_and_points_alike(scene: Path) -> None:
    sample = Colmap([scene], SIZE, training=False)[0]
    scale = float(sample.points_src[2].max()) / grid_points()[:, 2].max()
    assert np.linalg.norm(sample.T_tgt_src[:3, 3]) == pytest.approx(0.3 * scale, rel=1e-3)


def test_depth_maps_hold_the_points(scene: Path) -> None:
    sample = Colmap([scene], SIZE, training=False)[0]
    assert sample.depth_src.shape == (1, *SIZE) and sample.metric == 0
    known = sample.depth_src[sample.depth_src > 0]
    assert known.numel() == 48
    torch.testing.assert_close(known.unique(), sample.points_src[2].unique())


def test_splat_keeps_the_nearest_and_leaves_out_what_is_outside() -> None:
    points = np.array([[0, 0, 2.0], [0.02, 0, 1.0], [50, 0, 1.0]]).T
    K = np.array([[10.0, 0, 3], [0, 10, 2], [0, 0, 1]])
    depth = splat(points, K, (5, 8))
    assert depth[0, 2, 3] == 1 and (depth > 0).sum() == 1


def test_targets_are_near_and_look_the_same_way(tmp_path: Path) -> None:
    centres = np.array([[0.0, 0, 0], [0.4, 0, 0], [-0.2, 0, 0], [0, 0.1, 0], [0, 0, -4]])
    yaws = np.array([0, 0, 0, np.radians(26), 0])
    dataset = Colmap([write_scene(tmp_path / "s", centres, yaws)], SIZE, training=False)
    targets = {source.path.stem: [t.path.stem for t in near] for source, near in dataset.sources}
    assert targets["01"] == ["03", "02"], "nearest first; 04 looks away, 05 is too far"
    assert "05" not in targets


def test_training_is_deterministic_and_varies_between_epochs(scene: Path) -> None:
    first, second = Colmap([scene], SIZE, seed=3), Colmap([scene], SIZE, seed=3)
    for a, b in zip(first[5], second[5], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    n = len(first.sources)
    assert len(first) == 1000 * n
    assert not torch.equal(first[0].K_src, first[n].K_src)
    assert not torch.equal(first[0].K_src, Colmap([scene], SIZE, seed=4)[0].K_src)


def test_several_targets_share_their_source_and_fit_to_it(scene: Path) -> None:
    dataset = Colmap([scene], SIZE, targets=2)
    for index in range(4):
        sample = dataset[index]
        assert sample.target.shape == (2, 3, *SIZE)
        for name in ("source", "K_src", "points_src", "depth_src", "metric"):
            first, second = getattr(sample, name)
            assert torch.equal(first, second), name
        assert not torch.equal(sample.T_tgt_src[0], sample.T_tgt_src[1])
        for row in range(2):
            one = Sample(*(field[row] for field in sample))
            moved = one.T_tgt_src[:3, :3] @ one.points_src + one.T_tgt_src[:3, 3:]
            assert dot_offsets(one.target, one.K_tgt, moved).max() < 0.2
            assert dot_offsets(one.target, one.K_tgt, one.points_tgt).max() < 0.2
    assert Colmap([scene], SIZE, training=False, targets=2)[0].target.shape == (3, *SIZE)


def test_further_targets_are_different_as_far_as_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    assert sorted(other_targets("a", ["a", "b", "c"], 2, rng)) == ["b", "c"]
    assert sorted(other_targets("a", ["a", "b", "c"], 4, rng)) == ["b", "b", "c", "c"]
    assert other_targets("a", ["a"], 2, rng) == ["a", "a"] and other_targets("a", ["a", "b"], 0, rng) == []


def test_evaluation_takes_the_centre_and_the_two_nearest(scene: Path) -> None:
    dataset = Colmap([scene], SIZE, training=False)
    assert [(s.path.stem, t.path.stem) for s, t in dataset.pairs[:4]] == [
        ("01", "02"),
        ("01", "03"),
        ("02", "01"),
        ("02", "03"),
    ]
    K = dataset[0].K_src  # a 160x107 window, top edge at 6 or 7, at three quarters of the size
    assert K[0, 0] == pytest.approx(FOCAL * SIZE[1] / WIDTH)
    assert K[0, 2] == pytest.approx(SIZE[1] / 2 - 0.5)
    torch.testing.assert_close(dataset[0].points_src, dataset[1].points_src)


def test_windows_stay_inside_and_keep_their_shape() -> None:
    for centre in [(0, 0), (99, 49), (50, 25), (-30, 80)]:
        window = fit_window((100, 50), (20, 40), 0.8, centre)
        left, top, right, bottom = window.box
        assert (window.width, window.height) == (40, 20)
        assert left >= 0 and top >= 0 and right <= 50 and bottom <= 100
    assert fit_window((100, 50), (20, 40), 0.8, (24.5, 69.5)).box == (5, 60, 45, 80)


def test_unreliable_points_are_dropped(tmp_path: Path) -> None:
    errors = np.full(48, 0.5)
    errors[:5] = 2.5
    folder = write_scene(tmp_path / "s", ROW, errors=errors)
    assert len(read_capture(folder, SIZE)[0].ids) == 43
    two = write_scene(tmp_path / "two", ROW[:2])
    with pytest.raises(InputError, match="no picture sees 16 reliable points"):
        Colmap([two], SIZE)


def test_workers_can_be_spawned(scene: Path) -> None:
    dataset = Colmap([scene], SIZE)
    copy = pickle.loads(pickle.dumps(dataset))
    torch.testing.assert_close(copy[2].source, dataset[2].source, rtol=0, atol=0)


def test_corrupt_picture_is_skipped_and_counted(scene: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = Colmap([scene], SIZE, training=False)
    expected = dataset[1].target
    dataset = Colmap([scene], SIZE, training=False)
    (scene / "images" / "02.png").write_bytes(b"not a picture")
    with caplog.at_level(logging.WARNING):
        sample = dataset[0]
    torch.testing.assert_close(sample.target, expected)
    assert dataset.skipped == 1 and "02.png" in caplog.text


def test_no_decodable_picture_is_an_error(scene: Path) -> None:
    dataset = Colmap([scene], SIZE)
    for path in (scene / "images").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="can be decoded"):
        dataset[0]


def test_picture_of_another_shape_is_skipped(scene: Path) -> None:
    Image.new("RGB", (120, 160)).save(scene / "images" / "01.png")
    dataset = Colmap([scene], SIZE, training=False)
    dataset[0]
    assert dataset.skipped > 0


def test_fewer_points_than_asked_for_are_repeated_evenly(scene: Path) -> None:
    sample = Colmap([scene], SIZE, training=False, points=500)[0]
    different, times = sample.points_src.unique(dim=1, return_counts=True)
    assert sample.points_src.shape == (3, 500) and different.shape[1] < 50
    assert times.max() - times.min() <= 1


def test_cache_is_bounded(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mine.data.base.image_pairs.CACHED_PIXELS", 2 * 160 * 120)
    dataset = Colmap([scene], SIZE)
    for index in range(8):
        dataset[index]
    assert len(dataset._decoded) == 2


def test_several_scenes(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_scene(tmp_path / name, ROW)
    assert [path.name for path in captures_in(tmp_path)] == ["a", "b"]
    assert captures_in(tmp_path / "a") == [tmp_path / "a"]
    dataset = Colmap(captures_in(tmp_path), SIZE)
    assert {source.scene for source, _ in dataset.sources} == {"a", "b"}


@pytest.mark.parametrize(("named", "found"), [((), {"a", "b"}), (("b",), {"b"})])
def test_a_source_takes_the_scenes_it_names_or_all(tmp_path: Path, named: tuple[str, ...], found: set[str]) -> None:
    for name in ("b", "a"):
        write_scene(tmp_path / name, ROW)
    dataset = training_set(ColmapSource(kind="colmap", root=str(tmp_path), scenes=named), SIZE, targets=2)
    assert isinstance(dataset, Colmap) and dataset.targets == 2
    assert {source.scene for source, _ in dataset.sources} == found


def rows(root: Path | str, *scenes: str) -> set[str]:
    """Rows of a report of captures."""
    source = ColmapSource(kind="colmap", root=str(root), scenes=scenes)
    dataset = evaluation_set(source, SIZE)
    assert isinstance(dataset, Colmap)
    return {dataset.row(index) for index in range(len(dataset))}


def test_captures_have_rows_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_scene(tmp_path / name / "scan", ROW)
    assert rows(tmp_path, "a/scan", "b/scan") == {"a/scan", "b/scan"}
    assert rows(tmp_path / "a") == {"scan"}
    assert rows(tmp_path / "a" / "scan") == {"scan"}
    monkeypatch.chdir(tmp_path / "a" / "scan")
    assert rows(".") == {"scan"}
    assert rows(".", ".") == {"scan"}
    assert rows("..", "scan") == {"scan"}
    (tmp_path / "link").symlink_to(tmp_path / "a" / "scan")
    assert rows(tmp_path / "link") == {"link"}


def break_reconstruction(scene: Path) -> None:
    (scene / "sparse" / "0" / "images.txt").unlink()


def break_pictures(scene: Path) -> None:
    (scene / "sparse" / "0" / "images.txt").write_text("# no picture\n")
    (scene / "sparse" / "0" / "points3D.txt").write_text("# no point\n")


def break_files(scene: Path) -> None:
    (scene / "images" / "03.png").unlink()


def break_pose(scene: Path) -> None:
    path = scene / "sparse" / "0" / "images.txt"
    lines = path.read_text().splitlines()
    lines[2] = "2 1 0 0 0 nan 0 0 1 02.png"
    path.write_text("\n".join(lines) + "\n")


def break_points(scene: Path) -> None:
    (scene / "sparse" / "0" / "points3D.txt").write_text("# no point\n")
    path = scene / "sparse" / "0" / "images.txt"
    cameras = path.read_text().splitlines()[::2]
    path.write_text("".join(camera + "\n\n" for camera in cameras))


def break_model(scene: Path) -> None:
    (scene / "sparse" / "0" / "cameras.txt").write_text("1 NO_SUCH_MODEL 160 120 1 2 3\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_reconstruction, "no sparse/0"),
        (break_pictures, "no pictures"),
        (break_files, "03.png"),
        (break_points, "no picture sees 16 reliable points .at most 0."),
        (break_pose, "02.png|not a readable"),
        (break_model, "not a readable"),
    ],
)
def test_broken_captures_are_told_in_one_line(scene: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    damage(scene)
    with pytest.raises(InputError, match=message) as caught:
        Colmap([scene], SIZE)
    assert "\n" not in str(caught.value)


def test_far_cameras_make_no_pair(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "s", np.array([[0.0, 0, 0], [0, 0, -5], [0, 0, -12]]))
    with pytest.raises(InputError, match="no two cameras"):
        Colmap([folder], SIZE)


def test_a_missing_capture_is_told_from_one_without_cameras(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no capture at .*room: make one .* or download the data set"):
        Colmap([tmp_path / "room"])
    (tmp_path / "room").mkdir()
    with pytest.raises(InputError, match="room has no sparse/0"):
        Colmap([tmp_path / "room"])


def test_nothing_given(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no captures"):
        Colmap([], SIZE)
    with pytest.raises(InputError, match="no capture in"):
        captures_in(tmp_path)


def test_processes_end_quietly() -> None:
    """pycolmap prints a stack trace on SIGTERM; a stopped training run should not."""
    code = "import mine.data.sfm.capture, os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGTERM and ended.stderr == ""
