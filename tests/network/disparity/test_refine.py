"""Refinement of disparity maps, and what lifting makes of their discontinuities."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mine.network.disparity.lift import INPAINT_PATIENCE, inpaint_background, lift_to_mpi
from mine.network.disparity.refine import GUIDED_RADIUS, RELIEF_SIGMA, dilate_foreground, flatten_relief, snap_edges
from mine.scene.mpi import MPI

SIZE = (32, 64)
EDGE = 30


def two_sides(left: Tensor, right: Tensor) -> Tensor:
    """Image (1, 3, 32, 64) of two colours that meet at column EDGE."""
    image = left[:, None, None].expand(3, *SIZE).clone()
    image[..., EDGE:] = right[:, None, None]
    return image[None]


def ramp(step: float, start: int, end: int) -> Tensor:
    """Log-disparity (1, 1, 32, 64) that rises by `step` between two columns."""
    columns = torch.arange(SIZE[1])
    return (step * ((columns - start) / (end - start)).clamp(0, 1)).expand(1, 1, *SIZE).clone()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(step=st.floats(0.3, 3), start=st.integers(-3, -1), end=st.integers(1, 3), mirrored=st.booleans())
def test_a_ramp_over_an_edge_of_colour_becomes_a_step_there(step: float, start: int, end: int, mirrored: bool) -> None:
    image = two_sides(torch.tensor([0.8, 0.2, 0.2]), torch.tensor([0.1, 0.2, 0.9]))
    log_disparity = ramp(-step if mirrored else step, EDGE + start, EDGE + end)
    sharp = snap_edges(log_disparity, image)
    wanted = torch.where(torch.arange(SIZE[1]) < EDGE, log_disparity[..., :1], log_disparity[..., -1:])
    assert (sharp - wanted).abs().max() < 0.02 * step


def test_every_image_of_a_batch_is_filtered_by_itself() -> None:
    image = torch.cat([two_sides(torch.zeros(3), torch.ones(3)), torch.rand(1, 3, *SIZE)])
    log_disparity = torch.cat([ramp(1.0, EDGE - 2, EDGE + 2), ramp(-0.5, 10, 13)])
    alone = torch.cat([snap_edges(one[None], photo[None]) for one, photo in zip(log_disparity, image, strict=True)])
    assert torch.equal(snap_edges(log_disparity, image), alone)


def test_a_gentle_slope_has_no_edges() -> None:
    slope = torch.linspace(0, 0.5, SIZE[1]).expand(1, 1, *SIZE)
    assert torch.equal(snap_edges(slope, torch.rand(1, 3, *SIZE)), slope)


def test_relief_is_flattened_and_discontinuities_are_kept() -> None:
    columns = torch.arange(256)
    relief = 0.2 * RELIEF_SIGMA * torch.sin(2 * torch.pi * columns / 12)
    jump = (columns >= 128).float()
    log_disparity = (relief + jump).expand(1, 1, 64, 256)
    even = flatten_relief(log_disparity)
    away = (columns - 128).abs() > 2 * GUIDED_RADIUS  # from the jump, and as far from the borders
    away &= (columns >= 2 * GUIDED_RADIUS) & (columns < 256 - 2 * GUIDED_RADIUS)
    assert (even - jump)[..., away].abs().max() < 0.3 * relief.abs().max()
    step = even[..., 128] - even[..., 127]
    assert step.min() > 0.9  # of 1


def test_what_is_flat_stays_as_it_is() -> None:
    flat = torch.full((2, 1, *SIZE), -0.7)
    assert torch.allclose(flatten_relief(flat), flat, atol=1e-6)


def test_the_nearer_side_of_a_discontinuity_is_a_pixel_wider() -> None:
    log_disparity = torch.zeros(1, 1, 9, 12)
    log_disparity[..., 3:6, 4:8] = 1.0
    log_disparity[..., 8] = 0.05  # no jump
    wide = dilate_foreground(log_disparity)
    assert (wide[..., 2:7, 3:9] == 1).all()
    wide[..., 2:7, 3:9] = log_disparity[..., 2:7, 3:9]
    assert torch.equal(wide, log_disparity)


def test_a_card_that_faces_the_camera_is_two_planes_thick() -> None:
    """It is opaque on the plane behind it, in part on the one before, and on no other."""
    disparity_map = torch.full((1, 1, *SIZE), 0.2)
    disparity_map[..., 8:24, 20:44] = 0.81
    image = torch.zeros(1, 3, *SIZE)
    image[:, 0] = (disparity_map > 0.5)[:, 0].float()
    planes = lift_to_mpi(image, disparity_map, torch.linspace(1, 0.1, 46)[None])[0]
    red = (planes[:, 0] > 0.5) & (planes[:, 3] > 0)
    assert red[:, 12:20, 24:40].flatten(1).any(1).sum() == 2


def test_a_slope_has_no_holes_from_the_side() -> None:
    """A white slope before a black wall: wherever the wall is not beside it, nothing black shows through."""
    disparity_map = torch.full((1, 1, *SIZE), 0.1)
    disparity_map[..., 8:56] = torch.linspace(0.3, 1, 48)
    image = torch.zeros(1, 3, *SIZE)
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
    background, colour = inpaint_background(disparity_map, image)
    for layer in (background, colour):
        assert torch.allclose(layer[..., 8], torch.tensor(beside_the_wall))
        assert torch.allclose(layer[..., 7 + width], torch.tensor(0.1))
