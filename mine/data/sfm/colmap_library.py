"""pycolmap without its handler of SIGTERM, which prints a stack trace for every process that is terminated."""

import signal
import threading

_handler = signal.getsignal(signal.SIGTERM)

import pycolmap  # noqa: E402

if threading.current_thread() is threading.main_thread():  # only there may handlers be set
    signal.signal(signal.SIGTERM, _handler)

__all__ = ["pycolmap"]
