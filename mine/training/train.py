"""The training loop: gradient accumulation over micro-batches, EMA weights, held-out evaluation, resumption."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mine.config import TrainConfig
from mine.data.base.augment import augment
from mine.data.base.rng import BatchRng, Stream, step_seed
from mine.data.base.sample import Sample
from mine.errors import InputError
from mine.evaluation.protocol import evaluate_config
from mine.files import check_writable, disk_full_reported
from mine.model import Model
from mine.network.encoders.encoder import freeze_batch_norm
from mine.training.batches import batches_of, loader, open_sources, process_rows, unreadable
from mine.training.distributed import start_fabric
from mine.training.log import TrainingLog
from mine.training.preview import preview_images
from mine.training.state import TrainingState
from mine.training.stop import GracefulStop

MAX_GRADIENT_NORM = 5.0
"""Norm that gradients are clipped to."""

MAX_SKIPPED_STEPS = 10
"""Consecutive steps without a finite gradient that end a run."""


def train(config: TrainConfig, resume: bool = True) -> Path:
    """Trains a network.

    The state is saved every `save_every` steps and at SIGTERM or SIGHUP, after the current step. A later call with the
    same configuration resumes from it, and the result is that of an uninterrupted run. Under torchrun, all processes
    share each batch.

    Args:
        config: The run.
        resume: Resume from the state in the output folder, if there is one.

    Returns:
        The checkpoint, whose weights are the exponential moving average (EMA).

    Raises:
        InputError: The loss was not finite ten times in a row, or the configuration makes no run.
    """
    fabric = start_fabric(config)
    if fabric.is_global_zero:
        check_writable(Path(config.output) / "state.pt")

    def prepared(config: TrainConfig) -> tuple[list[range], list[tuple[Dataset[Sample], float]]]:
        return process_rows(config, fabric.global_rank, fabric.world_size), open_sources(config)

    resumed = resume and (Path(config.output) / "state.pt").is_file()
    parts = None if resumed else prepared(config)  # a new run downloads weights next
    torch.manual_seed(config.seed)
    state = TrainingState(fabric, config, resume)
    # The state holds all that a run took from its `start`, which need not be there any more.
    rows, sources = parts or prepared(replace(config, start=None, architecture=state.network.architecture))
    with disk_full_reported(config.output), GracefulStop() as stop, TrainingLog(state) as log:
        samples = loader(config, state.step, rows, sources)
        if state.step > 0:
            state.restore_checkpoint()
        evaluate_if_due(state, log)
        if state.step < config.last:
            with batches_of(samples) as batches:
                run_steps(state, log, batches, rows, stop)
        if state.step == config.last:
            finish(state, log, unreadable(samples))
        elif state.step > config.last:
            log.message(f"step {state.step} is done already, beyond stop {config.last}: raise stop to go on")
        else:
            command = "the same command" if resume else "the same command without --no-resume"
            log.message(f"stopped after step {state.step} of {config.last}: {command} goes on from there")
        return state.checkpoint


def run_steps(
    state: TrainingState,
    log: TrainingLog,
    batches: Iterator[Sequence[Tensor]],
    rows: Sequence[Sequence[int]],
    stop: GracefulStop,
) -> None:
    """Makes steps up to the configuration's last, or until a signal stops the run; saves, evaluates and logs.

    Args:
        state: The run's state, changed in place.
        log: The run's log.
        batches: This rank's samples, by micro-batches of gradient accumulation.
        rows: Indices in the whole batch of each micro-batch's sources.
        stop: Where signals are noted.

    Raises:
        InputError: The loss was not finite ten times in a row, or the state cannot be saved.
    """
    config, stopped = state.config, False
    while state.step < config.last and not stopped:
        micro_batches = [state.fabric.to_device(Sample(*next(batches))) for _ in rows]
        losses = train_step(state, micro_batches, rows)
        state.advance(bool(losses))
        if state.skipped_in_a_row == MAX_SKIPPED_STEPS:
            raise InputError(
                f"loss not finite for {MAX_SKIPPED_STEPS} steps up to step {state.step}: lower learning_rate"
            )
        log.step(losses)
        stopped = stop.requested_by_any_rank(state.fabric)
        if state.step % config.save_every == 0 or state.step == config.last or stopped:
            state.save()
            if state.fabric.is_global_zero:
                log.images(preview_images(state.ema_network, micro_batches[0]))
        evaluate_if_due(state, log)


def evaluate_if_due(state: TrainingState, log: TrainingLog) -> None:
    """Evaluates at the steps of `evaluate_every` before the last, unless a run that ended here has done so already."""
    config = state.config
    if state.step % config.evaluate_every == 0 and state.step < config.last and not log.is_evaluated():
        evaluate_held_out(state, log)


def finish(state: TrainingState, log: TrainingLog, unreadable: int) -> None:
    """Evaluates and sums up a run at its last step, or the part of it that a run which was killed here lacks.

    Args:
        state: The run's state.
        log: The run's log.
        unreadable: Number of samples that this process could not read.
    """
    if state.fabric.is_global_zero and not log.is_complete():
        if not log.is_evaluated():
            evaluate_held_out(state, log)
        log.summary(unreadable)


def evaluate_held_out(state: TrainingState, log: TrainingLog) -> None:
    """Evaluates the EMA weights on the configuration's held-out views, if any, on rank 0, and logs the metrics."""
    if state.config.held_out and state.fabric.is_global_zero:
        with log.untimed():
            report = evaluate_config(Model(state.ema_network), state.config.held_out, brief=True)
        log.held_out(report.mean()["prediction"])


