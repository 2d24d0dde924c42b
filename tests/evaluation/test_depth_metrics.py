"""Depth metrics against values worked out by hand."""

import math

import pytest
import torch

from mine.evaluation.depth_metrics import boundary_errors, depth_edges, depth_errors, planarity_errors

K = torch.tensor([[40.0, 0, 23.5], [0, 40, 15.5], [0, 0, 1]])
SIZE = (32, 48)


def test_global_errors_by_hand() -> None:
    """Ratios 1, 1.2, 1.5, 2 and 1/2."""
    true = torch.tensor([1.0, 2.0, 2.0, 1.0, 4.0])
    found = depth_errors(torch.tensor([1.0, 2.4, 3.0, 2.0, 2.0]), true)
    assert found["rel"] == pytest.approx((0 + 0.2 + 0.5 + 1 + 0.5) / 5)
    logs = [math.log10(ratio) for ratio in (1.2, 1.5, 2, 2)]
    assert found["log10"] == pytest.approx(sum(logs) / 5)
    assert found["rms"] == pytest.approx(math.sqrt((0.16 + 1 + 1 + 4) / 5))
    assert [found[f"delta{power}"] for power in (1, 2, 3)] == pytest.approx([2 / 5, 3 / 5, 3 / 5])
    assert depth_errors(true, true) == {"rel": 0, "log10": 0, "rms": 0, "delta1": 1, "delta2": 1, "delta3": 1}


def slanted(degrees: float) -> torch.Tensor:
    """Depth (H, W) of a plane through (0, 0, 2), turned about the vertical axis: z = 2 + tan(angle) x."""
    x = (torch.arange(SIZE[1]) - 23.5) / 40
    return (2 / (1 - math.tan(math.radians(degrees)) * x)).expand(SIZE)


@pytest.mark.parametrize("degrees", [0.0, 10.0, 35.0])
def test_orientation_is_the_angle_between_planes(degrees: float) -> None:
    regions = torch.zeros(SIZE, dtype=torch.long)
    regions[4:28, 5:40] = 3
    found = planarity_errors(slanted(degrees), slanted(-5), regions, K)
    assert found["orie"] == pytest.approx(degrees + 5, abs=0.01)
    assert found["plan"] == pytest.approx(0, abs=1e-3)


def test_flatness_is_the_deviation_from_the_fitted_plane_in_centimetres() -> None:
    """Rows alternate between 2 m and 2.02 m: 1 cm from the plane between, the region's own one alone counted."""
    depth = torch.full(SIZE, 2.0)
    depth[1::2] = 2.02
    regions = torch.zeros(SIZE, dtype=torch.long)
    regions[8:24] = 1
    depth[:8] = 5.0
    found = planarity_errors(depth, slanted(0), regions, K)
    assert found["plan"] == pytest.approx(1, abs=0.01) and found["orie"] < 1
    unknown = torch.zeros(SIZE)
    assert all(math.isnan(value) for value in planarity_errors(depth, unknown, regions, K).values())


def step_at(column: int) -> torch.Tensor:
    depth = torch.full(SIZE, 3.0)
    depth[:, :column] = 1.0
    return depth


def edge_at(column: int) -> torch.Tensor:
    edges = torch.zeros(SIZE, dtype=torch.bool)
    edges[:, column] = True
    return edges


def test_a_jump_has_one_edge_a_slope_none() -> None:
    columns = torch.from_numpy(depth_edges(step_at(20))).nonzero()[:, 1]
    assert len(columns) >= SIZE[0] - 2 and set(columns.tolist()) <= {19, 20}
    assert not depth_edges(torch.linspace(1, 2, SIZE[1]).expand(SIZE)).any()
    assert not depth_edges(torch.ones(SIZE)).any()


@pytest.mark.parametrize("away", [0, 4, 9])
def test_boundary_errors_are_distances_in_pixels(away: int) -> None:
    found = boundary_errors(step_at(20), edge_at(20 + away))
    assert found["dbe_acc"] == pytest.approx(away, abs=1) and found["dbe_comp"] == pytest.approx(away, abs=1)


def test_edges_that_are_missing_or_too_many() -> None:
    missing = boundary_errors(torch.ones(SIZE), edge_at(20))
    assert math.isnan(missing["dbe_acc"]) and missing["dbe_comp"] == 10
    far = boundary_errors(step_at(10), edge_at(40))
    assert math.isnan(far["dbe_acc"]) and far["dbe_comp"] == 10
    none = boundary_errors(step_at(10), torch.zeros(SIZE, dtype=torch.bool))
    assert all(math.isnan(value) for value in none.values())
