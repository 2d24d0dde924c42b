"""How numba compiles the kernels: shared options, eager compilation, the on-disk cache.

numba's cache is keyed by the file that holds the kernel and knows nothing of what that file imports: after a change to
an inlined function, touch the files of the kernels that inline it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Timer
from typing import Any

import numba

# Neither "nnan" nor "ninf": clamps, written max(bound, x), must bring NaN and infinite coordinates inside the planes.
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz", "arcp"}, "error_model": "numpy"}

inlined: Callable[..., Any] = numba.njit(forceinline=True, **OPTIONS)
"""Decorator of a device function: it is inlined into every kernel that calls it."""

REPORT_AFTER = 2.0
"""Seconds of compiling after which the user is told what the delay is; loading from the cache takes less."""


def compiled(*signatures: Any) -> Callable[..., Any]:
    """Decorator of a kernel: compiles it at import, and runs it without the interpreter lock.

    Args:
        signatures: numba signatures, as strings or as objects; one machine-code version each.

    Returns:
        A decorator. Code comes from numba's on-disk cache where there is one.
    """

    def decorate(function: Callable[..., None]) -> Any:
        with _report_slow_compilation():
            try:
                return numba.njit(list(signatures), nogil=True, cache=True, **OPTIONS)(function)
            except RuntimeError:  # no folder to keep a cache in
                return numba.njit(list(signatures), nogil=True, **OPTIONS)(function)

    return decorate


@contextmanager
def _report_slow_compilation() -> Iterator[None]:
    timer = Timer(REPORT_AFTER, _report_compilation)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def _report_compilation() -> None:
    """Prints once, and only to a terminal, that kernels are being compiled."""
    if sys.stderr.isatty():
        print("compiling kernels for this CPU, once: some 20 seconds", file=sys.stderr)
