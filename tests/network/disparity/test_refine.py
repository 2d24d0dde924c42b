"""Edges of a surface: where the photo has them, with nothing made up between them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mine.network.disparity.lift import PATIENCE, inpaint_background, lift_to_mpi
from mine.network.disparity.refine import RELIEF, WINDOW, dilate_foreground, flatten_relief, snap_edges
from mine.scene.mpi import MPI

SIZE = (32, 64)
EDGE = 30


def two_sides(left: Tensor, right: Tensor) -> Tensor:
    """Picture (1, 3, 32, 64) of two colours that meet at column EDGE."""
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
    drawn = ramp(-step if mirrored else step, EDGE + start, EDGE + end)
    sharp = snap_edges(drawn, image)
    wanted = torch.where(torch.arange(SIZE[1]) < EDGE, drawn[..., :1], drawn[..., -1:])
    assert (sharp - wanted).abs().max() < 0.02 * step


def test_every_picture_of_a_batch_is_sharpened_for_itself() -> None:
    image = torch.cat([two_sides(torch.zeros(3), torch.ones(3)), torch.rand(1, 3, *SIZE)])
    drawn = torch.cat([ramp(1.0, EDGE - 2, EDGE + 2), ramp(-0.5, 10, 13)])
    alone = torch.cat([snap_edges(one[None], picture[None]) for one, picture in zip(drawn, image, strict=True)])
    assert torch.equal(snap_edges(drawn, image), alone)


def test_a_gentle_slope_has_no_edges() -> None:
    slope = torch.linspace(0, 0.5, SIZE[1]).expand(1, 1, *SIZE)
    assert torch.equal(snap_edges(slope, torch.rand(1, 3, *SIZE)), slope)


def test_relief_is_evened_out_and_jumps_are_kept() -> None:
    columns = torch.arange(256)
    relief = 0.2 * RELIEF * torch.sin(2 * torch.pi * columns / 12)
    jump = (columns >= 128).float()
    drawn = (relief + jump).expand(1, 1, 64, 256)
    even = flatten_relief(drawn)
    away = (columns - 128).abs() > 2 * WINDOW  # from the jump, and as far from the borders
    away &= (columns >= 2 * WINDOW) & (columns < 256 - 2 * WINDOW)
    assert (even - jump)[..., away].abs().max() < 0.3 * relief.abs().max()
    step = even[..., 128] - even[..., 127]
    assert step.min() > 0.9  # of 1


def test_what_is_flat_stays_as_it_is() -> None:
    flat = torch.full((2, 1, *SIZE), -0.7)
    assert torch.allclose(flatten_relief(flat), flat, atol=1e-6)


def test_the_nearer_side_of_a_jump_is_a_pixel_wider() -> None:
    drawn = torch.zeros(1, 1, 9, 12)
    drawn[..., 3:6, 4:8] = 1.0
    drawn[..., 8] = 0.05  # no jump
    wide = dilate_foreground(drawn)
    assert (wide[..., 2:7, 3:9] == 1).all()
    wide[..., 2:7, 3:9] = drawn[..., 2:7, 3:9]
    assert torch.equal(wide, drawn)


def test_a_card_is_no_thicker_than_it_takes() -> None:
    """A card that faces the camera fills the plane behind it, and in part the one before: nothing of it is deeper."""
    surface = torch.full((1, 1, *SIZE), 0.2)
    surface[..., 8:24, 20:44] = 0.81
    image = torch.zeros(1, 3, *SIZE)
    image[:, 0] = (surface > 0.5)[:, 0].float()
    planes = lift_to_mpi(image, surface, torch.linspace(1, 0.1, 46)[None])[0]
    red = (planes[:, 0] > 0.5) & (planes[:, 3] > 0)
    assert red[:, 12:20, 24:40].flatten(1).any(1).sum() == 2


def test_a_slope_is_closed_from_the_side() -> None:
    """A white slope before a black wall: wherever the wall is not beside it, nothing black shows through."""
    surface = torch.full((1, 1, *SIZE), 0.1)
    surface[..., 8:56] = torch.linspace(0.3, 1, 48)
    image = torch.zeros(1, 3, *SIZE)
    image[..., 8:56] = 1
    disparity = torch.linspace(1, 0.1, 64)
    planes = lift_to_mpi(image, surface, disparity[None])[0]
    K = torch.tensor([[32.0, 0, 31.5], [0, 32, 15.5], [0, 0, 1]])
    for shift in (-0.2, 0.2):
        pose = torch.eye(4)
        pose[0, 3] = shift
        view = MPI(planes[:, :3], planes[:, 3:], disparity, K).render(pose)
        ends = [8 + 32 * shift * 0.3, 55 + 32 * shift * 1.0]
        first, last = round(ends[0]) + 3, round(ends[1]) - 3
        assert view.rgb[..., first:last].min() > 0.9


@pytest.mark.parametrize("width, beside_the_wall", [(PATIENCE, 0.1), (2 * PATIENCE + 4, 0.4)])
def test_of_two_farther_sides_the_farthest_goes_on_behind_unless_it_is_far_away(
    width: int, beside_the_wall: float
) -> None:
    """A card between a wall and the sky hides sky, at the sky's depth and in its colour; a wide one hides wall too."""
    surface = torch.full((1, 1, 24, 32), 0.1)
    surface[..., :8] = 0.4
    surface[..., 8 : 8 + width] = 0.9
    image = torch.where(surface > 0.8, 1.0, surface).expand(1, 3, 24, 32)
    below, colour = inpaint_background(surface, image)
    for drawn in (below, colour):
        assert torch.allclose(drawn[..., 8], torch.tensor(beside_the_wall))
        assert torch.allclose(drawn[..., 7 + width], torch.tensor(0.1))
