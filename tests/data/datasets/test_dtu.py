"""DTU on a miniature of the layout that MVSNet's authors gave it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mine.data.datasets.dtu import UNIT, Dtu, read_camera
from mine.errors import InputError

SIZE = (128, 192)
K = np.array([[90.0, 0, 80.2], [0, 90.0, 63.7], [0, 0, 1]])  # of pictures of 160x128
CENTRES = np.array([[0.0, 0, 0], [60.0, 0, 0], [120.0, 10, 0]])
POINTS = np.array([[x, y, 600.0 + 0.2 * x] for x in (-150.0, -50, 50, 150) for y in (-90.0, 0, 90)])


def picture(centre: np.ndarray, light: int) -> Image.Image:
    """Squares of 9x9 pixels at the points, the brighter the higher the number of the light."""
    pixels = (POINTS - centre) @ (np.diag([4, 4, 1]) @ K).T
    shown = np.zeros((512, 640), np.uint8)
    for u, v in (pixels[:, :2] / pixels[:, 2:]).round().astype(int):
        shown[max(v - 4, 0) : v + 5, max(u - 4, 0) : u + 5] = 180 + 10 * light
    return Image.fromarray(np.repeat(shown[..., None], 3, axis=2))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    cameras = tmp_path / "Cameras" / "train"
    cameras.mkdir(parents=True)
    (tmp_path / "Cameras" / "pair.txt").write_text("3\n0\n2 1 90.5 2 50.1\n1\n2 2 80.0 0 70.0\n2\n1 1 80.0\n")
    for number, centre in enumerate(CENTRES):
        pose = np.eye(4)
        pose[:3, 3] = -centre
        rows = ["extrinsic", *(" ".join(map(str, row)) for row in pose), "", "intrinsic"]
        rows += [*(" ".join(map(str, row)) for row in K), "", "425.0 2.5"]
        (cameras / f"{number:08d}_cam.txt").write_text("\n".join(rows) + "\n")
    for scan in ("scan1", "scan2"):
        (tmp_path / "Rectified" / f"{scan}_train").mkdir(parents=True)
        for number, centre in enumerate(CENTRES):
            for light in range(7):
                name = f"rect_{number + 1:03d}_{light}_r5000.png"
                picture(centre, light).save(tmp_path / "Rectified" / f"{scan}_train" / name, compress_level=1)
    (tmp_path / "test.txt").write_text("scan2\n")
    return tmp_path


def brightness_at(image: torch.Tensor, K: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    u, v = ((K @ points)[:2] / points[2]).round().long()
    inside = (u >= 0) & (v >= 0) & (u < image.shape[2]) & (v < image.shape[1])
    assert inside.sum() >= 4
    return image[0, v[inside], u[inside]]


def test_evaluation_shows_best_neighbours_in_one_light(root: Path) -> None:
    dataset = Dtu(root, SIZE, training=False)
    assert dataset.sources == [("scan2", 0), ("scan2", 1), ("scan2", 2)] and dataset.row(2) == "scan2"
    assert [dataset.pair(i).target.path.name for i in range(3)] == [f"rect_00{n}_3_r5000.png" for n in (2, 3, 2)]
    sample = dataset[0]
    points = torch.from_numpy(POINTS.T / UNIT).float()
    assert brightness_at(sample.source, sample.K_src, points).min() > 0.6
    moved = sample.T_tgt_src[:3, :3] @ points + sample.T_tgt_src[:3, 3:]
    assert brightness_at(sample.target, sample.K_tgt, moved).min() > 0.6
    assert sample.T_tgt_src[0, 3] == pytest.approx(-60 / UNIT) and sample.metric == 1


def test_training_draws_neighbours_and_lights_alike_for_both(root: Path) -> None:
    dataset = Dtu(root, SIZE)
    pairs = [dataset.pair(index) for index in range(30)]
    names = [(pair.source.path.name, pair.target.path.name) for pair in pairs]
    assert all(a[5:8] != b[5:8] and a[8:] == b[8:] for a, b in names)
    assert {a[9] for a, _ in names} == set("0123456") and {pair.source.scene for pair in pairs} == {"scan1"}
    assert dataset[1].source.shape == (3, *SIZE)


def test_several_targets_are_neighbours_in_the_same_light(root: Path) -> None:
    dataset = Dtu(root, SIZE, targets=2)
    for index in range(6):
        pair = dataset.pair(index)
        names = [picture.path.name for picture in (pair.source, pair.target, *pair.others)]
        assert len({name[8:] for name in names}) == 1 and len(names) == 3
        assert len({name[5:8] for name in names}) == (2 if index % 3 == 2 else 3), "view 2 has one neighbour"
    assert dataset[0].target.shape == (2, 3, *SIZE)


def test_what_is_missing_or_broken_is_told(root: Path) -> None:
    (root / "train.txt").write_text("scan9")
    with pytest.raises(InputError, match="scan9 is not in"):
        Dtu(root, SIZE)
    camera = root / "Cameras" / "train" / "00000001_cam.txt"
    whole = camera.read_text()
    broken = [whole.replace("90.0", focal) for focal in ("nan", "0", "-1", "1e308", "text")]
    for text in ("", "extrinsic 1 2", whole.replace("1.0", "2.0", 1), *broken):
        camera.write_text(text)
        with pytest.raises(InputError, match="no readable camera"):
            read_camera(camera)
    (root / "Cameras" / "pair.txt").write_text("1\n0\n1 7 2.0\n")
    with pytest.raises(InputError, match="none of its views"):
        Dtu(root, SIZE)
    (root / "Cameras" / "pair.txt").write_text("1\n²\n1 7 2.0\n")
    with pytest.raises(InputError, match=r"pair\.txt cannot be read"):
        Dtu(root, SIZE)
    (root / "Cameras" / "pair.txt").unlink()
    with pytest.raises(InputError, match=r"no list of views at .*pair\.txt"):
        Dtu(root, SIZE)
