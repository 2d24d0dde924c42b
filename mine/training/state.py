"""The state of a run: what each step changes, and the files it resumes from."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile

import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mine.config import TrainConfig
from mine.config.settings import validated
from mine.errors import InputError, is_out_of_memory
from mine.files import replacing_together
from mine.inputs.files import reason, shown
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network
from mine.network.planes.published_checkpoint import checked_range
from mine.network.protocol import Network
from mine.training.distributed import NetworkWithLosses, synchronize_batch_norm
from mine.training.optim import freeze, make_optimizer, start_network

RESULT_INDEPENDENT = {"stop", "device", "workers", "save_every", "held_out", "evaluate_every"}
"""Settings that do not change what is learned: a run may resume with others."""

COUNTS = ("step", "skipped", "skipped_in_a_row")
"""Whole numbers of a state."""

PARTS = {"config": dict, "architecture": dict, "disparities": tuple, "parts": list, "scaling": dict, "counts": dict}
"""Types of what the file of a state holds."""


class TrainingState:
    """Network, exponential moving average (EMA) of its weights, optimizer, schedule and step count of a run.

    Attributes:
        network: The network in training.
        ema: The EMA of its weights and buffers.
        module: Network and losses, set up by Fabric: what a training step calls.
        optimizer: The optimizer, set up by Fabric.
        step: Number of steps done, skipped ones included.
        skipped: Number of steps skipped since a gradient was not finite; `skipped_in_a_row` counts the latest ones.
        seconds: Wall time of all steps, saving included, held-out evaluations not.
    """

    def __init__(self, fabric: Fabric, config: TrainConfig, resume: bool = False) -> None:
        """Builds the state of step 0, or reads the one that `save` wrote.

        Args:
            fabric: The launched Fabric.
            config: The run's configuration.
            resume: Resume from the state in the run's folder, if there is one.

        Raises:
            InputError: The state there belongs to another run, or is damaged.
        """
        self.fabric, self.config = fabric, config
        self.file = Path(config.output) / "state.pt"
        self.checkpoint = Path(config.output) / "mine.safetensors"
        self.step = self.skipped = self.skipped_in_a_row = 0
        self.seconds = 0.0
        saved = self._read() if resume and self.file.is_file() else None
        with fabric.rank_zero_first(local=True):  # the other ranks find what rank 0 has downloaded
            network = self._saved_network(saved) if saved else start_network(config)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = cast(Network, fabric.to_device(network.train()))
        freeze(self.network, config)
        self.ema = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        self.ema.eval()
        synchronize_batch_norm(self.network, fabric)
        self.unwrapped_optimizer, self.schedule = make_optimizer(self.network, config)
        if saved:
            self._restore(saved)
        module = NetworkWithLosses(self.network, config)
        self.module, self.optimizer = fabric.setup(module, self.unwrapped_optimizer)

    @property
    def ema_network(self) -> Network:
        """The network with EMA weights, in evaluation mode."""
        return cast(Network, self.ema.module)

    def advance(self, finite: bool) -> None:
        """Counts one more step; `finite` is False for a skipped one."""
        self.step += 1
        self.skipped += not finite
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1

    def save(self) -> None:
        """Writes the state and the checkpoint of EMA weights, both or neither, from rank 0.

        The state takes its place first: `restore_checkpoint` makes the other from it, should a run end in between.

        Raises:
            InputError: They cannot be written; what was saved before is kept.
        """
        if not self.fabric.is_global_zero:
            return
        counts = {name: getattr(self, name) for name in (*COUNTS, "seconds")}
        tree = {
            "config": asdict(self.config),
            "architecture": asdict(self.network.architecture),
            "disparities": (self.network.near, self.network.far),
            "parts": [part.state_dict() for part in self._stateful()],
            "scaling": self.fabric.strategy.precision.state_dict(),
            "counts": counts,
        }
        with replacing_together([self.file, self.checkpoint]) as (state, checkpoint), self._write_reported():
            torch.save(tree, state)
            save_network(self.ema_network, checkpoint)

    def restore_checkpoint(self) -> None:
        """Writes the checkpoint of this step unless it is there, from rank 0: what a run that ended in `save` may lack.

        Raises:
            InputError: It cannot be written.
        """
        if self.fabric.is_global_zero and not self._checkpoint_is_current():
            with self._write_reported():
                save_network(self.ema_network, self.checkpoint)

    def _checkpoint_is_current(self) -> bool:
        """Whether the checkpoint's weights are the EMA weights of this state."""
        try:
            found = load_file(self.checkpoint)
        except (OSError, SafetensorError):
            return False
        weights = self.ema_network.state_dict()
        return found.keys() == weights.keys() and all(
            torch.equal(found[name], value.cpu()) for name, value in weights.items()
        )

    @contextmanager
    def _write_reported(self) -> Iterator[None]:
        """Context in which errors of writing the state are reported."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError, InputError) as error:
            cause = str(error.__cause__ or error).splitlines()[0]
            raise InputError(f"cannot save step {self.step} ({cause}): make room and run again") from error

    def _read(self) -> dict[str, Any]:
        """What `save` wrote, checked to belong to this run."""
        tree = read_state(self.file)
        with _reading(self.file):
            saved = validated(tree["config"], TrainConfig)
            own = Architecture.from_dict(tree["architecture"])
        # What a configuration leaves out is as in `start`, and the run has that architecture already.
        rest = own if saved.start or self.config.start else Architecture()
        now = asdict(replace(self.config, architecture=self.config.architecture.completed(rest)))
        changed = difference(asdict(replace(saved, architecture=own)), now)
        if changed:
            remedy = "undo the change, choose another folder by output=FOLDER, or start anew with --no-resume"
            raise InputError(f"{self.file} is of another run, {changed}: {remedy}")
        return tree

    def _saved_network(self, tree: dict[str, Any]) -> Network:
        """The network of what `_read` returned, without its weights."""
        with _reading(self.file):
            network = make_network(Architecture.from_dict(tree["architecture"]))
            network.near, network.far = checked_range("it", list(tree["disparities"]))
        return network

    def _restore(self, tree: dict[str, Any]) -> None:
        """Loads what `_read` returned."""
        with _reading(self.file):
            for part, value in zip(self._stateful(), tree["parts"], strict=True):
                part.load_state_dict(value)
            self.fabric.strategy.precision.load_state_dict(tree["scaling"])
        for name in (*COUNTS, "seconds"):
            setattr(self, name, tree["counts"][name])

    def _stateful(self) -> tuple[Any, ...]:
        """All that has a state dict, in the order of the file's "parts"."""
        return self.network, self.ema, self.unwrapped_optimizer, self.schedule


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Context around what reads a state: libraries let through whatever they meet in a damaged file, and all is told.

    Raises:
        InputError: For any exception inside but a lack of memory, which is not the file's fault.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        if isinstance(error, OSError):
            raise InputError(f"{file} cannot be read ({reason(error)}): see that it can, then run again") from error
        complaint = f"{file} is not a state to go on from ({reason(error)})"
        raise InputError(f"{complaint}: start anew with --no-resume") from error