def train_step(
    state: TrainingState, micro_batches: Sequence[Sample], rows: Sequence[Sequence[int]]
) -> dict[str, Tensor]:
    """One optimizer step, skipped when a gradient is not finite.

    Args:
        state: The run's state, changed in place.
        micro_batches: This rank's samples of the batch, by micro-batches of gradient accumulation.
        rows: Indices in the whole batch of each micro-batch's sources.

    Returns:
        The losses of this rank and the norm of the gradient, by name; empty for a skipped step.
    """
    buffers = [buffer.clone() for buffer in state.network.buffers()]
    state.optimizer.zero_grad()
    losses = accumulate_gradients(state, micro_batches, rows)
    norm = state.fabric.clip_gradients(
        state.module, state.optimizer, max_norm=MAX_GRADIENT_NORM, error_if_nonfinite=False
    )
    assert norm is not None
    finite = bool(torch.isfinite(norm))
    if finite or state.config.precision == "fp16":  # the loss scaler skips such steps itself, and lowers its scale
        state.optimizer.step()
    state.schedule.step()
    if not finite:
        # The forward pass has updated batch norm's running statistics already.
        for buffer, before in zip(state.network.buffers(), buffers, strict=True):
            buffer.copy_(before)
        return {}
    state.ema.update_parameters(state.network)
    return losses | {"gradient_norm": norm}


def accumulate_gradients(
    state: TrainingState, micro_batches: Sequence[Sample], rows: Sequence[Sequence[int]]
) -> dict[str, Tensor]:
    """Adds the gradient of the batch's mean loss, over all micro-batches and ranks; arguments as in `train_step`.

    Returns:
        The losses of this rank by name, means over its micro-batches.
    """
    fabric, config = state.fabric, state.config
    freeze_batch_norm(state.network.encoder)
    means: dict[str, Tensor] = {}
    for micro_batch, own in zip(micro_batches, rows, strict=True):
        per_target = [row for row in own for _ in range(config.targets)]  # augmented like their source
        seeds = [step_seed(config.seed, state.step, use) for use in (Stream.AUGMENTATION, Stream.LOSSES)]
        augmented = augment(micro_batch, BatchRng.seeded(seeds[0], config.batch, per_target))
        rng = BatchRng.seeded(seeds[1], config.batch, own)
        # Ranks exchange gradients once per step, with the last micro-batch.
        with fabric.no_backward_sync(state.module, enabled=own != rows[-1]):
            losses = state.module(augmented, rng)
            fabric.backward(losses["total"] / len(micro_batches))
        for name, value in losses.items():
            means[name] = means.get(name, 0) + value.detach() / len(micro_batches)
    return means
