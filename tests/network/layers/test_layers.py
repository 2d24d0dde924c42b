"""Learned background and opacities: before training they are the lifted planes, and what they may change is bounded."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import mine
from mine.errors import InputError
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, make_network, save_network
from mine.network.disparity.lift import lift, to_planes
from mine.network.layers.network import LayeredNetwork
from mine.network.layers.opacity import BAND, band
from mine.scene.inpaint import REACH, propagated_background
from mine.scene.mpi import MPI

TINY = Architecture(
    "mobilenetv3_small_050",
    widths=(4, 4, 8, 8, 8),
    decoder="layers",
    background=(4, 4, 4, 4, 4),
    opacity=8,
)
SIZE = (64, 96)
DISPARITY = torch.linspace(1, 0.1, 10)[None]


def card() -> Tensor:
    """Disparity (1, 1, 64, 96): a near card before a far wall."""
    disparity_map = torch.full((1, 1, *SIZE), 0.2)
    disparity_map[..., 16:48, 32:64] = 0.8
    return disparity_map


@pytest.fixture
def network() -> LayeredNetwork:
    torch.manual_seed(0)
    made = make_network(TINY).eval()
    assert isinstance(made, LayeredNetwork)
    return made


def randomise(network: LayeredNetwork) -> None:
    """As after training: heads that change something."""
    assert network.opacity_network is not None
    for head in (network.background_network.decoder.head, network.opacity_network.head):
        torch.nn.init.normal_(head.weight, std=0.3)
        torch.nn.init.normal_(head.bias, std=0.3)


def test_untrained_layers_are_the_lifted_planes(network: LayeredNetwork) -> None:
    image = torch.rand(1, 3, *SIZE)
    expected = to_planes(lift(image, card(), DISPARITY, propagated_background(image, card(), REACH)), DISPARITY)
    planes, _ = network.lift(image, card(), DISPARITY)
    assert (planes - expected).abs().max() < 1e-5


@torch.no_grad()
def test_planes_change_in_the_band_alone_and_the_last_stays_opaque(network: LayeredNetwork) -> None:
    image = torch.rand(1, 3, *SIZE)
    before, background = network.lift(image, card(), DISPARITY)
    assert background is not None
    inside = band(card(), background.disparity)
    assert not inside[..., : 16 - BAND, :].any() and inside[..., 16:48, 32:64].float().mean() > 0.5
    randomise(network)
    after, background = network.lift(image, card(), DISPARITY)
    assert background is not None
    changed = ((after - before).abs().amax((1, 2)) > 1e-6)[:, None]
    assert changed.any() and not (changed & ~inside).any()
    assert torch.equal(after[:, -1, 3], before[:, -1, 3])
    assert (background.disparity <= card()).all() and 0 <= float(background.rgb.amin()) <= float(
        background.rgb.amax()
    ) <= 1


@torch.no_grad()
def test_the_photos_own_pixels_keep_their_colours(network: LayeredNetwork) -> None:
    randomise(network)
    image = torch.rand(1, 3, *SIZE)
    planes, _ = network.lift(image, card(), DISPARITY)
    assert (
        planes[0, 0, :3] - image[0]
    ).abs().max() < 1e-6  # the nearest plane belongs to the visible surface everywhere


@torch.no_grad()
def test_a_plane_depends_on_its_own_disparity_and_the_next(network: LayeredNetwork) -> None:
    """Any continuous disparities may be asked for: planes in between leave those before them as they are."""
    randomise(network)
    image = torch.rand(1, 3, *SIZE)
    planes, _ = network.lift(image, card(), DISPARITY)
    more = torch.cat([DISPARITY[:, :6], torch.tensor([[0.35, 0.25, 0.15]])], dim=1)
    others, _ = network.lift(image, card(), more)
    assert (others[:, :5] - planes[:, :5]).abs().max() < 1e-4


def test_a_scene_keeps_its_background_in_a_file_and_in_large_views(network: LayeredNetwork, tmp_path) -> None:
    randomise(network)
    model = mine.Model(network)
    photo = torch.rand(3, 160, 240)
    scene = model.predict(photo, planes=6, depth=mine.read_depth(card()[0, 0].numpy(), kind="disparity"))
    assert scene.background is not None and scene.background.shape == (4, *scene.plane_size)
    scene.save(tmp_path / "scene.mpi", half=False)
    again = MPI.open(tmp_path / "scene.mpi")
    assert again.background is not None and torch.equal(again.background, scene.background)


def test_a_background_needs_a_surface() -> None:
    planes, K = torch.rand(2, 4, 4, 4), torch.tensor([[4.0, 0, 2], [0, 4, 2], [0, 0, 1]])
    with pytest.raises(InputError, match="background has shape"):
        MPI.from_planes(planes, torch.tensor([1.0, 0.5]), K, background=torch.ones(4, 4, 4))
    with pytest.raises(InputError, match="positive disparities"):
        MPI.from_planes(planes, torch.tensor([1.0, 0.5]), K, None, torch.ones(1, 4, 4), torch.zeros(4, 4, 4))


def test_checkpoints_hold_all_parts_or_are_refused(network: LayeredNetwork, tmp_path) -> None:
    path = tmp_path / "layers.safetensors"
    save_network(network, path)
    assert load_network(path).architecture == TINY
    network.architecture = replace(TINY, opacity=0)
    save_network(network, path)
    with pytest.raises(InputError, match=r"unexpected key .?.?opacity_network"):
        load_network(path)
    network.architecture = replace(TINY)
    network.opacity_network = None
    save_network(network, path)
    with pytest.raises(InputError, match="lacks key 'opacity_network"):
        load_network(path)


def test_layers_without_widths_of_the_background_are_refused() -> None:
    with pytest.raises(InputError, match="background is missing"):
        make_network(replace(TINY, background=()))
