"""pycolmap, without the handler it puts on SIGTERM: that prints a stack trace for every process ended from outside."""

import signal
import threading

_handler = signal.getsignal(signal.SIGTERM)

import pycolmap  # noqa: E402

if threading.current_thread() is threading.main_thread():  # only there may handlers be set
    signal.signal(signal.SIGTERM, _handler)

__all__ = ["pycolmap"]
