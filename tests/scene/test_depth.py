"""Depths as colours and as numbers, and the range that a scene's are in."""

import numpy as np
import pytest
import torch

from mine.scene.depth import colour_depth, depth_range, disparity_16bit
from mine.scene.mpi import MPI

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about depth, not kernels


def square_before_a_wall(near: float, far: float) -> MPI:
    """A square of 20x20 pixels in the middle of 60x60."""
    sigma = torch.zeros(2, 1, 60, 60)
    sigma[0, :, 20:40, 20:40] = sigma[1] = 1e4
    K = torch.tensor([[30.0, 0, 30], [0, 30, 30], [0, 0, 1]])
    return MPI(torch.rand(2, 3, 60, 60), sigma, torch.tensor([1 / near, 1 / far]), K)


def test_depth_colours() -> None:
    depth = torch.tensor([0.5, 1.0, 2.0, 4.0, 8.0])[None, None, None]
    images = colour_depth(depth, near=1.0, far=4.0)
    assert images.shape == (1, 1, 5, 3) and images.dtype == np.uint8
    brightness = images[0, 0].astype(int).sum(axis=-1)
    assert brightness[0] == brightness[1] > brightness[2] > brightness[3] == brightness[4]
    assert images[0, 0, 1, 0] > images[0, 0, 1, 2], "near is warm: more red than blue"
    halfway = colour_depth(torch.full((1, 1, 1, 1), 1 / 0.625), near=1.0, far=4.0)
    assert (halfway == colour_depth(torch.full((1, 1, 1, 1), 1.5), near=1.0, far=3.0)).all(), "linear in disparity"


def test_disparity_16bit_scale_and_clip() -> None:
    values = disparity_16bit(torch.tensor([0.25, 0.5, 2.0, 1e9])[None, None, None], largest=2.0)
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values[0, 0], [65535, 65535, 16384, 0])


def test_what_shows_nothing_is_farthest() -> None:
    depth = torch.tensor([0.0, 1.0, 4.0])[None, None, None]
    colours = colour_depth(depth, near=1.0, far=4.0)[0, 0]
    assert (colours[0] == colours[2]).all() and (colours[0] != colours[1]).any()
    np.testing.assert_array_equal(disparity_16bit(depth, largest=1.0)[0, 0], [0, 65535, 16384])


def test_depth_range_ignores_outliers_and_is_never_empty() -> None:
    near, far = depth_range(square_before_a_wall(2.0, 8.0))
    assert (near, far) == (pytest.approx(2, rel=1e-3), pytest.approx(8, rel=1e-3))
    flat = square_before_a_wall(2.0, 8.0)
    sigma = flat.sigma.clone()
    sigma[0] = 1e4
    near, far = depth_range(MPI(flat.rgb, sigma, flat.disparity, flat.K))
    assert near == pytest.approx(2, rel=1e-3) and far > near
