"""Lifting a disparity map to planes, and the inpainted background behind its discontinuities."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.render.reference import render_source
from mine.scene.inpaint import (
    DISCONTINUITY,
    INPAINT_PATIENCE,
    INPAINT_REACH,
    MOST_RELIEF,
    least_discontinuity,
    propagate_background,
)
from mine.scene.mpi import MPI

SIZE = (16, 24)
WIDE = (32, 64)
K = torch.tensor([[[20.0, 0, 11.5], [0, 20, 7.5], [0, 0, 1]]])


def card(inside: float = 0.8, outside: float = 0.2) -> Tensor:
    """Disparity (1, 1, 16, 24): a near card, 8 wide and 8 high, before a far wall."""
    disparity_map = torch.full((1, 1, *SIZE), outside)
    disparity_map[..., 4:12, 8:16] = inside
    return disparity_map


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
    background, colour, _ = propagate_background(slope, image)
    assert torch.equal(background, slope) and torch.equal(colour, image)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(width=st.integers(2, 8))
def test_behind_an_edge_lies_the_surface_beside_it_and_not_what_that_one_hides(width: int) -> None:
    """A red surface, a strip of green, and blue far behind: behind the red edge lies the green."""
    disparity_map = torch.full((1, 1, *WIDE), 0.8)
    disparity_map[..., 20:] = 0.4
    disparity_map[..., 20 + width :] = 0.05
    image = torch.cat([(disparity_map == value).float() for value in (0.8, 0.4, 0.05)], dim=1)
    background, colour, _ = propagate_background(disparity_map, image)
    assert torch.allclose(background[..., 10:20], torch.tensor(0.4))
    assert torch.equal(colour[0, :, 16, 12], torch.tensor([0.0, 1, 0]))
    assert torch.allclose(background[..., 21 : 20 + width], torch.tensor(0.05))


def test_a_small_step_is_a_discontinuity_unless_a_much_larger_one_is_near() -> None:
    step = torch.full((1, 1, 8, 100), 0.8)
    step[..., :20] = 0.8 / 1.15
    torch.testing.assert_close(least_discontinuity(step), torch.full_like(step, DISCONTINUITY))
    before_the_sky = step.clone()
    before_the_sky[..., :10] = 0.03
    ratio = least_discontinuity(before_the_sky)
    torch.testing.assert_close(ratio[..., 15:25], torch.full((1, 1, 8, 10), MOST_RELIEF))
    torch.testing.assert_close(ratio[..., 60:], torch.full((1, 1, 8, 40), DISCONTINUITY))


def test_the_wall_is_inpainted_behind_a_wide_card_as_far_as_the_reach() -> None:
    disparity_map = torch.full((1, 1, 4, 80), 0.2)
    disparity_map[..., 30:] = 0.2 * DISCONTINUITY * 1.5
    image = disparity_map.expand(1, 3, 4, 80)
    background, colour, _ = propagate_background(disparity_map, image)
    # One pixel before the edge counts as the card's already: it may be a mixture of both.
    assert background[0, 0, 1, : 29 + INPAINT_REACH].tolist() == pytest.approx([0.2] * (29 + INPAINT_REACH))
    assert torch.equal(background[..., 29 + INPAINT_REACH :], disparity_map[..., 29 + INPAINT_REACH :])
    assert torch.equal(colour, background.expand_as(colour))


def test_a_card_that_faces_the_camera_is_two_planes_thick() -> None:
    """It is opaque on the plane behind it, in part on the one before, and on no other."""
    disparity_map = torch.full((1, 1, *WIDE), 0.2)
    disparity_map[..., 8:24, 20:44] = 0.81
    image = torch.zeros(1, 3, *WIDE)
    image[:, 0] = (disparity_map > 0.5)[:, 0].float()
    planes = lift_to_mpi(image, disparity_map, torch.linspace(1, 0.1, 46)[None])[0]
    red = (planes[:, 0] > 0.5) & (planes[:, 3] > 0)
    assert red[:, 12:20, 24:40].flatten(1).any(1).sum() == 2


def test_a_slope_has_no_holes_from_the_side() -> None:
    """A white slope before a black wall: wherever the wall is not beside it, nothing black shows through."""
    disparity_map = torch.full((1, 1, *WIDE), 0.1)
    disparity_map[..., 8:56] = torch.linspace(0.3, 1, 48)
    image = torch.zeros(1, 3, *WIDE)
    image[..., 8:56] = 1
    disparity = torch.linspace(1, 0.1, 64)
    planes = lift_to_mpi(image, disparity_map, disparity[None])[0]
    K = torch.tensor([[32.0, 0, 31.5], [0, 32, 15.5], [0, 0, 1]])
    for shift in (-0.2, 0.2):
        pose = torch.eye(4)
        pose[0, 3] = shift
        view = MPI(planes[:, :3], planes[:, 3:], disparity, K).render(pose)
        ends = [8 + 32 * shift * 0.3, 55 + 32 * shift * 1.0]
        first, last = round(ends[0]) + 3, round(ends[1]) - 3
        assert view.rgb[..., first:last].min() > 0.9


@pytest.mark.parametrize("width, beside_the_wall", [(INPAINT_PATIENCE, 0.1), (2 * INPAINT_PATIENCE + 4, 0.4)])
def test_behind_a_thin_card_lies_the_farther_of_its_sides_and_behind_a_wide_one_both(
    width: int, beside_the_wall: float
) -> None:
    """A card between a wall and the sky hides sky, at the sky's depth and in its colour; a wide one hides wall too."""
    disparity_map = torch.full((1, 1, 24, 32), 0.1)
    disparity_map[..., :8] = 0.4
    disparity_map[..., 8 : 8 + width] = 0.9
    image = torch.where(disparity_map > 0.8, 1.0, disparity_map).expand(1, 3, 24, 32)
    background, colour, _ = propagate_background(disparity_map, image)
    for layer in (background, colour):
        assert torch.allclose(layer[..., 8], torch.tensor(beside_the_wall))
        assert torch.allclose(layer[..., 7 + width], torch.tensor(0.1))
