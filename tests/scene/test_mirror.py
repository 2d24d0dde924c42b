"""Texture of the inpainted background: the visible background, mirrored at the discontinuity."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mine.scene.inpaint import propagate_background
from mine.scene.mirror import mirrored_colour

SIZE = (24, 60)
REACH = 8

EDGE = 20
"""First column of the card."""


def card_before(wall: Tensor) -> Tensor:
    """Disparity of a card before a wall, from a column to the right side."""
    disparity = wall.expand(1, 1, *SIZE).clone()
    disparity[..., EDGE:] = 0.8
    return disparity


def mirrored(disparity: Tensor, image: Tensor) -> Tensor:
    """The background of a map, with the texture of an image of the same or a higher resolution."""
    found = propagate_background(disparity, F.interpolate(image, disparity.shape[-2:], mode="area"), REACH)
    return mirrored_colour(found, disparity, image)


def test_behind_a_straight_edge_lies_the_mirror_image_of_the_wall() -> None:
    image = torch.rand(1, 3, *SIZE)
    colour = mirrored(card_before(torch.tensor(0.2)), image)
    for column in range(EDGE, EDGE + REACH - 3):  # the share falls towards the end of the reach
        inner = (..., slice(1, -1), column)  # a window at the border has no middle
        torch.testing.assert_close(colour[inner], image[..., 1:-1, 2 * EDGE - 1 - column], msg=str(column))
    torch.testing.assert_close(colour[..., EDGE + REACH + 2 :], image[..., EDGE + REACH + 2 :])


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_the_texture_has_the_resolution_of_the_photo(factor: int) -> None:
    """Stripes as fine as the photo's pixels, which the map's are too coarse for."""
    size = (SIZE[0] * factor, SIZE[1] * factor)
    rows = torch.arange(size[0])[:, None] // 2 % 2 * 1.0
    colour = mirrored(card_before(torch.tensor(0.2)), rows.expand(1, 3, *size))
    behind = colour[..., 2 * factor : -2 * factor, (EDGE + 1) * factor : (EDGE + 4) * factor]
    torch.testing.assert_close(behind, rows[2 * factor : -2 * factor].expand_as(behind), atol=1e-4, rtol=0)


def test_what_is_no_background_is_not_mirrored() -> None:
    """Beside a strip of wall of four columns is the sky: behind the card lies wall alone."""
    wall = torch.full((SIZE[1],), 0.02)
    wall[EDGE - 6 :] = 0.2
    disparity = card_before(wall)
    image = (disparity == 0.02).float().expand(1, 3, *SIZE)
    assert mirrored(disparity, image)[..., EDGE + 1 : EDGE + REACH - 2].max() == 0


def test_a_photo_without_discontinuities_stays_as_it_is() -> None:
    image = torch.rand(2, 3, 2 * SIZE[0], 2 * SIZE[1])
    slope = torch.linspace(0.5, 0.9, SIZE[1]).expand(2, 1, *SIZE)
    torch.testing.assert_close(mirrored(slope, image), image, atol=1e-5, rtol=0)
