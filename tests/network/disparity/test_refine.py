"""Refinement of disparity maps: edges where the photo has them, and no relief between them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mine.network.disparity.refine import (
    GUIDED_RADIUS,
    RELIEF_SIGMA,
    dilate_foreground,
    flatten_relief,
    guided_filter,
    snap_edges,
)

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


@settings(max_examples=25, deadline=None, derandomize=True)
@given(slope=st.floats(-3, 3), offset=st.floats(-5, 5), seed=st.integers(0, 99))
def test_a_line_through_the_guide_is_what_it_was(slope: float, offset: float, seed: int) -> None:
    squares = 2 * torch.rand(1, 1, 8, 12, generator=torch.Generator().manual_seed(seed)) - 1
    guide = squares.repeat_interleave(8, 2).repeat_interleave(8, 3)
    found = guided_filter(guide, slope * guide + offset, 0.02)
    torch.testing.assert_close(found, slope * guide + offset, atol=2e-2, rtol=0)


def test_edges_come_from_the_guide_and_values_from_the_map() -> None:
    columns = torch.arange(128)
    guide, values = ((columns >= edge).float().expand(1, 1, 64, 128) for edge in (61, 65))
    row = guided_filter(guide, 2 * values, 0.02)[0, 0, 32]
    assert row[-1] - row[0] == pytest.approx(2, abs=0.02)
    assert row.diff().argmax() == 60 and row.diff().max() > 1.4


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
