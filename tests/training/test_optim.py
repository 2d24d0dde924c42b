"""Learning rate schedules."""

from pathlib import Path

import pytest
from tiny_run import ARCHITECTURE, config_for

from mine.network.checkpoint import make_network
from mine.training.optim import make_optimizer


def rates(**settings: object) -> list[tuple[float, float]]:
    """Of encoder and decoder at each step."""
    config = config_for(Path("unused"), learning_rate=1e-2, encoder_learning_rate=1e-3, **settings)
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
