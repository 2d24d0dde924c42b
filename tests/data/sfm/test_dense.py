"""Dense depth by plane sweep: exact shifts of a textured plane, generated scenes, and the files that are written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from colmap_scene import FOCAL, HEIGHT, WIDTH, grid_points, write_scene
from PIL import Image
from torch import Tensor

from mine.data.base.dense_photographs import write_dense
from mine.data.datasets.rgbd import Rgbd
from mine.data.sfm.dense import PLANES, View, confirmed, dense_depth, similarity, sweep
from mine.data.synthetic.dataset import generate
from mine.errors import InputError

K = torch.tensor([[40.0, 0, 31.5], [0, 40.0, 23.5], [0, 0, 1]])


def moved(right: float) -> Tensor:
    """Pose of a camera that has moved to the right."""
    pose = torch.eye(4)
    pose[0, 3] = -right
    return pose


def plane_views(depth: float, shifts: tuple[int, ...]) -> list[View]:
    """Views of a textured plane at a depth, from cameras whose images are whole pixels apart."""
    torch.manual_seed(0)
    texture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 50, 98), 3, 1)[0, 0]
    everything = tuple(range(len(shifts)))
    return [
        View(
            texture[:, 16 + shift : 80 + shift],
            K,
            moved(shift * depth / 40),
            (depth / 2, depth * 2),
            tuple(other for other in everything if other != own),
        )
        for own, shift in enumerate(shifts)
    ]


def write_wall(folder: Path, plain: bool = False) -> Path:
    """A capture of a textured wall at depth 6 by five cameras, 0.4 apart: their images are 10 pixels apart."""
    points = grid_points() * [1, 1, 0] + [0, 0, 6]
    write_scene(folder, np.array([[0.4 * number, 0, 0] for number in range(5)]), points=points)
    texture = np.random.default_rng(0).integers(0, 256, (HEIGHT // 3, (WIDTH + 40) // 2 + 1)).astype(np.uint8)
    wall = Image.fromarray(texture).resize((WIDTH + 40, HEIGHT), Image.Resampling.BICUBIC)
    for number in range(5):
        image = wall.crop((10 * number, 0, 10 * number + WIDTH, HEIGHT)).convert("RGB")
        image = Image.new("RGB", (WIDTH, HEIGHT), "grey") if plain else image
        image.save(folder / "images" / f"{number + 1:02d}.png")
    return folder


@pytest.mark.parametrize("depth", [1.0, 3.0, 10.0])
def test_a_plane_has_its_depth(depth: float) -> None:
    """Disparity is known to a fraction of the planes' spacing, 1.5 / (PLANES - 1) of the plane's own."""
    views = plane_views(depth, (0, 8, -8))
    found = next(iter(dense_depth(views)))[8:-8, 16:-16]
    assert (found > 0).all()
    assert (depth / found - 1).abs().max() < 1.5 / (PLANES - 1)


def test_what_no_image_confirms_is_unknown() -> None:
    """One of two images shows another place: no depth of the first is confirmed twice, nor of the other at all."""
    one, two = plane_views(2.0, (0, 8))
    torch.manual_seed(1)
    elsewhere = two._replace(grey=torch.rand_like(two.grey))
    depths = list(dense_depth([one, elsewhere]))
    assert max(float((depth > 0).float().mean()) for depth in depths) < 0.02


def test_plain_images_have_no_depth() -> None:
    views = [view._replace(grey=torch.full_like(view.grey, 0.5)) for view in plane_views(2.0, (0, 8))]
    assert not sweep(views[0], views[1:]).any()


def test_an_image_without_neighbours_has_no_depth() -> None:
    assert not sweep(plane_views(2.0, (0,))[0], []).any()


def test_a_camera_that_looks_the_other_way_shows_nothing() -> None:
    """Its homography maps every pixel into its image, from behind."""
    one, two = plane_views(2.0, (0, 0))
    behind = two._replace(pose=torch.diag(torch.tensor([-1.0, 1, -1, 1])))
    assert (similarity(one, two, torch.tensor([0.5])) > 0.99).all()
    assert (similarity(one, behind, torch.tensor([0.5])) == -1).all()


def test_a_wrong_depth_is_not_confirmed() -> None:
    one, two = plane_views(2.0, (0, 8))
    true = torch.full_like(one.grey, 2.0)
    inside = confirmed(one, true, two, true)[:, 8:]
    assert inside.all()
    assert not confirmed(one, true * 1.1, two, true).any()


@pytest.mark.parametrize("seed", [3, 8])
def test_generated_scenes_have_their_depth(seed: int) -> None:
    """Of two views that are only a small step apart, half of what is found is right to 3%, and most to 10%."""
    sample = generate(seed, (96, 144))
    depth = sample.depth_src[0]
    near, far = float(depth.min()), float(depth[depth < 900].max())
    grey = [image.mean(0) for image in (sample.source, sample.target)]
    source = View(grey[0], sample.K_src, torch.eye(4), (near * 0.9, far * 1.1), (1,))
    target = View(grey[1], sample.K_tgt, sample.T_tgt_src, (near * 0.9, far * 1.1), (0,))
    found = next(iter(dense_depth([source, target])))
    known = found > 0
    error = (found / depth - 1).abs()[known]
    assert known.float().mean() > 0.1
    assert (error < 0.03).float().mean() > 0.5
    assert (error < 0.1).float().mean() > 0.8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs of 80 pixels, so that a sweep takes a moment."""
    monkeypatch.setattr("mine.data.base.dense_photographs.LONGEST", 80)


