"""Worker processes: they hold the model and do the jobs, so that a job can be ended whatever it does."""

import multiprocessing
import os
import queue
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from mine import InputError, Model
from mine.demo.making import MAKERS
from mine.errors import is_out_of_memory

GRACE = 3.0
"""Seconds that a worker has to end a job it was told to stop; then its process is killed, and another started."""

POLL = 0.1
"""Seconds between looks at whether a job is to end."""

MEMORY = 6 << 30
"""Bytes of memory that a worker may take: a job that takes more is ended, and its process with it."""

START = 180.0
"""Seconds that a worker may take to load the model."""


class Control(Protocol):
    """A `Report` that can also be asked, between reports, whether the job is to end."""

    def __call__(self, fraction: float, text: str) -> None:
        """Reports; raises InputError once the job is to end."""

    def check(self) -> None:
        """Raises InputError once the job is to end."""

    def begin(self) -> None:
        """Starts the clock of the time limit: the job need not wait for others any more."""


class Workers(Protocol):
    """What does jobs: processes, or this process."""

    count: int

    def run(self, maker: str, arguments: tuple[Any, ...], control: Control) -> float:
        """Does a job of `MAKERS` and returns the seconds it took; raises InputError when it fails or is to end."""

    def close(self) -> None:
        """Ends all processes."""


class InProcess:
    """Does jobs in this process, one at a time: for tests, and for programs that bring a model of their own."""

    count = 1

    def __init__(self, model: Model) -> None:
        self.model = model
        self._lock = threading.Lock()

    def run(self, maker: str, arguments: tuple[Any, ...], control: Control) -> float:
        """Does a job; it ends when its next report raises."""
        with self._lock:
            control.begin()
            control.check()
            start = time.monotonic()
            MAKERS[maker](self.model, *arguments, control)
            return time.monotonic() - start

    def close(self) -> None:
        """Nothing to end."""


class Processes:
    """A pool of worker processes, each with a model of its own. A job waits until one is free.

    Args:
        checkpoint: Network weights; by default the shipped ones.
        count: Number of processes, which share the CPU's cores.
        memory: Bytes that each may take.

    Raises:
        InputError: The checkpoint cannot be read.
    """

    def __init__(self, checkpoint: Path | None = None, count: int = 1, memory: int = MEMORY) -> None:
        self.count, self.memory = count, memory
        threads = max(1, len(os.sched_getaffinity(0)) // count) if hasattr(os, "sched_getaffinity") else None
        self._settings = (checkpoint, threads)
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        started = [_Process(*self._settings) for _ in range(count)]
        for process in started:
            process.wait_until_ready()
            self._free.put(process)

    def run(self, maker: str, arguments: tuple[Any, ...], control: Control) -> float:
        """Does a job in the next free process."""
        process = self._next(control)
        try:
            process.wait_until_ready(control)
            control.begin()
            start = time.monotonic()
            process.run(maker, arguments, control, self.memory)
            return time.monotonic() - start
        finally:
            # A process that was killed, or died, is replaced at once; the next job waits while it loads.
            self._free.put(process if process.alive else _Process(*self._settings))

    def close(self) -> None:
        """Ends the processes that are free; the others end with this one."""
        with suppress(queue.Empty):
            while True:
                self._free.get_nowait().kill()

    def _next(self, control: Control) -> "_Process":
        """Waits for a free process for as long as the job is wanted."""
        while True:
            control.check()
            with suppress(queue.Empty):
                process = self._free.get(timeout=POLL)
                return process if process.alive else _Process(*self._settings)  # it may have died at rest
            control(0.0, "Waiting for the program to be ready")


class _Process:
    """One worker process, and the pipe to it."""

    def __init__(self, checkpoint: Path | None, threads: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, checkpoint, threads), daemon=True)
        self._process.start()
        other.close()
        self._ready = False

    @property
    def alive(self) -> bool:
        """Whether the process can take a job."""
        return self._process.is_alive()

    @property
    def number(self) -> int:
        """The number of the process."""
        return self._process.pid or 0

    def wait_until_ready(self, control: Control | None = None) -> None:
        """Waits until the model is loaded; raises InputError when it cannot be."""
        deadline = time.monotonic() + START
        while not self._ready:
            if control is not None:
                control.check()
            if self._pipe.poll(POLL):
                kind, text = self._receive()
                if kind != "ready":
                    self.kill()
                    raise InputError(text)
                self._ready = True
            elif not self.alive or time.monotonic() > deadline:
                self.kill()
                raise InputError("the model could not be loaded: start the demo again")

    def run(self, maker: str, arguments: tuple[Any, ...], control: Control, memory: int) -> None:
        """Does a job; raises InputError when it fails, or is to end, or the process died."""
        self._pipe.send((maker, arguments))
        while True:
            try:
                control.check()
                if self._resident() > memory:
                    raise InputError(f"took more than {memory >> 20} MB of memory: choose less detail or fewer planes")
                if not self._pipe.poll(POLL):
                    if self.alive:
                        continue
                    raise InputError("the job ended early: try again, with less detail or a smaller photo")
                kind, value = self._receive()
                if kind == "progress":
                    control(*value)
                    continue
            except BaseException:
                self._end_job()
                raise
            if kind == "failed":
                raise InputError(value)
            return

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _receive(self) -> tuple[str, Any]:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            self.kill()  # it is dying, and must not get another job
            raise InputError("the job ended early: try again, with less detail or a smaller photo") from error

    def _end_job(self) -> None:
        """Tells the process to stop its job, and kills it unless it does so in time."""
        with suppress(OSError, EOFError):  # it may die meanwhile
            self._pipe.send("stop")
            deadline = time.monotonic() + GRACE
            while self.alive and time.monotonic() < deadline:
                if self._pipe.poll(POLL) and self._pipe.recv()[0] in ("done", "failed"):
                    return
        self.kill()

    def _resident(self) -> int:
        """Bytes of memory of the process; 0 where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.number}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0


def _serve(pipe: Connection, checkpoint: Path | None, threads: int | None) -> None:
    """The worker process: loads the model, then does jobs until the pipe is closed."""
    import signal

    import torch

    from mine import load

    # Ctrl-C and SIGTERM are the parent's: it closes the pipe, or kills this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        model = load(checkpoint)
    except InputError as error:
        pipe.send(("error", str(error)))
        return
    pipe.send(("ready", ""))
    with suppress(EOFError, BrokenPipeError, OSError):
        while True:
            message = pipe.recv()
            if message != "stop":  # one that came after the job was done
                pipe.send(_do(model, pipe, *message))


def _do(model: Model, pipe: Connection, maker: str, arguments: tuple[Any, ...]) -> tuple[str, str]:
    """Does one job; returns how it ended."""

    def report(fraction: float, text: str) -> None:
        if pipe.poll() and pipe.recv() == "stop":
            raise InputError("stopped")
        pipe.send(("progress", (fraction, text)))

    try:
        MAKERS[maker](model, *arguments, report)
    except InputError as error:
        return "failed", str(error)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            return "failed", "not enough memory: choose less detail or fewer planes"
        raise
    return "done", ""
