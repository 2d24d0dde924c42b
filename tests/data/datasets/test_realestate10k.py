"""RealEstate10K on a miniature of its layout."""

import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from colmap_scene import FOCAL, HEIGHT, WIDTH, grid_points, write_scene

from mine.data.datasets.realestate10k import RealEstate10K
from mine.errors import InputError
from mine.evaluation.evaluate import evaluate

SIZE = (80, 120)
FRAMES = 14
CENTRES = np.array([[0.03 * i, 0.01 * i, 0] for i in range(FRAMES)])
NAMES = [f"{33366 * (i + 25)}" for i in range(FRAMES)]  # six digits, then seven


def write_cameras(path: Path, centres: np.ndarray = CENTRES) -> None:
    """The published text format: intrinsics in units of the picture, world-to-camera poses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["https://www.youtube.com/watch?v=miniature"]
    for name, (x, y, z) in zip(NAMES, centres, strict=True):
        lines.append(f"{name} {FOCAL / WIDTH} {FOCAL / HEIGHT} 0.5 0.5 0.0 0.0 1 0 0 {-x} 0 1 0 {-y} 0 0 1 {-z}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mine colmap --poses` makes: pictures named by timestamps, and points."""
    folder = write_scene(tmp_path_factory.mktemp("made") / "capture", CENTRES)
    listed = folder / "sparse" / "0" / "images.txt"
    text = listed.read_text()
    for number, name in enumerate(NAMES, start=1):
        (folder / "images" / f"{number:02d}.png").rename(folder / "images" / f"{name}.png")
        text = text.replace(f" {number:02d}.png", f" {name}.png")
    listed.write_text(text)
    return folder


@pytest.fixture
def root(tmp_path: Path, capture: Path) -> Path:
    for split, name in (("train", "aa"), ("train", "bb"), ("train", "not-downloaded"), ("test", "cc")):
        write_cameras(tmp_path / split / f"{name}.txt")
        if name != "not-downloaded":
            shutil.copytree(capture / "images", tmp_path / "frames" / name)
    return tmp_path


@pytest.fixture
def posed(root: Path, capture: Path) -> Path:
    for name in ("aa", "cc"):
        shutil.copytree(capture, root / "captures" / name)
    return root


def offsets(image: torch.Tensor, K: torch.Tensor, points: torch.Tensor) -> np.ndarray:
    """Distance in pixels from each projected point (3, N) to the centre of the brightness around it."""
    found = []
    y, x = torch.meshgrid(*(torch.arange(side).float() for side in image.shape[1:]), indexing="ij")
    for u, v in ((K @ points)[:2] / points[2]).T.tolist():
        if 6 < u < image.shape[2] - 7 and 6 < v < image.shape[1] - 7:
            near = image[0] * (((x - u) ** 2 + (y - v) ** 2) < 4**2)
            found.append(float(torch.hypot((near * x).sum() / near.sum() - u, (near * y).sum() / near.sum() - v)))
    assert len(found) >= 10
    return np.array(found)


def test_normalised_cameras_put_points_on_their_dots(root: Path) -> None:
    """Without captures, lengths stay in the published unit."""
    sample = RealEstate10K(root, SIZE, training=False)[0]
    assert sample.metric == 1 and sample.points_src.shape == (3, 0) and (sample.depth_src == 0).all()
    world = torch.from_numpy(grid_points()).float().T
    # The pose says how far the target moved, so the source's place follows from it: 5 frames.
    assert torch.linalg.vector_norm(sample.T_tgt_src[:3, 3]) == pytest.approx(5 * np.hypot(0.03, 0.01), rel=1e-4)
    for i in range(FRAMES):
        if offsets(sample.source, sample.K_src, world - torch.tensor(CENTRES[i]).float()[:, None]).max() < 0.2:
            break
    else:
        pytest.fail("no frame's camera fits the source")
    in_source = world - torch.tensor(CENTRES[i]).float()[:, None]
    in_target = sample.T_tgt_src[:3, :3] @ in_source + sample.T_tgt_src[:3, 3:]
    assert offsets(sample.target, sample.K_tgt, in_target).max() < 0.2


