"""How a command ends: signals that stop it, a standard output that nobody reads, a disk that is full."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TextIO

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that stop a command: of a process manager, and of a terminal that is closed."""


class Stopped(BaseException):
    """A signal has stopped the command.

    Attributes:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Context in which SIGTERM and SIGHUP raise `Stopped`, so that what a command has begun to write is removed.

    The first signal counts: others that follow it, as when a terminal is closed, do not interrupt the removal. A signal
    that is ignored, as SIGHUP is under nohup, stays ignored.

    Raises:
        Stopped: A signal has arrived.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()  # no other may handle signals
    found = {number: signal.getsignal(number) for number in SIGNALS if in_main_thread}
    # None is a handler set from C: Python cannot put it back.
    previous = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}

    def stop(number: int, frame: FrameType | None) -> None:
        for other in previous:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in previous:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def output_flushed() -> Iterator[None]:
    """Context after which all that was printed has been written, whatever characters the console lacks.

    That nobody reads it, as in `mine ... | true`, is no error: the command's files are what counts.

    Raises:
        OSError: It cannot be written.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_is_gone(sys.stdout):
            raise
        drop_output()


def end(status: int, message: str | None = None) -> NoReturn:
    """Ends the program.

    Args:
        status: The exit status.
        message: A line for standard error, which may be closed.
    """
    if message is not None:
        with suppress(OSError):
            print(f"mine: {message}", file=sys.stderr)
    sys.exit(status)


def drop_output() -> None:
    """Makes standard output lead nowhere, so that the end of the program does not fail at what cannot be written."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _reader_is_gone(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe whose reader has closed it."""
    try:
        poll = select.poll()
        poll.register(stream.fileno() if stream else -1, select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no such thing on this system, or no pipe
        return False