def test_what_is_written_is_read_by_its_kind(tmp_path: Path, small: None) -> None:
    capture = write_wall(tmp_path / "wall")
    report = write_dense(capture, tmp_path / "dense", progress=False)
    line = json.loads((tmp_path / "dense" / "frames.jsonl").read_text().splitlines()[0])
    assert np.isclose(line["fx"], FOCAL * 80 / WIDTH, rtol=0.01)
    assert report.photographs == report.images > 2 and report.known > 0.3
    sample = Rgbd(tmp_path / "dense", size=(64, 96))[0]
    known = sample.depth_src[sample.depth_src > 0]
    assert len(known) and float(known.max() / known.min()) < 1.1  # a wall that faces the cameras


def cut(file: Path) -> None:
    """Cuts a file to the half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_a_picture_that_is_cut_short_is_left_out(tmp_path: Path, small: None) -> None:
    capture = write_wall(tmp_path / "wall")
    cut(capture / "images" / "01.png")
    report = write_dense(capture, tmp_path / "dense", progress=False)
    assert (report.unreadable, report.images) == (1, 5) and report.photographs > 2
    assert "1 cannot be decoded" in str(report)
    lines = (tmp_path / "dense" / "frames.jsonl").read_text().splitlines()
    assert "01.png" not in {json.loads(line)["picture"] for line in lines}


def test_a_capture_of_which_no_picture_can_be_decoded_is_refused(tmp_path: Path, small: None) -> None:
    capture = write_wall(tmp_path / "wall")
    for file in (capture / "images").iterdir():
        cut(file)
    with pytest.raises(InputError, match=r"none of 5 pictures can be decoded .*05\.png"):
        write_dense(capture, tmp_path / "dense", progress=False)
    assert not (tmp_path / "dense").exists()


def test_a_capture_without_overlap_is_refused(tmp_path: Path, small: None) -> None:
    capture = write_wall(tmp_path / "wall", plain=True)
    with pytest.raises(InputError, match="no dense depth"):
        write_dense(capture, tmp_path / "dense", progress=False)
    assert not (tmp_path / "dense").exists()


def test_existing_output_is_kept(tmp_path: Path) -> None:
    (tmp_path / "dense").mkdir()
    with pytest.raises(InputError, match="exists"):
        write_dense(tmp_path, tmp_path / "dense", progress=False)
