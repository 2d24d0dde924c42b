"""What a run tells: on the screen, in `log.jsonl` and to TensorBoard as it goes on, in `figures.json` at its end."""

import json
import math
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from mine.files import replacing
from mine.training.state import State

EVERY = 25
"""Steps between two lines."""

LOSSES = "log.jsonl"
HELD_OUT = "held-out.jsonl"


class Log:
    """Means of the losses over every 25 steps, of all processes; the first process writes them.

    All files lie in the folder of the run's checkpoint. Entered anew, it drops what was written after the state's step.
    """

    def __init__(self, state: State) -> None:
        self.state, self.config = state, state.config
        self.writes = state.fabric.is_global_zero
        self.console = Console(stderr=True)
        self.folder = state.file.parent
        self.sums: dict[str, Tensor] = {}
        self.figures: dict[str, float] = {}
        self.last_held_out: dict[str, float] = {}
        self.steps = self.made = 0

    def __enter__(self) -> "Log":
        self.since = self.before = time.perf_counter()
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._drop_lines()
            self.board = SummaryWriter(str(self.folder), purge_step=self.state.step + 1)
            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
            self.bar = Progress(*columns, console=self.console)
            self.task = self.bar.add_task("", total=self.config.last, completed=self.state.step)
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.writes:
            self.bar.stop()
            self.board.close()

    def step(self, found: Mapping[str, Tensor]) -> None:
        """Adds one step's losses; no losses are a step that was left out, which no mean counts."""
        now = time.perf_counter()
        self.state.seconds += now - self.before
        self.before = now
        self.steps += 1
        self.made += bool(found)
        for name, value in found.items():
            self.sums[name] = self.sums.get(name, 0) + value
        rate = self.steps * self.config.batch / (now - self.since)
        if self.writes:
            speed = f"{rate:.3g} samples/s, {peak_memory(self.state.fabric.device):.2g} GB"
            self.bar.update(self.task, completed=self.state.step, description=speed)
        last = self.state.step == self.config.last
        if self.steps < EVERY and not last:
            return
        means: Any = self.state.fabric.all_reduce({name: value / self.made for name, value in self.sums.items()})
        self.figures = {name: float(value) for name, value in means.items()} | {"samples_per_second": rate}
        if self.writes:
            self._write()
        self.sums, self.steps, self.made, self.since = {}, 0, 0, now

    def held_out(self, figures: Mapping[str, float]) -> None:
        """Writes figures on views that never enter training; the first process calls it."""
        self.last_held_out = {name: value for name, value in figures.items() if math.isfinite(value)}
        with (self.folder / HELD_OUT).open("a") as file:
            file.write(json.dumps({"step": self.state.step} | self.last_held_out) + "\n")
        for name, value in self.last_held_out.items():
            self.board.add_scalar(f"held_out/{name}", value, self.state.step)
        text = "  ".join(f"{name} {value:.4g}" for name, value in self.last_held_out.items())
        self.say(f"[bold]{self.state.step}/{self.config.last}[/]  held out: {text}")

    def pictures(self, found: Mapping[str, Tensor]) -> None:
        """Shows pictures (1 or 3, H, W) by name."""
        for name, picture in found.items():
            self.board.add_image(name, picture, self.state.step)

    def say(self, text: str) -> None:
        """Prints one line above the progress bar; the first process does."""
        if self.writes:
            self.console.print(text, highlight=False, soft_wrap=True)

    def _write(self) -> None:
        step = self.state.step
        with (self.folder / LOSSES).open("a") as file:
            file.write(json.dumps({"step": step} | self.figures | {"skipped": self.state.skipped}) + "\n")
        for name, value in self.figures.items():
            self.board.add_scalar(name, value, step)
        for group, name in zip(self.state.plain_optimizer.param_groups, ("encoder", "decoder"), strict=True):
            self.board.add_scalar(f"learning_rate/{name}", group["lr"], step)
        text = "  ".join(f"{name} {value:.3g}" for name, value in self.figures.items())
        skipped = f"  [red]{self.state.skipped} skipped[/]" if self.state.skipped else ""
        self.console.print(f"[bold]{step}/{self.config.last}[/]  {text}{skipped}", highlight=False, soft_wrap=True)

    def summarise(self, unreadable: int) -> None:
        """Writes `figures.json`: of the whole run, and the means of its last steps; the first process does.

        unreadable: samples that could not be read since this process began.
        """
        if not self.writes:
            return
        state, fabric = self.state, self.state.fabric
        figures = {
            "steps": state.step,
            "skipped_steps": state.skipped,
            "unreadable_samples": unreadable,
            "samples": state.step * self.config.batch,
            "seconds": state.seconds,
            "samples_per_second": state.step * self.config.batch / state.seconds,
            "peak_memory_gb": peak_memory(fabric.device),
            "parameters": sum(parameter.numel() for parameter in state.network.parameters()),
            "processes": fabric.world_size,
            "device": fabric.device.type,
            "precision": self.config.precision,
            "last": self.figures,
            "held_out": self.last_held_out,
        }
        with replacing(self.folder / "figures.json") as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n")

    def _drop_lines(self) -> None:
        """A run that goes on from its state makes the steps after it once more."""
        for file in (self.folder / LOSSES, self.folder / HELD_OUT):
            if file.is_file():
                kept = [line for line in file.read_text().splitlines() if json.loads(line)["step"] <= self.state.step]
                with replacing(file) as temporary:
                    temporary.write_text("".join(line + "\n" for line in kept))


def peak_memory(device: torch.device) -> float:
    """Most memory that was in use at a time, in GB: tensors on a GPU, all of the process on a processor."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024  # the system's own units
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
