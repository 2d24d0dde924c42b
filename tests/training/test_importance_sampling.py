"""Coarse-to-fine importance sampling of plane disparities, in cases with a known result."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_sample import DISPARITY, make_sample, scene_planes

from mine.training.importance_sampling import add_fine_planes, sample_disparities

COARSE = torch.tensor([[1.0, 0.8, 0.5, 0.1]])
EDGES = (1.0, 0.9, 0.65, 0.3, 0.1)


def counts(disparity: torch.Tensor) -> list[int]:
    """How many disparities belong to each plane of COARSE."""
    return [int(((disparity <= near) & (disparity > far)).sum()) for near, far in pairwise(EDGES)]


@pytest.mark.parametrize("plane", range(4))
def test_all_samples_fall_between_the_neighbours_of_the_only_plane_with_weight(plane: int) -> None:
    near, far = EDGES[plane : plane + 2]
    weight = torch.nn.functional.one_hot(torch.tensor([plane]), 4).float()
    found = sample_disparities(COARSE, weight, torch.full((1, 5), 0.5))
    expected = near + (far - near) * (torch.arange(5) + 0.5) / 5
    torch.testing.assert_close(found[0], expected, atol=1e-4, rtol=0)


def test_each_plane_has_as_many_samples_as_its_weight() -> None:
    weight = torch.tensor([[0.1, 0.2, 0.0, 0.7], [0.0, 0.5, 0.5, 0.0]])
    uniform = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0))
    found = sample_disparities(COARSE.expand(2, -1), weight, uniform)
    for row in range(2):
        assert counts(found[row]) == pytest.approx((1000 * weight[row]).tolist(), abs=2)


def test_without_any_weight_samples_are_uniform_over_the_planes() -> None:
    found = sample_disparities(COARSE, torch.zeros(1, 4), torch.full((1, 8), 0.5))
    assert [int(((found <= a) & (found > b)).sum()) for a, b in ((1, 0.9), (0.9, 0.65), (0.65, 0.3), (0.3, 0.1))] == [
        2
    ] * 4


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, 99), st.integers(1, 40))
def test_samples_are_descending_and_within_range(weight: list[float], seed: int, count: int) -> None:
    uniform = torch.rand(1, count, generator=torch.Generator().manual_seed(seed))
    found = sample_disparities(COARSE, torch.tensor([weight]), uniform)
    assert found.shape == (1, count)
    assert (found[:, 1:] <= found[:, :-1]).all()
    assert found.max() <= 1.0 and found.min() >= 0.1 - 1e-6


def test_fine_planes_gather_at_the_surfaces_of_a_scene() -> None:
    """A card at disparity 0.8 before a wall at 0.3 gets the fraction of planes that it covers of the image."""
    K = make_sample().K_src[None]
    planes = scene_planes((64, 96), torch.Generator().manual_seed(0))
    coarse = torch.tensor([[1.0, 0.8, 0.6, 0.4, 0.3, 0.2]])
    empty = torch.zeros_like(planes[:, :1])
    planes = torch.cat([empty, planes[:, :1], empty, empty, planes[:, 1:], empty], dim=1)
    found = add_fine_planes(planes, coarse, K, torch.full((1, 100), 0.5))
    assert found.shape == (1, 106) and (found[:, 1:] <= found[:, :-1]).all()
    card = int(((found < 0.9) & (found > 0.7)).sum()) - 1
    wall = int(((found < 0.35) & (found > 0.25)).sum()) - 1
    assert card + wall >= 98 and DISPARITY.shape == (1, 2)
    assert card == pytest.approx(100 * 32 / 64 * (48 - 19) / 96, abs=2)
