"""Ensembles of disparity networks: what their members predict together, in files and in training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_run import config_for
from tiny_sample import make_sample, stack

from mine.data.base.rng import BatchRng
from mine.errors import InputError
from mine.network.architecture import MAX_MEMBERS, Architecture
from mine.network.checkpoint import load_network, make_network, save_network
from mine.network.disparity.join import join_networks
from mine.network.disparity.network import DisparityNetwork
from mine.training.adaptive_batch_norm import adapt_batch_norm
from mine.training.disparity_losses import disparity_losses
from mine.training.optim import add_layers, freeze, make_optimizer

TINY = Architecture("mobilenetv3_small_050", widths=(4, 4, 8, 8, 8), decoder="disparity")
PAIR = replace(TINY, members=2)


def make_single(seed: int) -> DisparityNetwork:
    """An untrained network whose maps are not flat."""
    torch.manual_seed(seed)
    network = DisparityNetwork(TINY).eval()
    with torch.no_grad():
        network.decoder.head.weight.mul_(100)
    return network


@pytest.fixture(scope="module")
def members() -> list[DisparityNetwork]:
    return [make_single(seed) for seed in (0, 1, 2)]


@torch.no_grad()
def test_every_member_predicts_as_it_does_alone(members: list[DisparityNetwork]) -> None:
    image = torch.rand(2, 3, 64, 96)
    maps = torch.cat([member.decoder(member.encoder(image)) for member in members], 1)
    joined = join_networks(members)
    torch.testing.assert_close(joined.decoder(joined.encoder(image)), maps, atol=1e-5, rtol=1e-5)
    assert (maps[:, 0] - maps[:, 1]).std() > 1e-2, "members differ"
    assert joined(image).shape == (2, 1, 64, 96)


@torch.no_grad()
def test_an_ensemble_of_copies_predicts_as_one(members: list[DisparityNetwork]) -> None:
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(join_networks([members[0]] * 2)(image), members[0](image), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_map_has_the_values_of_the_mean_and_the_edges_of_the_first_member(
    members: list[DisparityNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two members see a step of log-disparity at columns that differ by six, of heights 1 and 3."""
    first, second = ((torch.arange(128) >= edge) * height for edge, height in ((61, 1.0), (67, 3.0)))
    maps = torch.stack([first, second]).expand(64, 2, 128).movedim(1, 0)[None]
    joined = join_networks(members[:2])
    monkeypatch.setattr("mine.network.disparity.network.refine", lambda log_disparity, image: log_disparity)
    monkeypatch.setattr("mine.network.disparity.network.relative_disparity", lambda log_disparity: log_disparity)
    monkeypatch.setattr("mine.network.disparity.network.COARSER", ())
    monkeypatch.setattr(joined, "_log_disparity", lambda image: maps)
    row = joined(torch.rand(1, 3, 64, 128))[0, 0, 32]
    assert row[-1] - row[0] == pytest.approx(2, abs=0.05)
    steps = row.diff().abs()
    assert steps.argmax() == 60 and steps.max() > 1.4
    assert steps[55:75].sort().values[-2] < 0.1, "no second edge"


@torch.no_grad()
def test_joining_copies_the_weights(members: list[DisparityNetwork]) -> None:
    first, image = make_single(0), torch.rand(1, 3, 64, 64)
    joined = join_networks([first, members[1]])
    before = joined(image)
    first.decoder.head.weight.zero_()
    assert torch.equal(joined(image), before)


def test_only_single_disparity_networks_of_one_architecture_are_joined(members: list[DisparityNetwork]) -> None:
    wider = DisparityNetwork(replace(TINY, widths=(4, 4, 8, 8, 16)))
    layered = make_network(replace(TINY, decoder="layers", background=(4, 4, 4, 4, 4)))
    for count in (1, MAX_MEMBERS + 1):
        with pytest.raises(InputError, match=rf"{count} network\(s\) to join: give 2 to {MAX_MEMBERS}"):
            join_networks([members[0]] * count)
    with pytest.raises(
        InputError, match=r"networks 1 and 3 have widths = \(4, 4, 8, 8, 8\) and \(4, 4, 8, 8, 16\): give"
    ):
        join_networks([*members[:2], wider])
    other = DisparityNetwork(replace(TINY, bottleneck=(8, 8)))  # which they do not have
    assert join_networks([members[0], other]).architecture.members == 2
    with pytest.raises(InputError, match="decoder disparity and 2 members: give single"):
        join_networks([join_networks(members[:2])] * 2)
    with pytest.raises(InputError, match="decoder layers and 1 member: give single"):
        join_networks([layered] * 2)  # type: ignore[list-item]


