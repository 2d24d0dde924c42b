"""The disparity network: its maps, its checkpoint, and the scenes that `Model.predict` makes of them."""

import math
from pathlib import Path

import pytest
import torch

import mine
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, save_network
from mine.network.disparity.network import FOCAL_RANGE, DisparityNetwork, focal_contrast
from mine.scene.camera import intrinsics
from mine.scene.depth_maps.depth_map import FARTHEST

TINY = Architecture("mobilenetv3_small_050", widths=(4, 4, 8, 8, 8), decoder="disparity")


@pytest.fixture(scope="module")
def network() -> DisparityNetwork:
    torch.manual_seed(0)
    return DisparityNetwork(TINY).eval()


def test_disparities_are_relative_to_the_nearest(network: DisparityNetwork) -> None:
    with torch.no_grad():
        disparity_map = network(torch.rand(2, 3, 64, 128))
    assert disparity_map.shape == (2, 1, 64, 128)
    assert disparity_map.min() >= FARTHEST
    assert disparity_map.flatten(1).max(1).values.tolist() == [1, 1]


def test_a_checkpoint_is_read_back(network: DisparityNetwork, tmp_path: Path) -> None:
    save_network(network, tmp_path / "a.safetensors")
    loaded = load_network(tmp_path / "a.safetensors")
    assert isinstance(loaded, DisparityNetwork)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(image), network(image))


def test_contrast_falls_with_the_focal_length_within_the_measured_range() -> None:
    def of(focal: float, size: tuple[int, int] = (256, 384)) -> float:
        return float(focal_contrast(torch.diag(torch.tensor([focal * max(size), focal * max(size), 1.0])), size))

    assert of(1.0) == 1 and of(1.0, (384, 256)) == 1
    assert of(2.0) == pytest.approx(2**-0.4) == pytest.approx(1 / of(0.5))
    assert of(0.01) == pytest.approx(of(FOCAL_RANGE[0])) and of(FOCAL_RANGE[0]) > of(0.5)
    assert of(100.0) == pytest.approx(of(FOCAL_RANGE[1])) and of(FOCAL_RANGE[1]) < of(2.0)


def test_a_known_field_of_view_sets_the_contrast_and_an_assumed_one_does_not() -> None:
    torch.manual_seed(0)
    steep = DisparityNetwork(TINY).eval()
    with torch.no_grad():
        steep.decoder.head.weight.mul_(100)  # untrained, its maps are nearly flat
    photo, model = torch.rand(3, 128, 128), mine.Model(steep)

    def farthest(**camera: object) -> float:
        scene = model.predict(photo, planes=4, size=(128, 128), **camera)  # type: ignore[arg-type]
        return float(scene.disparity[-1])

    neutral = 2 * math.degrees(math.atan(0.5))
    assert farthest() == pytest.approx(farthest(fov=neutral), rel=1e-5)
    assert farthest(fov=90) < farthest() < farthest(fov=25)
    K = intrinsics((128, 128), 25)
    assert farthest(K=K) == pytest.approx(farthest(fov=25), rel=1e-5)


@pytest.mark.parametrize("blend", [True, False])
def test_predicted_scenes_show_the_photo(network: DisparityNetwork, blend: bool) -> None:
    photo = torch.rand(3, 128, 256)
    scene = mine.Model(network).predict(photo, planes=12, size=(128, 256), blend=blend)
    assert (scene.photo is not None) == blend
    assert scene.disparity[0] == 1 and len(scene.disparity) == 12
    assert (scene.render(torch.eye(4)).rgb[0] - photo).abs().max() < 2e-3


def test_planes_lie_at_the_requested_disparities(network: DisparityNetwork) -> None:
    disparity = torch.tensor([0.9, 0.5, 0.45, 0.1])
    scene = mine.Model(network).predict(torch.rand(3, 128, 128), disparity=disparity, size=(128, 128))
    assert torch.equal(scene.disparity, disparity)
