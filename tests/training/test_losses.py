"""Losses in cases that can be worked out (`test_parity` compares with the published code)."""

import math

import pytest
import torch

from mine.scene.points import disparity_at, scale_factor
from mine.training.losses import OCCUPANCY_PLANES, known_mean, occupancy, sparse_disparity

DISPARITY = torch.tensor([[1.0, 0.5, 0.25]])


def sigma_of(opacity: list[float]) -> torch.Tensor:
    """Density (1, S, 1, 1) of planes that are opaque with probability `opacity`, in the terms of the occupancy loss."""
    odds = torch.tensor(opacity) / (1 - torch.tensor(opacity))
    return (odds * OCCUPANCY_PLANES * DISPARITY[0] ** 2)[None, :, None, None]


def test_occupancy_is_the_cross_entropy_of_being_behind_the_surface() -> None:
    """The surface at disparity 0.6 is behind the first plane and in front of the others."""
    loss = occupancy(sigma_of([0.2, 0.7, 0.9]), DISPARITY, torch.full((1, 1, 1, 1), 0.6))
    assert float(loss) == pytest.approx(-(math.log(0.8) + math.log(0.7) + math.log(0.9)) / 3, rel=1e-4)
    assert float(occupancy(sigma_of([0.5] * 3), DISPARITY, torch.zeros(1, 1, 1, 1))) == 0


def test_samples_count_the_same_however_little_is_known_of_them() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]]).view(2, 1, 2, 2)
    known = torch.tensor([[True] * 4, [False, False, True, False]]).view(2, 1, 2, 2)
    assert float(known_mean(values, known)) == (2.5 + 30) / 2
    assert float(known_mean(values, torch.zeros_like(known))) == 0


def test_points_at_a_multiple_of_the_rendered_depth_have_a_scale_and_no_loss_with_it() -> None:
    K = torch.tensor([[[8.0, 0, 3.5], [0, 8, 3.5], [0, 0, 1]]])
    depth = 1 + torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y, x = torch.tensor([1, 3, 6]), torch.tensor([2, 7, 0])
    points = (torch.linalg.inv(K[0]) @ torch.stack([x, y, torch.ones(3)]) * depth[0, 0, y, x] * 2.5)[None]
    scale = scale_factor(points, depth, K)
    assert float(scale) == pytest.approx(2.5, rel=1e-5)
    rendered = disparity_at(points, depth, K)
    assert float(sparse_disparity(rendered, points, scale)) == pytest.approx(0, abs=1e-5)
    assert float(sparse_disparity(rendered, points, 3 * scale)) == pytest.approx(math.log(3), rel=1e-5)
    assert float(sparse_disparity(rendered[:, :0], points[:, :, :0], scale)) == 0