@torch.no_grad()
def test_a_checkpoint_of_an_ensemble_is_read_back(members: list[DisparityNetwork], tmp_path: Path) -> None:
    joined = join_networks(members)
    save_network(joined, tmp_path / "a.safetensors")
    loaded = load_network(tmp_path / "a.safetensors")
    assert loaded.architecture == replace(TINY, members=3)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(image), joined(image))


@pytest.mark.parametrize("count", [0, MAX_MEMBERS + 1, True, 2.0, "2", None])
def test_numbers_of_members_out_of_range(count: object) -> None:
    with pytest.raises(InputError, match=f"members is .*: give a number of networks, 1 to {MAX_MEMBERS}"):
        Architecture.from_dict({"decoder": "disparity", "members": count})


def test_plane_networks_are_no_ensembles() -> None:
    with pytest.raises(InputError, match="members is 2 with decoder planes"):
        Architecture.from_dict({"decoder": "planes", "members": 2})


def test_frozen_parts_are_those_of_every_member(tmp_path: Path) -> None:
    network = DisparityNetwork(PAIR)
    freeze(network, config_for(tmp_path, architecture=PAIR, frozen=("backbone.conv_stem",)))
    frozen = {name for name, parameter in network.encoder.named_parameters() if not parameter.requires_grad}
    assert frozen == {f"members.{index}.backbone.conv_stem.weight" for index in (0, 1)}
    with pytest.raises(InputError, match=r"frozen has 'members\.0', which no part of the encoder is named"):
        freeze(network, config_for(tmp_path, architecture=PAIR, frozen=("members.0",)))


def test_training_reaches_every_member(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, config = DisparityNetwork(PAIR).train(), config_for(tmp_path, architecture=PAIR, size=(64, 96))
    optimizer, _ = make_optimizer(network, config)
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    batch = stack(make_sample((64, 96)))
    disparity_losses(network, batch, config, BatchRng.seeded(0, 1))["total"].backward()
    for name, parameter in network.named_parameters():
        assert id(parameter) in trained, name
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_losses_are_means_of_those_of_the_members(members: list[DisparityNetwork], tmp_path: Path) -> None:
    config = config_for(tmp_path, architecture=PAIR, size=(64, 96))
    batch = stack(make_sample((64, 96)))

    def losses(network: DisparityNetwork) -> dict[str, torch.Tensor]:
        return disparity_losses(network, batch, config, BatchRng.seeded(0, 1))

    each = [losses(member) for member in members[:2]]
    found = losses(join_networks(members[:2]))
    for name in ("likeness", "gradient"):  # each member's order is that of other pairs of pixels
        assert found[name] == pytest.approx(float(each[0][name] + each[1][name]) / 2, rel=1e-4)
    assert float(found["total"]) == pytest.approx(sum(float(found[name]) for name in found if name != "total"))
    assert each[0]["likeness"] != pytest.approx(float(each[1]["likeness"]), rel=0.01), "members differ"


def test_adapted_batch_norm_is_that_of_every_member(members: list[DisparityNetwork]) -> None:
    joined, photos = join_networks(members[:2]), torch.rand(4, 3, 64, 64)
    before = [norm.running_mean.clone() for norm in norms(joined)]
    adapt_batch_norm(joined, photos)
    changed = [not torch.equal(norm.running_mean, mean) for norm, mean in zip(norms(joined), before, strict=True)]
    assert len(changed) > 10 and all(changed)


def norms(network: DisparityNetwork) -> list[torch.nn.BatchNorm2d]:
    """Batch norms of the decoders."""
    return [module for module in network.decoder.modules() if isinstance(module, torch.nn.BatchNorm2d)]


@torch.no_grad()
def test_layers_are_learned_on_top_of_an_ensemble(members: list[DisparityNetwork]) -> None:
    joined = join_networks(members[:2])
    layered = add_layers(joined, Architecture(decoder="layers", background=(4, 4, 4, 4, 4))).eval()
    image = torch.rand(1, 3, 64, 64)
    assert layered.architecture.members == 2
    assert torch.equal(layered(image), joined(image))
