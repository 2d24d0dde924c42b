"""The losses of disparity networks, in cases with a known result, and a network that learns by them."""

import math

import pytest
import torch
from tiny_sample import make_sample, stack

from mine.config import TrainConfig
from mine.data.base.rng import BatchRng
from mine.network.architecture import Architecture
from mine.network.disparity.network import DisparityNetwork
from mine.training import virtual_cameras
from mine.training.disparity_losses import (
    disparity_losses,
    multi_scale_gradient_loss,
    ordinal_loss,
    scale_invariant_difference,
    virtual_size,
)

TINY = Architecture("mobilenetv3_small_050", widths=(4, 4, 8, 8, 8), decoder="disparity")
SIZE = (16, 24)


def test_losses_vanish_for_the_truth_at_any_scale() -> None:
    true = -torch.rand(2, 1, *SIZE)
    known = torch.ones_like(true, dtype=torch.bool)
    difference = scale_invariant_difference(true + torch.tensor([0.5, -2.0])[:, None, None, None], true, known)
    assert difference.abs().max() < 1e-6
    assert multi_scale_gradient_loss(difference, known) < 1e-5


def test_scale_comes_from_known_pixels_alone() -> None:
    difference = torch.full((1, 1, 2, 3), 2.0)
    known = torch.ones_like(difference, dtype=torch.bool)
    difference[..., 0], known[..., 0] = 100.0, False
    assert scale_invariant_difference(difference, torch.zeros_like(difference), known)[..., 1:].abs().max() == 0


def test_the_gradient_loss_counts_steps_between_known_neighbours() -> None:
    difference = torch.zeros(1, 1, 16, 16)
    difference[..., 8:] = 1
    known = torch.ones_like(difference, dtype=torch.bool)
    # At each scale one column of steps of 1, among 15, 7, 3 and 1.
    assert float(multi_scale_gradient_loss(difference, known)) == pytest.approx(1 / 15 + 1 / 7 + 1 / 3 + 1)
    known[..., 8:] = False
    assert float(multi_scale_gradient_loss(difference, known)) == 0


def test_the_ordinal_loss_is_lower_for_the_right_order() -> None:
    true = -torch.linspace(0, 2, 384).view(1, 1, *SIZE)
    known = torch.ones_like(true, dtype=torch.bool)
    right, same, wrong = (float(ordinal_loss(x, true, known, BatchRng.seeded(0, 1))) for x in (true, 0 * true, -true))
    assert right < 0.1 < same < wrong
    assert same == pytest.approx(math.log(2))


def test_virtual_cameras_come_in_both_formats_and_several_resolutions() -> None:
    rng = BatchRng.seeded(0, 1)
    sizes = {virtual_size((128, 192), rng) for _ in range(60)}
    assert sizes == {(64, 96), (96, 128), (96, 160), (128, 192), (96, 64), (160, 96), (128, 96), (192, 128)} & sizes
    assert len({min(size) for size in sizes}) >= 3 and any(height > width for height, width in sizes)


@pytest.mark.parametrize("metric", [1.0, 0.0])
def test_a_network_learns_a_scene(metric: float) -> None:
    torch.manual_seed(0)
    network = DisparityNetwork(TINY).train()
    batch = stack(make_sample((64, 96), metric=metric), make_sample((64, 96), metric=metric, seed=1))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    totals = []
    for step in range(40):
        found = disparity_losses(network, batch, TrainConfig("unused"), BatchRng.seeded(step % 4, 2))
        optimizer.zero_grad()
        found["total"].backward()
        optimizer.step()
        totals.append(float(found["total"].detach()))
    assert sum(totals[-4:]) < 0.6 * sum(totals[:4])
    assert (float(found["gradient"].detach()) == 0) == (metric == 0)  # captures know too few depths for steps


def test_truth_has_the_contrast_by_which_predictions_are_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flat prediction is wrong by the contrast to be predicted, which grows with the focal length as f^0.4."""
    monkeypatch.setattr(virtual_cameras, "TILT", 0.0)
    monkeypatch.setattr(virtual_cameras, "ROLL", 0.0)
    network = DisparityNetwork(TINY).eval()
    torch.nn.init.zeros_(network.decoder.head.weight)
    batch = stack(make_sample((64, 96)), make_sample((64, 96), seed=1))
    longer = torch.diag(torch.tensor([1.5, 1.5, 1.0])) @ batch.K_src

    def wrong(K: torch.Tensor) -> float:
        seen = batch._replace(K_src=K, K_tgt=K)
        return float(disparity_losses(network, seen, TrainConfig("unused"), BatchRng.seeded(0, 2))["likeness"].detach())

    assert wrong(longer) / wrong(batch.K_src) == pytest.approx(1.5**0.4, rel=1e-3)
