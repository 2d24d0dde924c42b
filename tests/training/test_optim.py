"""What a run trains, and its learning rate schedules."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_run import ARCHITECTURE, config_for

from mine.errors import InputError
from mine.network.checkpoint import make_network
from mine.training.optim import freeze, make_optimizer


def rates(**settings: object) -> list[tuple[float, float]]:
    """Of encoder and decoder at each step."""
    config = config_for(Path("unused"), **{"learning_rate": 1e-2, "encoder_learning_rate": 1e-3} | settings)
    optimizer, schedule = make_optimizer(make_network(ARCHITECTURE), config)
    found = []
    for _ in range(config.steps):
        found.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        schedule.step()
    return found  # type: ignore[return-value]


def test_rates_fall_to_a_tenth_at_the_decay_steps() -> None:
    found = rates(steps=6, decay_steps=(2, 5))
    assert [decoder for _, decoder in found] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-3, 1e-4])
    assert [encoder for encoder, _ in found] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-5])


def test_without_decay_steps_rates_warm_up_and_anneal() -> None:
    decoder = [rate for _, rate in rates(steps=40)]
    top = decoder.index(max(decoder))
    assert max(decoder) == pytest.approx(1e-2) and 0 < top < 20
    assert decoder[0] < 2e-3 and decoder[-1] < 1e-3
    assert decoder[: top + 1] == sorted(decoder[: top + 1]) and decoder[top:] == sorted(decoder[top:], reverse=True)


def test_each_rate_anneals_to_a_hundredth_of_its_own_peak() -> None:
    """Warm-up from a twentieth in 5 of 16 steps, then half a cosine; rates that are 0, or small, as well."""
    warm_up = [0.05 + 0.95 * step / 5 for step in range(5)]
    factors = warm_up + [0.505 + 0.495 * math.cos(math.pi * step / 11) for step in range(11)]
    for encoder in (1e-3, 1e-6, 0.0):
        found = rates(steps=16, encoder_learning_rate=encoder)
        assert [rate for rate, _ in found] == pytest.approx([encoder * factor for factor in factors], rel=1e-6, abs=0)
        assert [rate for _, rate in found] == pytest.approx([1e-2 * factor for factor in factors], rel=1e-6, abs=0)


def test_frozen_parts_that_the_encoder_does_not_have_are_named() -> None:
    network = make_network(ARCHITECTURE)
    config = config_for(Path("unused"), frozen=("backbone.conv_stem", "backbone.block"))
    freeze(network, config)
    trained = [name for name, parameter in network.encoder.named_parameters() if parameter.requires_grad]
    assert trained and not any(name.startswith(config.frozen) for name in trained)
    wrong = replace(config, frozen=("backbone.conv_stem", "encoder.backbone.bn1"))
    with pytest.raises(InputError, match=r"frozen has 'encoder\.backbone\.bn1'.* backbone\.bn1[?,]") as error:
        freeze(network, wrong)
    assert "\n" not in str(error.value)
