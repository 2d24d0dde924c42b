"""Quantiles of maps: those of torch, and beyond the number of values that it takes."""

import math

import pytest
import torch

from mine.network.disparity import quantile as module
from mine.network.disparity.lift import plane_disparities
from mine.network.disparity.network import relative_disparity


@pytest.mark.parametrize("q", [0.0, 0.01, 0.5, 0.995, 1.0])
def test_both_ways_agree(monkeypatch: pytest.MonkeyPatch, q: float) -> None:
    maps = torch.rand(2, 999, generator=torch.Generator().manual_seed(0))
    expected = torch.quantile(maps, q, dim=1)
    assert torch.equal(module.quantile(maps, q), expected)
    monkeypatch.setattr(module, "MOST_VALUES", 10)
    torch.testing.assert_close(module.quantile(maps, q), expected)


def test_maps_of_more_values_than_torch_takes_have_quantiles() -> None:
    ramp = torch.linspace(0, 1, 4096 * 4224).reshape(1, 1, 4096, 4224)
    assert float(plane_disparities(ramp, 2)[1]) == pytest.approx(0.01, abs=1e-6)
    assert float(relative_disparity(ramp)[0, 0, 0, 0]) == pytest.approx(math.exp(-0.995), abs=1e-6)
