"""The state of a run: what each step changes, and the files it resumes from."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mine.config import TrainConfig
from mine.errors import InputError
from mine.files import replacing_together
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network
from mine.network.protocol import Network
from mine.training.distributed import NetworkWithLosses, synchronize_batch_norm
from mine.training.optim import freeze, make_optimizer, start_network

RESULT_INDEPENDENT = {"stop", "device", "workers", "save_every", "held_out", "evaluate_every"}
"""Settings that do not change what is learned: a run may resume with others."""


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
        counts = {name: getattr(self, name) for name in ("step", "skipped", "skipped_in_a_row", "seconds")}
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
            reason = str(error.__cause__ or error).splitlines()[0]
            raise InputError(f"cannot save step {self.step} ({reason}): make room and run again") from error

    def _read(self) -> dict[str, Any]:
        """What `save` wrote, checked to belong to this run."""
        try:
            tree: dict[str, Any] = torch.load(self.file, weights_only=True, map_location="cpu")
            before = tree["config"]
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, TypeError) as error:
            raise self._not_a_state() from error
        names = [field.name for field in fields(self.config) if field.name not in RESULT_INDEPENDENT]
        now = asdict(self.config)
        if Path(before.get("output", "")).resolve() == Path(now["output"]).resolve():
            names.remove("output")  # the same folder in another spelling
        changed = difference(before, {name: now[name] for name in names})
        if changed:
            remedy = "undo the change, choose another folder by output=FOLDER, or start anew with --no-resume"
            raise InputError(f"{self.file} is of another run, {changed}: {remedy}")
        return tree

    def _not_a_state(self) -> InputError:
        """What is said of a file that is damaged, or that another version wrote."""
        return InputError(f"{self.file} is not a state to go on from: start anew with --no-resume")

    def _saved_network(self, tree: dict[str, Any]) -> Network:
        """The network of what `_read` returned, without its weights."""
        try:
            network = make_network(Architecture(**tree["architecture"]))
            network.near, network.far = tree["disparities"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._not_a_state() from error
        return network

    def _restore(self, tree: dict[str, Any]) -> None:
        """Loads what `_read` returned."""
        try:
            for part, value in zip(self._stateful(), tree["parts"], strict=True):
                part.load_state_dict(value)
            self.fabric.strategy.precision.load_state_dict(tree["scaling"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise self._not_a_state() from error
        for name, value in tree["counts"].items():
            setattr(self, name, value)

    def _stateful(self) -> tuple[Any, ...]:
        """All that has a state dict, in the order of the file's "parts"."""
        return self.network, self.ema, self.unwrapped_optimizer, self.schedule


def difference(before: Any, now: Any, key: str = "") -> str | None:
    """The first setting in which two trees of settings differ.

    Args:
        before: The settings of the saved run.
        now: The settings of this run. Keys that `before` lacks are ignored: those settings did not exist then.
        key: Dotted key of both trees.

    Returns:
        "with KEY = BEFORE, not NOW"; None when the settings are equal.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        known = [name for name in now if name in before]
        found = (difference(before[name], now[name], f"{key}.{name}".lstrip(".")) for name in known)
        return next((text for text in found if text), None)
    return None if before == now else f"with {key} = {before!r}, not {now!r}"
