"""How signals end a run: after the step that it is in, with its state saved."""

import signal
import threading
from types import FrameType
from typing import Any, cast

import torch
from lightning_fabric import Fabric

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a run after its step: of a process manager, and of a terminal that is closed."""


class GracefulStop:
    """Context that turns SIGTERM and SIGHUP into a flag, so that a run finishes its step and saves it before it ends.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "GracefulStop":
        self.previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():  # no other may handle signals
            for number in STOP_SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: set from C, and not to be put back
                    self.previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *error: object) -> None:
        for number, previous in self.previous.items():
            signal.signal(number, previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def requested_by_any_rank(self, fabric: Fabric) -> bool:
        """Whether any process has received one of the signals; a collective operation, which all ranks must call."""
        if fabric.world_size == 1:
            return self.requested
        requested = torch.tensor(float(self.requested), device=fabric.device)
        return bool(cast(torch.Tensor, fabric.all_reduce(requested, reduce_op="max")) > 0)