def test_captures_give_points_and_scale(posed: Path) -> None:
    dataset = RealEstate10K(posed, SIZE)
    assert dataset.names == ["aa"], "bb has no points"
    for index in range(4):
        sample = dataset[index]
        assert sample.metric == 0 and sample.points_src.shape == (3, 256)
        assert 0.97 < sample.points_src[2].min() < 1.29
        assert offsets(sample.source, sample.K_src, sample.points_src).max() < 0.2
        assert offsets(sample.target, sample.K_tgt, sample.points_tgt).max() < 0.2


def test_evaluation_takes_frames_5_and_10_later_and_a_random_one(posed: Path) -> None:
    dataset = RealEstate10K(posed, SIZE, training=False)
    assert len(dataset) == 3 and [dataset.row(i) for i in range(3)] == ["t=5", "t=10", "random"]
    assert dataset.by_source() == [[0, 1, 2]]
    steps = []
    for index in range(3):
        pair = dataset.pair(index)
        steps.append(NAMES.index(pair.target.path.stem) - NAMES.index(pair.source.path.stem))
    assert steps[:2] == [5, 10] and steps[2] != 0 and abs(steps[2]) <= 30
    torch.testing.assert_close(dataset[0].points_src, dataset[2].points_src)


def test_report_has_a_row_for_each_protocol(root: Path) -> None:
    scenes = evaluate(None, RealEstate10K(root, SIZE, training=False), progress=False).scenes()
    assert list(scenes) == ["t=5", "t=10", "random"]
    assert all(list(methods) == ["unchanged"] for methods in scenes.values()), "others need points"


def test_training_pairs_are_deterministic_and_near(root: Path) -> None:
    first, second = RealEstate10K(root, SIZE, seed=2), RealEstate10K(root, SIZE, seed=2)
    assert first.names == ["aa", "bb"] and len(first) == 200
    for a, b in zip(first[5], pickle.loads(pickle.dumps(second))[5], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    pairs = {(p.source.path.stem, p.target.path.stem) for p in (first.pair(i) for i in range(0, 40, 2))}
    assert len(pairs) > 10 and all(source != target for source, target in pairs)


def test_several_targets_are_near_and_show_the_sources_points(root: Path, posed: Path) -> None:
    dataset = RealEstate10K(root, SIZE, targets=3)
    for index in range(3):
        pair, sample = dataset.pair(index), dataset[index]
        names = [picture.path.stem for picture in (pair.source, pair.target, *pair.others)]
        assert len(set(names)) == 4 and sample.target.shape == (3, 3, *SIZE)
        for row in range(3):
            moved = sample.T_tgt_src[row, :3, :3] @ sample.points_src[row] + sample.T_tgt_src[row, :3, 3:]
            assert offsets(sample.target[row], sample.K_tgt[row], moved).max() < 0.3


def test_corrupt_frames_and_cameras_are_skipped_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = RealEstate10K(root, SIZE)
    (root / "train" / "aa.txt").write_text("address\n12 nan\n")
    for name in NAMES[::2]:
        (root / "frames" / "bb" / f"{name}.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        samples = [dataset[index] for index in range(6)]
    assert dataset.skipped >= 3 and "aa.txt, line 2" in caplog.text and "cannot be decoded" in caplog.text
    assert all(sample.source.shape == (3, *SIZE) for sample in samples)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no camera files"):
        RealEstate10K(tmp_path, SIZE)
    write_cameras(tmp_path / "train" / "aa.txt")
    with pytest.raises(InputError, match="no frames of 1 sequences"):
        RealEstate10K(tmp_path, SIZE)
    write_cameras(tmp_path / "test" / "aa.txt")
    (tmp_path / "frames" / "aa").mkdir(parents=True)
    with pytest.raises(InputError, match="frames 5 and 10"):
        RealEstate10K(tmp_path, SIZE, training=False)
