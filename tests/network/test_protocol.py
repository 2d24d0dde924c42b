"""The registry of networks, and what every kind provides."""

import subprocess
import sys

import pytest
import torch

from mine.errors import InputError
from mine.network import NETWORKS, network_kind
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network
from mine.network.protocol import Network
from mine.training.objectives import OBJECTIVES


def tiny(decoder: str) -> Network:
    torch.manual_seed(0)
    widths = (4, 4, 5, 6, 7)
    layers = {"background": widths, "opacity": 4} if decoder == "layers" else {}
    return make_network(
        Architecture("mobilenetv3_small_050", widths, bottleneck=(8, 6), decoder=decoder, **layers)  # type: ignore[arg-type]
    ).eval()


def test_the_registry_does_not_import_torch() -> None:
    code = "import sys, mine.network, mine.network.architecture; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(InputError, match=r"'volume'.*planes, disparity"):
        network_kind("volume")


def test_every_kind_has_losses() -> None:
    assert OBJECTIVES.keys() == NETWORKS.keys()


@pytest.mark.parametrize("decoder", NETWORKS)
@torch.no_grad()
def test_planes_lie_at_given_disparities_or_are_counted(decoder: str) -> None:
    network, image = tiny(decoder), torch.rand(1, 3, 128, 256)
    assert type(network) is network.kind.load() and network.kind is NETWORKS[decoder]
    given = torch.tensor([0.9, 0.5, 0.2])
    planes, disparity = network.predict_planes(image, given)
    assert planes.shape == (1, 3, 4, 128, 256) and torch.equal(disparity, given)
    planes, disparity = network.predict_planes(image, 5)
    assert planes.shape == (1, 5, 4, 128, 256)
    assert disparity.shape == (5,) and (disparity.diff() < 0).all()
    assert planes[:, :, :3].min() >= 0 and planes[:, :, :3].max() <= 1 and planes[:, :, 3].min() >= 0


@pytest.mark.parametrize("decoder", NETWORKS)
@torch.no_grad()
def test_the_predictor_equals_the_network(decoder: str) -> None:
    network, image = tiny(decoder), torch.rand(1, 3, 128, 256)
    expected, at = network.predict_planes(image, 3)
    actual, disparity = network.predictor(torch.float32)(image, 3)
    assert torch.equal(disparity, at)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decoder", NETWORKS)
@torch.no_grad()
def test_sides_are_multiples_of_the_coarsest_features_pixel(decoder: str) -> None:
    network = tiny(decoder)
    side = network.kind.side_multiple
    planes, _ = network.predict_planes(torch.rand(1, 3, side, 2 * side), 2)
    assert planes.shape[-2:] == (side, 2 * side)
