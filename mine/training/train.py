"""The training loop."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mine.config import TrainConfig
from mine.data.base.augment import augment
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.errors import InputError
from mine.evaluation.protocol import evaluate_config
from mine.model import Model
from mine.network.encoders.encoder import freeze_batch_norm
from mine.training.batches import loader, process_rows, unreadable
from mine.training.distributed import start_fabric
from mine.training.log import Log
from mine.training.preview import pictures
from mine.training.state import State, Stop

GRADIENT_NORM = 5.0
WASTED_STEPS = 10


def train(config: TrainConfig, resume: bool = True) -> Path:
    """Trains a network and returns its checkpoint, whose weights are the running average.

    State is saved every `save_every` steps, and when the process is told to end (SIGTERM); a later call with the same
    configuration goes on from there as if nothing had happened. Under torchrun, all processes share each batch.
    Raises InputError when the loss is not finite ten times in a row.
    """
    fabric = start_fabric(config)
    torch.manual_seed(config.seed)
    rows = process_rows(config, fabric.global_rank, fabric.world_size)
    state = State(fabric, config, resume)
    with Stop() as stop, Log(state) as log:
        samples = loader(config, state.step, rows)
        batches = iter(samples)
        stopped = False
        if state.step == 0:
            evaluate_held_out(state, log)
        while state.step < config.last and not stopped:
            parts = [fabric.to_device(Sample(*next(batches))) for _ in rows]
            found = train_step(state, parts, rows)
            state.advance(bool(found))
            if state.skipped_in_a_row == WASTED_STEPS:
                raise InputError(
                    f"loss not finite for {WASTED_STEPS} steps up to step {state.step}: lower learning_rate"
                )
            log.step(found)
            stopped = stop.agreed(fabric)
            if state.step % config.save_every == 0 or state.step == config.last or stopped:
                state.save()
                if fabric.is_global_zero:
                    log.pictures(pictures(state.averaged, parts[0]))
            if state.step % config.evaluate_every == 0 or state.step == config.last:
                evaluate_held_out(state, log)
            if state.step == config.last:
                log.summarise(unreadable(samples))
        if stopped and state.step < config.last:
            log.say(f"stopped after step {state.step} of {config.last}: the same command goes on from there")
        return state.checkpoint


def evaluate_held_out(state: State, log: Log) -> None:
    """Logs figures of the averaged network on the configuration's held-out views, if any; the first process does."""
    if state.config.held_out and state.fabric.is_global_zero:
        report = evaluate_config(Model(state.averaged), state.config.held_out, brief=True)
        log.held_out(report.mean()["prediction"])


def train_step(state: State, parts: Sequence[Sample], rows: Sequence[range]) -> dict[str, Tensor]:
    """One update; returns the losses, or nothing when they were not finite and the step was left out.

    parts: this process's share of the batch, in as many parts as are to be worked off one after the other; rows: their
    sources' places in the batch.
    """
    statistics = [buffer.clone() for buffer in state.network.buffers()]
    state.optimizer.zero_grad()
    found = gradients(state, parts, rows)
    norm = state.fabric.clip_gradients(state.learner, state.optimizer, max_norm=GRADIENT_NORM, error_if_nonfinite=False)
    assert norm is not None
    finite = bool(torch.isfinite(norm))
    if finite or state.config.precision == "fp16":  # a scaler leaves out such steps itself, and lowers its scale
        state.optimizer.step()
    state.schedule.step()
    if not finite:
        # Batch norm has averaged what it saw already.
        for buffer, before in zip(state.network.buffers(), statistics, strict=True):
            buffer.copy_(before)
        return {}
    state.average.update_parameters(state.network)
    return found | {"gradient_norm": norm}


def gradients(state: State, parts: Sequence[Sample], rows: Sequence[range]) -> dict[str, Tensor]:
    """Adds the gradients of the mean loss of a batch, over all parts and processes; returns this process's losses."""
    fabric, config = state.fabric, state.config
    freeze_batch_norm(state.network.encoder)
    found: dict[str, Tensor] = {}
    for part, own in zip(parts, rows, strict=True):
        each = [row for row in own for _ in range(config.targets)]  # targets of a source are changed as it is
        changed = augment(part, BatchRng.seeded(state.step, config.batch, each))
        rng = BatchRng.seeded(config.seed + state.step, config.batch, own)
        # Processes exchange gradients once a step.
        with fabric.no_backward_sync(state.learner, enabled=own != rows[-1]):
            losses = state.learner(changed, rng)
            fabric.backward(losses["total"] / len(parts))
        for name, value in losses.items():
            found[name] = found.get(name, 0) + value.detach() / len(parts)
    return found
