"""The log of a run: console, `log.jsonl`, `held-out.jsonl`, TensorBoard, and `figures.json` at its end."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from mine.files import replacing
from mine.kernels.memory import peak_memory
from mine.training.state import TrainingState

LOG_EVERY = 25
"""Steps between two lines of the log."""

LOSSES = "log.jsonl"
HELD_OUT = "held-out.jsonl"
SUMMARY = "figures.json"


class TrainingLog:
    """Logs mean losses over 25 steps and all ranks, held-out metrics and preview images, from rank 0.

    A context. All files lie in the run's output folder; lines written after the step that a run resumes from are
    dropped.
    """

    def __init__(self, state: TrainingState) -> None:
        """The log of a run.

        Args:
            state: The run's state; its step and its seconds are logged.
        """
        self.state, self.config = state, state.config
        self.writes = state.fabric.is_global_zero
        self.console = Console(stderr=True)
        self.folder = state.file.parent
        self.sums: dict[str, Tensor] = {}
        self.means: dict[str, float] = {}
        self.held_out_metrics: dict[str, float] = {}
        self.evaluated_step: int | None = None
        self.steps = self.finite_steps = 0

    def __enter__(self) -> "TrainingLog":
        self.since = self.before = time.perf_counter()
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._resume()
            self.board = SummaryWriter(str(self.folder), purge_step=self._last_kept() + 1)
            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
            self.bar = Progress(*columns, console=self.console)
            self.task = self.bar.add_task("", total=self.config.last, completed=self.state.step)
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.writes:
            self.bar.stop()
            self.board.close()

    def step(self, losses: Mapping[str, Tensor]) -> None:
        """Adds one step; all ranks call it.

        Args:
            losses: The step's losses by name; empty for a skipped step, which no mean counts.
        """
        now = time.perf_counter()
        self.state.seconds += now - self.before
        self.before = now
        self.steps += 1
        self.finite_steps += bool(losses)
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0) + value
        rate = self.steps * self.config.batch / (now - self.since)
        if self.writes:
            peak = peak_gigabytes(self.state.fabric.device)
            speed = f"{rate:.3g} samples/s" + ("" if peak is None else f", {peak:.2g} GB")
            self.bar.update(self.task, completed=self.state.step, description=speed)
        last = self.state.step == self.config.last
        if self.steps < LOG_EVERY and not last:
            return
        own = {name: value / self.finite_steps for name, value in self.sums.items()}
        means: Any = self.state.fabric.all_reduce(own)
        self.means = {name: float(value) for name, value in means.items()} | {"samples_per_second": rate}
        if self.writes:
            self._write_means()
        self.sums, self.steps, self.finite_steps, self.since = {}, 0, 0, now

    @contextmanager
    def untimed(self) -> Iterator[None]:
        """Context whose wall time is not counted as that of steps."""
        begin = time.perf_counter()
        yield
        spent = time.perf_counter() - begin
        self.before += spent
        self.since += spent

    def held_out(self, metrics: Mapping[str, float]) -> None:
        """Logs metrics of held-out views, those that are finite; rank 0 alone calls it."""
        self.held_out_metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self.evaluated_step = self.state.step
        with (self.folder / HELD_OUT).open("a") as file:
            file.write(json.dumps({"step": self.state.step} | self.held_out_metrics) + "\n")
        for name, value in self.held_out_metrics.items():
            self.board.add_scalar(f"held_out/{name}", value, self.state.step)
        text = "  ".join(f"{name} {value:.4g}" for name, value in self.held_out_metrics.items())
        self.message(f"[bold]{self.state.step}/{self.config.last}[/]  held out: {text}")

    def images(self, images: Mapping[str, Tensor]) -> None:
        """Adds images (1 or 3, H, W) in [0, 1] to TensorBoard, by name; rank 0 alone calls it."""
        for name, image in images.items():
            self.board.add_image(name, image, self.state.step)

    def message(self, text: str) -> None:
        """Prints one line above the progress bar, from rank 0."""
        if self.writes:
            self.console.print(text, highlight=False, soft_wrap=True)

    def is_evaluated(self) -> bool:
        """Whether the metrics of held-out views at this step have been logged, also by an earlier call."""
        return self.evaluated_step == self.state.step

    def is_complete(self) -> bool:
        """Whether `figures.json` is that of this step."""
        file = self.folder / SUMMARY
        return file.is_file() and _parsed(file.read_text(errors="replace")).get("steps") == self.state.step

    def summary(self, unreadable: int) -> None:
        """Writes `figures.json`: totals of the run, its last mean losses and its last held-out metrics, from rank 0.

        Args:
            unreadable: Number of samples that this process could not read.
        """
        if not self.writes:
            return
        state, fabric = self.state, self.state.fabric
        summary = {
            "steps": state.step,
            "skipped_steps": state.skipped,
            "unreadable_samples": unreadable,
            "samples": state.step * self.config.batch,
            "seconds": state.seconds,
            "samples_per_second": state.step * self.config.batch / state.seconds,
            "peak_memory_gb": peak_gigabytes(fabric.device),
            "parameters": sum(parameter.numel() for parameter in state.network.parameters()),
            "processes": fabric.world_size,
            "device": fabric.device.type,
            "precision": self.config.precision,
            "last": self.means,
            "held_out": self.held_out_metrics,
        }
        with replacing(self.folder / SUMMARY) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n")

    def _write_means(self) -> None:
        """Writes the mean losses to `log.jsonl`, TensorBoard and the console."""
        step = self.state.step
        with (self.folder / LOSSES).open("a") as file:
            file.write(json.dumps({"step": step} | self.means | {"skipped": self.state.skipped}) + "\n")
        for name, value in self.means.items():
            self.board.add_scalar(name, value, step)
        for group, name in zip(self.state.unwrapped_optimizer.param_groups, ("encoder", "decoder"), strict=True):
            self.board.add_scalar(f"learning_rate/{name}", group["lr"], step)
        text = "  ".join(f"{name} {value:.3g}" for name, value in self.means.items())
        skipped = f"  [red]{self.state.skipped} skipped[/]" if self.state.skipped else ""
        self.console.print(f"[bold]{step}/{self.config.last}[/]  {text}{skipped}", highlight=False, soft_wrap=True)

    def _last_kept(self) -> int:
        """The last step whose entries are kept: the state's, and at step 0 none, since all are another run's."""
        return self.state.step or -1

    def _resume(self) -> None:
        """Drops what belongs to steps after the state's, which are made once more, and reads the last metrics before.

        `figures.json` is dropped as well unless the run is at its end.
        """
        means, held_out = (keep_lines(self.folder / name, self._last_kept()) for name in (LOSSES, HELD_OUT))
        self.means = {name: value for name, value in means.items() if name not in ("step", "skipped")}
        self.held_out_metrics = {name: value for name, value in held_out.items() if name != "step"}
        self.evaluated_step = held_out.get("step")
        if self.state.step < self.config.last:
            (self.folder / SUMMARY).unlink(missing_ok=True)


def keep_lines(file: Path, last: int) -> dict[str, Any]:
    """Drops the lines of a log that belong to later steps or to none, as those that a killed process has not finished.

    Args:
        file: A JSON object a line, with the key "step"; may be missing.
        last: The last step whose lines are kept.

    Returns:
        The last line that is left; empty when there is none.
    """
    if not file.is_file():
        return {}
    lines = file.read_text(errors="replace").splitlines()
    kept = [entry for entry in map(_parsed, lines) if type(entry.get("step")) is int and entry["step"] <= last]
    if len(kept) < len(lines):
        with replacing(file) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
    return kept[-1] if kept else {}


def _parsed(line: str) -> dict[str, Any]:
    """The JSON object of a line; empty for another line."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}


def peak_gigabytes(device: torch.device) -> float | None:
    """Peak memory in GB: of tensors on a GPU, of the whole process on a CPU; None if the system does not tell."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else peak_memory()