def read_state(file: Path) -> dict[str, Any]:
    """Reads the state that a run saved, whole and of the form that `TrainingState.save` wrote.

    Args:
        file: The run's "state.pt".

    Returns:
        Its parts by name, see `PARTS`.

    Raises:
        InputError: It is damaged, or of another form.
    """
    with _reading(file):
        with ZipFile(file) as archive:  # torch does not compare the checksums
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} is damaged")
        tree: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
        for name, kind in PARTS.items():
            if not isinstance(tree[name], kind):
                raise ValueError(f"its {name} is {shown(tree[name])}")
        counts = tree["counts"]
        whole = all(type(counts[name]) is int and counts[name] >= 0 for name in COUNTS)
        if not (whole and type(counts["seconds"]) is float and 0 <= counts["seconds"] < math.inf):
            raise ValueError(f"its counts are {shown(counts)}")
    return tree


def difference(before: Any, now: Any, key: str = "") -> str | None:
    """The first setting that changes the result and in which two trees of settings differ.

    Args:
        before: The settings of the saved run.
        now: The settings of this run, of the same keys.
        key: Dotted key of both trees.

    Returns:
        "with KEY = BEFORE, not NOW"; None when the settings are equal.
    """
    if key in RESULT_INDEPENDENT:
        return None
    if key == "output" and Path(before).resolve() == Path(now).resolve():
        return None  # the same folder, maybe in another spelling
    if isinstance(before, dict) and isinstance(now, dict):
        found = (difference(before[name], now[name], f"{key}.{name}".lstrip(".")) for name in now)
        return next((text for text in found if text), None)
    return None if before == now else f"with {key} = {before!r}, not {now!r}"
