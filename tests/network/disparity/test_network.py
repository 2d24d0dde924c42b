"""Disparity networks: their disparity maps, and the planes that these are lifted to."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import mine
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, save_network
from mine.network.disparity.lift import DISCONTINUITY, INPAINT_REACH, inpaint_background, lift_to_mpi, plane_disparities
from mine.network.disparity.network import FARTHEST, DisparityNetwork
from mine.render.reference import render_source
from mine.scene.mpi import MPI

TINY = Architecture("mobilenetv3_small_050", widths=(4, 4, 8, 8, 8), decoder="disparity")
SIZE = (16, 24)
K = torch.tensor([[[20.0, 0, 11.5], [0, 20, 7.5], [0, 0, 1]]])


@pytest.fixture(scope="module")
def network() -> DisparityNetwork:
    torch.manual_seed(0)
    return DisparityNetwork(TINY).eval()


def card(inside: float = 0.8, outside: float = 0.2) -> Tensor:
    """Disparity (1, 1, 16, 24): a near card, 8 wide and 8 high, before a far wall."""
    disparity_map = torch.full((1, 1, *SIZE), outside)
    disparity_map[..., 4:12, 8:16] = inside
    return disparity_map


# The network


def test_disparities_are_relative_to_the_nearest(network: DisparityNetwork) -> None:
    with torch.no_grad():
        disparity_map = network(torch.rand(2, 3, 64, 128))
    assert disparity_map.shape == (2, 1, 64, 128)
    assert disparity_map.min() >= FARTHEST
    assert disparity_map.flatten(1).max(1).values.tolist() == [1, 1]


def test_a_checkpoint_is_read_back(network: DisparityNetwork, tmp_path) -> None:  # type: ignore[no-untyped-def]
    save_network(network, tmp_path / "a.safetensors")
    loaded = load_network(tmp_path / "a.safetensors")
    assert isinstance(loaded, DisparityNetwork)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(image), network(image))


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


# Planes from a disparity map


def test_planes_span_the_disparities_of_the_map() -> None:
    disparity = plane_disparities(card(1.0, 0.25), 4)
    assert disparity.tolist() == pytest.approx([1, 0.75, 0.5, 0.25])
    flat = plane_disparities(torch.ones(1, 1, *SIZE), 3)
    assert (flat[1:] < flat[:-1]).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(inside=st.floats(0.1, 1), outside=st.floats(0.1, 1), planes=st.integers(2, 40))
def test_expected_disparity_along_the_normal_is_that_of_the_map(inside: float, outside: float, planes: int) -> None:
    """Volume rendering along each pixel's normal, with disparity in place of colour, gives back the map."""
    disparity_map = card(inside, outside)
    disparity = torch.linspace(1, 0.09, planes)
    lifted = lift_to_mpi(torch.rand(1, 3, *SIZE), disparity_map, disparity[None])
    step = torch.cat([torch.diff(1 / disparity), torch.full((1,), 1e3)])
    passed = torch.exp(-lifted[0, :, 3] * step[:, None, None])
    transmittance = torch.cumprod(torch.cat([torch.ones_like(passed[:1]), passed[:-1]]), 0)
    expected = (transmittance * (1 - passed) * disparity[:, None, None]).sum(0)
    assert (expected - disparity_map[0, 0]).abs().max() < 1e-4


def test_the_source_camera_sees_the_photo() -> None:
    image = torch.rand(1, 3, *SIZE)
    disparity = torch.linspace(1, 0.1, 20)[None]
    view = render_source(lift_to_mpi(image, card(), disparity), disparity, K)
    assert (view.rgb - image).abs().max() < 1e-4
    assert (1 / view.depth - card()).abs().max() < 0.05


def test_a_camera_that_looks_behind_the_card_sees_the_wall() -> None:
    """Red card, blue wall: from the side, what the card hid is wall, at the wall's depth."""
    image = torch.zeros(1, 3, *SIZE)
    image[:, 2] = 1
    image[:, :, 4:12, 8:16] = torch.tensor([1.0, 0, 0])[:, None, None]
    disparity = torch.linspace(1, 0.1, 19)
    planes = lift_to_mpi(image, card(), disparity[None])
    scene = MPI(planes[0, :, :3], planes[0, :, 3:], disparity, K[0])
    pose = torch.eye(4)
    pose[0, 3] = -0.3  # to the right by 4.8 pixels of the card, 1.2 of the wall
    view = scene.render(pose)
    assert view.rgb[0, 0, 8, 5] > 0.9  # the card's left part has moved to the left
    uncovered = view.rgb[0, :, 8, 13]
    assert uncovered[2] > 0.9 and uncovered[0] < 0.1
    assert float(1 / view.depth[0, 0, 8, 13]) == pytest.approx(0.2, abs=0.02)


def test_nothing_is_inpainted_behind_a_slope() -> None:
    slope = torch.linspace(0.5, 0.9, 24).expand(1, 1, *SIZE)
    image = torch.rand(1, 3, *SIZE)
    background, colour = inpaint_background(slope, image)
    assert torch.equal(background, slope) and torch.equal(colour, image)


def test_the_wall_is_inpainted_behind_a_wide_card_as_far_as_the_reach() -> None:
    disparity_map = torch.full((1, 1, 4, 80), 0.2)
    disparity_map[..., 30:] = 0.2 * DISCONTINUITY * 1.5
    image = disparity_map.expand(1, 3, 4, 80)
    background, colour = inpaint_background(disparity_map, image)
    # One pixel before the edge counts as the card's already: it may be a mixture of both.
    assert background[0, 0, 1, : 29 + INPAINT_REACH].tolist() == pytest.approx([0.2] * (29 + INPAINT_REACH))
    assert torch.equal(background[..., 29 + INPAINT_REACH :], disparity_map[..., 29 + INPAINT_REACH :])
    assert torch.equal(colour, background.expand_as(colour))
