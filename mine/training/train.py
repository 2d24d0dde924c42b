"""The training loop."""

import json
import os
import time
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mine.data.augment import augment
from mine.data.draw import Draw
from mine.data.sample import Sample
from mine.errors import InputError
from mine.files import replacing
from mine.network.checkpoint import AnyNetwork, load_network, make_network, save_network
from mine.network.encoder import freeze_batch_norm
from mine.network.network import stratified_disparity
from mine.network.surface import SurfaceNetwork
from mine.training.config import TrainConfig
from mine.training.data import loader
from mine.training.step import losses
from mine.training.surface import surface_losses

WARM_UP = 200
GRADIENT_NORM = 5.0
WASTED_STEPS = 10


def train(config: TrainConfig, resume: bool = True) -> Path:
    """Trains a network and returns its checkpoint, whose weights are the running average.

    State is saved every `save_every` steps; a later call with the same output folder goes on from there.
    Raises InputError when the loss is not finite ten times in a row.
    """
    torch.manual_seed(config.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = start_network(config).to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    freeze(network, config.frozen)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    optimizer, schedule = make_optimizer(network, config)
    folder = Path(config.output)
    state = folder / "state.pt"
    step = 0
    if resume and state.is_file():
        saved = torch.load(state, weights_only=True, map_location=device)
        for part, value in zip((network, average, optimizer, schedule), saved["parts"], strict=True):
            part.load_state_dict(value)
        step = saved["step"]
    wasted = 0
    log = Log(folder, config)
    for batch in loader(config, step):
        batch = augment(Sample(*(field.to(device) for field in batch)), Draw.seeded(step, config.batch))
        found = train_step(network, optimizer, batch, config, step)
        schedule.step()
        wasted = 0 if found else wasted + 1
        if wasted == WASTED_STEPS:
            raise InputError(f"loss not finite for {WASTED_STEPS} steps up to step {step}: lower learning_rate")
        average.update_parameters(network)
        step += 1
        log.step(step, found)
        if step % config.save_every == 0 or step == config.steps:
            parts = [part.state_dict() for part in (network, average, optimizer, schedule)]
            with replacing(state) as temporary:
                torch.save({"parts": parts, "step": step}, temporary)
            save_network(cast(AnyNetwork, average.module), folder / "mine.safetensors")
    return folder / "mine.safetensors"


def start_network(config: TrainConfig) -> AnyNetwork:
    """The network that `config` starts from: a checkpoint, or an ImageNet encoder with a fresh decoder."""
    if config.start:
        return load_network(config.start).network
    network = make_network(config.architecture)
    network.encoder.load_imagenet()
    return network


def freeze(network: AnyNetwork, parts: tuple[str, ...]) -> None:
    """Keeps the encoder's parameters whose names begin with one of `parts` as they are."""
    for name, parameter in network.encoder.named_parameters():
        parameter.requires_grad_(not name.startswith(parts or ("-",)))


def make_optimizer(network: AnyNetwork, config: TrainConfig) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW with its own rate for the encoder; linear warm-up, then a cosine to a hundredth."""
    optimizer = torch.optim.AdamW(
        [
            {"params": network.encoder.parameters(), "lr": config.encoder_learning_rate},
            {"params": network.decoder.parameters(), "lr": config.learning_rate},
        ],
        weight_decay=1e-4,
    )
    warm_up = min(WARM_UP, config.steps // 4 + 1)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=warm_up),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, max(1, config.steps - warm_up), eta_min=0.01 * config.learning_rate
            ),
        ],
        [warm_up],
    )
    return optimizer, schedule


def train_step(
    network: AnyNetwork, optimizer: torch.optim.Optimizer, batch: Sample, config: TrainConfig, step: int
) -> dict[str, float]:
    """One update; returns the losses, or nothing when they were not finite and the step was left out."""
    freeze_batch_norm(network.encoder)
    draw = Draw.seeded(config.seed + step, config.batch)
    statistics = [buffer.clone() for buffer in network.buffers()]
    if isinstance(network, SurfaceNetwork):
        found = surface_losses(network, batch, config, draw)
    else:
        disparity = stratified_disparity(config.batch, config.planes, generator=draw.generator).to(batch.source)
        found = losses(network, batch, disparity, config)
    optimizer.zero_grad()
    found["total"].backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    if not torch.isfinite(norm):
        # Batch norm has averaged what it saw already.
        for buffer, before in zip(network.buffers(), statistics, strict=True):
            buffer.copy_(before)
        return {}
    optimizer.step()
    return {name: value.item() for name, value in found.items()} | {"gradient_norm": norm.item()}


class Log:
    """One line of figures every so often, on the screen and in `log.jsonl`."""

    def __init__(self, folder: Path, config: TrainConfig, every: int = 25) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "log.jsonl"
        self.config, self.every = config, every
        self.console = Console(stderr=True)
        self.sums: dict[str, float] = {}
        self.count, self.since = 0, time.perf_counter()

    def step(self, step: int, found: dict[str, float]) -> None:
        """Adds one step's losses; an empty dict counts as a step that was left out."""
        self.count += 1
        for name, value in found.items():
            self.sums[name] = self.sums.get(name, 0) + value
        if self.count < self.every and step < self.config.steps:
            return
        elapsed = time.perf_counter() - self.since
        figures = {name: value / self.count for name, value in self.sums.items()}
        figures |= {"samples_per_second": self.count * self.config.batch / elapsed}
        with self.file.open("a") as file:
            file.write(json.dumps({"step": step} | figures) + os.linesep)
        text = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        self.console.print(f"[bold]{step}/{self.config.steps}[/]  {text}", highlight=False)
        self.sums, self.count, self.since = {}, 0, time.perf_counter()
