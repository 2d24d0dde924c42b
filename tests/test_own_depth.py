"""`Model.predict` with a depth map: the scene has that depth, in its unit, and better views than a predicted one."""

from pathlib import Path

import numpy as np
import portrait_photos
import pytest
import torch
from PIL import Image

import mine
from mine.data.synthetic import SyntheticScenes
from mine.evaluation.evaluate import evaluate_samples
from mine.scene.camera import resize_intrinsics

SIZE = (128, 192)
DEPTH = np.linspace(2, 6, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
"""Farther from row to row."""


@pytest.fixture(scope="module")
def model() -> mine.Model:
    """The shipped model."""
    return mine.load(device="cpu")


@pytest.fixture
def photo() -> torch.Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))


def rendered_depth(scene: mine.MPI) -> torch.Tensor:
    """Depth (H, W) in the source camera, without the borders, where renderers differ."""
    return scene.render(torch.eye(4), size=SIZE).depth[0, 0]


def test_a_scene_of_metric_depth_is_in_metres(model: mine.Model, photo: torch.Tensor) -> None:
    depth = mine.read_depth(DEPTH, "depth", scale=1.0)
    scene = model.predict(photo, depth=depth)
    assert float(scene.disparity[0]) == pytest.approx(1 / 2, rel=2e-3)
    torch.testing.assert_close(rendered_depth(scene), torch.from_numpy(DEPTH), rtol=0.03, atol=0.05)
    millimetres = model.predict(photo, depth=mine.read_depth((1000 * DEPTH).astype(np.uint16), "depth", scale=0.001))
    torch.testing.assert_close(rendered_depth(millimetres), rendered_depth(scene), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("scale", [0.001, 1.0, 12500.0])
def test_the_last_plane_is_opaque_in_metres_too(model: mine.Model, scale: float) -> None:
    """From an insect to a mountain 25 to 75 km away: the interval behind the last plane is as long in all of them."""
    depth = mine.read_depth(DEPTH, "depth", scale=scale)
    for blend in (True, False):
        scene = model.predict(torch.ones(3, *SIZE), planes=8, depth=depth, blend=blend)
        view = scene.render(torch.eye(4), size=scene.plane_size)
        assert view.rgb.min() > 0.999
        torch.testing.assert_close(
            view.depth[0, 0, *(side // 2 for side in scene.plane_size)], torch.tensor(4 * scale), rtol=0.02, atol=0
        )


def test_the_nearest_surface_of_other_depth_is_at_1(model: mine.Model, photo: torch.Tensor) -> None:
    relative = model.predict(photo, depth=mine.read_depth(DEPTH, "depth"))
    assert float(relative.disparity[0]) == pytest.approx(1)
    metric = model.predict(photo, depth=mine.read_depth(DEPTH, "depth", scale=1.0))
    nearest = 1 / float(metric.disparity[0])
    torch.testing.assert_close(nearest * rendered_depth(relative), rendered_depth(metric), rtol=2e-3, atol=2e-3)


def test_files_arrays_and_tensors_give_the_same_scene(model: mine.Model, photo: torch.Tensor, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", 1 / DEPTH)
    Image.fromarray(1 / DEPTH).save(tmp_path / "a.tiff")
    expected = model.predict(photo, depth=mine.read_depth(1 / DEPTH, "disparity")).planes
    disparity = mine.read_depth(tmp_path / "a.npy", "disparity")
    tensor = mine.read_depth(torch.from_numpy(1 / DEPTH).numpy(), "disparity")
    for depth in (disparity, mine.read_depth(tmp_path / "a.tiff", "disparity"), tensor):
        torch.testing.assert_close(model.predict(photo, depth=depth).planes, expected)


def test_disparities_of_planes_are_in_the_scene_s_unit(model: mine.Model, photo: torch.Tensor) -> None:
    disparity = torch.tensor([0.5, 0.3, 0.2, 0.15])
    scene = model.predict(photo, depth=mine.read_depth(DEPTH, "depth", scale=1.0), disparity=disparity)
    torch.testing.assert_close(scene.disparity, disparity)


def test_the_depth_of_a_portrait_is_used(model: mine.Model, tmp_path: Path) -> None:
    portrait_photos.apple_jpeg(tmp_path / "a.jpg", orientation=6)
    own = model.predict(tmp_path / "a.jpg", depth="auto")
    given = model.predict(tmp_path / "a.jpg", depth=mine.read_depth("auto", photo=tmp_path / "a.jpg"))
    torch.testing.assert_close(own.planes, given.planes)
    assert own.size[0] > own.size[1]


def test_a_map_of_another_shape_is_refused(model: mine.Model, photo: torch.Tensor) -> None:
    with pytest.raises(mine.InputError, match=r"192x64 pixels and the photo 192x128, of another shape"):
        model.predict(photo, depth=DEPTH[::2])
    with pytest.raises(mine.InputError, match="give the photo as a file"):
        model.predict(photo, depth="auto")


def test_plane_networks_take_depth_too(tiny_checkpoint: Path, photo: torch.Tensor) -> None:
    scene = mine.load(tiny_checkpoint, device="cpu").predict(photo, depth=mine.read_depth(DEPTH, "depth", scale=1.0))
    torch.testing.assert_close(rendered_depth(scene), torch.from_numpy(DEPTH), rtol=0.03, atol=0.05)


def test_without_blending_the_scene_has_no_photo(model: mine.Model, photo: torch.Tensor) -> None:
    scene = model.predict(photo, depth=mine.read_depth(DEPTH, "depth"), blend=False)
    assert scene.photo is None and scene.surface is None


def test_exact_depth_beats_the_shipped_network_by_2_db(model: mine.Model) -> None:
    """benchmarks/own_depth.py has the figures of many scenes."""
    methods = {
        "network": lambda sample: model.predict(sample.source, K=sample.K_src),
        "exact": lambda sample: model.predict(
            sample.source, K=sample.K_src, depth=mine.read_depth(sample.depth_src[0].numpy(), "depth")
        ),
    }
    scenes = SyntheticScenes(2, SIZE, seed=1000)
    means = evaluate_samples(None, scenes, len(scenes), methods, progress=False).mean()
    assert means["exact"]["psnr"] > means["network"]["psnr"] + 2
    assert means["exact"]["psnr_hidden"] > means["network"]["psnr_hidden"]


def test_the_camera_does_not_depend_on_the_depth(model: mine.Model, photo: torch.Tensor) -> None:
    K = torch.tensor([[150.0, 0, 96], [0, 150, 64], [0, 0, 1]])
    scene = model.predict(photo, K=K, depth=mine.read_depth(DEPTH, "depth"))
    torch.testing.assert_close(scene.K, resize_intrinsics(K, SIZE, scene.plane_size))
