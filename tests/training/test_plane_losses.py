"""The losses of plane networks on one batch."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_run import ARCHITECTURE, SIZE, config_for
from tiny_sample import make_sample, stack
from torch import Tensor

from mine.config import PlaneLossWeights
from mine.data.base.sample import Sample
from mine.network.planes.network import PlaneNetwork
from mine.render import Backend, use_backend
from mine.training.plane_losses import plane_losses
from mine.training.preview import preview_images


@pytest.fixture(scope="module")
def network() -> PlaneNetwork:
    torch.manual_seed(0)
    return PlaneNetwork(ARCHITECTURE).eval()


DISPARITY = torch.linspace(1, 0.1, 6)[None]


@torch.no_grad()
def losses_of(
    network: PlaneNetwork, sample: Sample, weights: PlaneLossWeights | None = None, **changes: object
) -> dict[str, Tensor]:
    config = config_for(Path("unused"), plane_losses=weights or PlaneLossWeights(), **changes)
    return plane_losses(network, stack(sample), DISPARITY, config)


NAMES = {
    "photometric": {"photometric"},
    "ssim": {"ssim"},
    "smoothness": {"smoothness"},
    "smoothness_where_flat": {"smoothness_where_flat"},
    "sparse": {"sparse_source", "sparse_target"},
    "occupancy": {"occupancy"},
}


@pytest.mark.parametrize("weight", NAMES)
def test_each_weight_scales_its_losses_and_no_other(network: PlaneNetwork, weight: str) -> None:
    sample = make_sample(SIZE)
    everything = losses_of(network, sample)
    without = losses_of(network, sample, replace(PlaneLossWeights(), **{weight: 0.0}))
    twice = losses_of(network, sample, replace(PlaneLossWeights(), **{weight: 2 * getattr(PlaneLossWeights(), weight)}))
    assert set(everything) == {"total"}.union(*NAMES.values())
    for name in set(everything) - {"total"}:
        own = name in NAMES[weight]
        assert everything[name] > 0, name
        assert without.get(name, 0) == (0 if own else everything[name]), name
        torch.testing.assert_close(twice[name], (2 if own else 1) * everything[name], msg=name)
    for found in (everything, without, twice):
        total = sum(value for name, value in found.items() if name != "total")
        torch.testing.assert_close(found["total"], total)


def test_target_losses_stay_without_the_photometric_ones(network: PlaneNetwork) -> None:
    found = losses_of(network, make_sample(SIZE), PlaneLossWeights(photometric=0, ssim=0))
    assert found["sparse_target"] > 0 and found["smoothness"] > 0


def test_samples_without_points_have_losses_when_none_needs_points(network: PlaneNetwork) -> None:
    none = torch.empty(3, 0)
    sample = make_sample(SIZE)._replace(points_src=none, points_tgt=none)
    found = losses_of(network, sample, PlaneLossWeights(sparse=0))
    assert all(torch.isfinite(value) for value in found.values())
    assert all(torch.isfinite(image).all() for image in preview_images(network, stack(sample)).values())


def rescaled(sample: Sample, factor: float) -> Sample:
    """The same capture in another unit of length."""
    T = sample.T_tgt_src.clone()
    T[:3, 3] *= factor
    names = ("points_src", "points_tgt", "depth_src", "depth_tgt")
    return sample._replace(T_tgt_src=T, **{name: factor * getattr(sample, name) for name in names})


def test_the_unit_of_a_capture_does_not_matter(network: PlaneNetwork) -> None:
    capture = make_sample(SIZE, metric=0.0)
    expected = losses_of(network, capture)
    for factor in (0.2, 7.0):
        found = losses_of(network, rescaled(capture, factor))
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_the_unit_matters_where_scale_is_known_or_left_as_it_is(network: PlaneNetwork) -> None:
    for sample, changes in ((make_sample(SIZE), {}), (make_sample(SIZE, metric=0.0), {"calibrate": False})):
        one, other = (losses_of(network, rescaled(sample, factor), **changes) for factor in (1.0, 3.0))
        for name in ("photometric", "sparse_source", "occupancy"):
            assert not torch.isclose(one[name], other[name], rtol=0.01), name


def test_leaving_out_the_finest_scale_averages_the_others(network: PlaneNetwork) -> None:
    weights = PlaneLossWeights(photometric=1, ssim=0, smoothness=0, smoothness_where_flat=0, sparse=0, occupancy=0)
    sample = make_sample(SIZE)
    by_scale = [losses_of(network, sample, weights, finest=level)["photometric"] * (4 - level) for level in range(4)]
    alone = [first - second for first, second in zip(by_scale, [*by_scale[1:], 0], strict=True)]
    assert all(0 < value < 1 for value in alone)


def test_the_compiled_renderer_gives_the_losses_and_gradients_of_the_reference(network: PlaneNetwork) -> None:
    batch = stack(make_sample(SIZE), make_sample(SIZE, metric=0.0, seed=1))
    found = []
    backends: list[Backend] = ["cpu", "reference"]
    for backend in backends:
        own = copy.deepcopy(network)
        with use_backend(backend):
            every = plane_losses(own, batch, DISPARITY.expand(2, -1), config_for(Path("unused")))
        every["total"].backward()
        found.append((every, own))
    for name, value in found[1][0].items():
        torch.testing.assert_close(found[0][0][name], value, rtol=1e-4, atol=1e-5, msg=name)
    for (name, one), other in zip(found[0][1].named_parameters(), found[1][1].parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None and other.grad is not None:
            assert (one.grad - other.grad).norm() <= 1e-2 * other.grad.norm() + 1e-6, name


def test_two_targets_give_the_mean_of_each_alone_from_one_prediction(
    network: PlaneNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    forward = network.encoder.forward
    monkeypatch.setattr(network.encoder, "forward", lambda image: counted.append(len(image)) or forward(image))
    for metric in (0.0, 1.0):
        first = make_sample(SIZE, metric=metric)
        T = first.T_tgt_src.clone()
        T[:3, 3] *= -0.5
        second = first._replace(target=first.target.flip(1), T_tgt_src=T, points_tgt=first.points_tgt * 1.3)
        config = config_for(Path("unused"))
        alone = [plane_losses(network, stack(sample), DISPARITY, config) for sample in (first, second)]
        counted.clear()
        both = plane_losses(network, stack(first, second), DISPARITY, replace(config, targets=2))
        assert counted == [1]
        assert not torch.isclose(alone[0]["photometric"], alone[1]["photometric"], rtol=0.01)
        for name, value in both.items():
            torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2, rtol=1e-4, atol=1e-6, msg=name)


def test_fine_planes_are_decoded_with_the_coarse_ones_and_count_once_in_running_statistics(
    network: PlaneNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = copy.deepcopy(network)
    trained.decoder.train()
    decoded: list[Tensor] = []
    forward = trained.decoder.forward

    def spied(features: list[Tensor], disparity: Tensor, *rest: int, **named: bool) -> list[Tensor]:
        decoded.append(disparity)
        return forward(features, disparity, *rest, **named)

    monkeypatch.setattr(trained.decoder, "forward", spied)
    uniform = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    batch = stack(make_sample(SIZE), make_sample(SIZE, seed=1))
    found = plane_losses(trained, batch, DISPARITY.expand(2, -1), config_for(Path("unused"), fine_planes=4), uniform)
    coarse, both = decoded
    assert torch.equal(coarse, DISPARITY.expand(2, -1)) and both.shape == (2, 10)
    assert (both[:, :-1] >= both[:, 1:]).all() and torch.isin(DISPARITY, both).all()
    assert found["total"].requires_grad and torch.isfinite(found["total"])
    assert {int(value) for name, value in trained.decoder.named_buffers() if "num_batches" in name} == {1}
    assert trained.decoder.training
