"""All that a run changes, and the file that it goes on from."""

import pickle
import signal
import threading
from dataclasses import asdict, fields
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mine.config import TrainConfig
from mine.errors import InputError
from mine.files import replacing
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network
from mine.network.protocol import Network
from mine.training.distributed import Learner, share_batch_norm
from mine.training.optim import freeze, make_optimizer, start_network

FREE = {"stop", "device", "workers", "save_every", "held_out", "evaluate_every"}
"""Settings that do not change what is learned: a run may go on with others."""


class State:
    """Network, running average, optimizer and schedule of a run, and how far it has come.

    resume: go back to what `save` wrote to the run's folder, if it did. Raises InputError for the state of another run.
    """

    def __init__(self, fabric: Fabric, config: TrainConfig, resume: bool = False) -> None:
        self.fabric, self.config = fabric, config
        self.file = Path(config.output) / "state.pt"
        self.checkpoint = Path(config.output) / "mine.safetensors"
        self.step = self.skipped = self.skipped_in_a_row = 0
        self.seconds = 0.0
        saved = self._read() if resume and self.file.is_file() else None
        with fabric.rank_zero_first(local=True):  # the others find what the first has downloaded
            network = make_network(Architecture(**saved["architecture"])) if saved else start_network(config)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = cast(Network, fabric.to_device(network.train()))
        freeze(self.network, config)
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        self.average.eval()
        share_batch_norm(self.network, fabric)
        self.plain_optimizer, self.schedule = make_optimizer(self.network, config)
        if saved:
            self._restore(saved)
        self.learner, self.optimizer = fabric.setup(Learner(self.network, config), self.plain_optimizer)

    @property
    def averaged(self) -> Network:
        """The running average of the network, in evaluation mode."""
        return cast(Network, self.average.module)

    def advance(self, finite: bool) -> None:
        """Counts one step more, that was made or left out."""
        self.step += 1
        self.skipped += not finite
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1

    def save(self) -> None:
        """Writes the state and the averaged network, each whole or not at all; the first process does.

        Raises InputError when they cannot be written: what was saved before stays.
        """
        if not self.fabric.is_global_zero:
            return
        counts = {name: getattr(self, name) for name in ("step", "skipped", "skipped_in_a_row", "seconds")}
        tree = {
            "config": asdict(self.config),
            "architecture": asdict(self.network.architecture),
            "parts": [part.state_dict() for part in self._parts()],
            "scaling": self.fabric.strategy.precision.state_dict(),
            "counts": counts,
        }
        try:
            with replacing(self.file) as temporary:
                torch.save(tree, temporary)
            save_network(self.averaged, self.checkpoint)
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"cannot save step {self.step} ({reason}): make room and run again") from error

    def _read(self) -> dict[str, Any]:
        """What `save` wrote, if this same run did."""
        try:
            tree: dict[str, Any] = torch.load(self.file, weights_only=True, map_location="cpu")
            before = tree["config"]
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, TypeError) as error:
            raise InputError(f"{self.file} is not a state to go on from: start anew with --no-resume") from error
        names = [field.name for field in fields(self.config) if field.name not in FREE]
        now = asdict(self.config)
        found = difference(before, {name: now[name] for name in names})
        if found:
            remedy = "give that back, another output, or --no-resume to start anew"
            raise InputError(f"{self.file} is of another run, {found}: {remedy}")
        return tree

    def _restore(self, tree: dict[str, Any]) -> None:
        for part, value in zip(self._parts(), tree["parts"], strict=True):
            part.load_state_dict(value)
        self.fabric.strategy.precision.load_state_dict(tree["scaling"])
        for name, value in tree["counts"].items():
            setattr(self, name, value)

    def _parts(self) -> tuple[Any, ...]:
        return self.network, self.average, self.plain_optimizer, self.schedule


def difference(before: Any, now: Any, place: str = "") -> str | None:
    """The first setting in which two trees of settings differ, in words; nothing when they do not."""
    if isinstance(before, dict) and isinstance(now, dict):
        known = [key for key in now if key in before]  # a setting that did not exist then made no difference
        found = (difference(before[key], now[key], f"{place}.{key}".lstrip(".")) for key in known)
        return next((text for text in found if text), None)
    return None if before == now else f"with {place} = {before!r}, not {now!r}"


class Stop:
    """Notices SIGTERM while it is entered: the step at hand is finished and saved first."""

    def __init__(self) -> None:
        self.noticed = False

    def __enter__(self) -> "Stop":
        self.main = threading.current_thread() is threading.main_thread()  # no other may handle signals
        if self.main:
            self.before = signal.signal(signal.SIGTERM, self._notice)
        return self

    def __exit__(self, *error: object) -> None:
        if self.main:
            signal.signal(signal.SIGTERM, self.before)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.noticed = True

    def agreed(self, fabric: Fabric) -> bool:
        """Whether any process has noticed; all must ask together."""
        if fabric.world_size == 1:
            return self.noticed
        noticed = torch.tensor(float(self.noticed), device=fabric.device)
        return bool(cast(torch.Tensor, fabric.all_reduce(noticed, reduce_op="max")) > 0)
