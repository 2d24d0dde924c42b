"""The ffmpeg program, which encodes and decodes videos."""

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from imageio_ffmpeg import get_ffmpeg_exe

from mine.errors import InputError


def ffmpeg_program() -> str:
    """The program that comes with imageio_ffmpeg, or that the environment variable IMAGEIO_FFMPEG_EXE names.

    Raises:
        InputError: There is none, or it cannot be run.
    """
    try:
        program: str = get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError("no ffmpeg is installed: install it, or set IMAGEIO_FFMPEG_EXE to its file") from error
    if shutil.which(program) is None:
        raise InputError(f"no ffmpeg program at {program}: unset IMAGEIO_FFMPEG_EXE, or set it to such a program")
    return program


@contextmanager
def signals_held() -> Iterator[None]:
    """Context in which signals that Python handles wait for its end.

    An exception that a handler raises while a program is started would leave the program running, with nobody who
    knows of it.
    """
    if threading.current_thread() is not threading.main_thread():  # no other handles signals
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    held: list[tuple[int, FrameType | None]] = []
    for number in handlers:
        signal.signal(number, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in held[:1]:
            handlers[signal.Signals(number)](number, frame)
