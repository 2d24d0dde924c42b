"""What compiled kernels share: how they are compiled, and an exponential that becomes vector instructions.

numba keeps compiled code by the file of the kernel alone: after a change here, touch the files of the kernels.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba gives them the types of their callers.

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Timer
from typing import Any

import numba
import numpy as np
from numba import float32

# Neither "nnan" nor "ninf": clamps, written max(bound, x), bring even what is not a number inside the planes.
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz", "arcp"}, "error_model": "numpy"}
inlined: Callable[..., Any] = numba.njit(forceinline=True, **OPTIONS)

PATIENCE = 2.0
"""Seconds of compiling after which one is told why nothing happens; what comes from the cache takes less."""


def compiled(*signatures: str) -> Callable[..., Any]:
    """Compiles a function for `signatures`, without the interpreter lock, from the on-disk cache where there is one."""

    def decorate(function: Callable[..., None]) -> Any:
        with _told_if_slow():
            try:
                return numba.njit(list(signatures), nogil=True, cache=True, **OPTIONS)(function)
            except RuntimeError:  # nowhere to keep a cache
                return numba.njit(list(signatures), nogil=True, **OPTIONS)(function)

    return decorate


@contextmanager
def _told_if_slow() -> Iterator[None]:
    timer = Timer(PATIENCE, _tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def _tell() -> None:
    """Says once, where somebody looks on, that code is being compiled."""
    if sys.stderr.isatty():
        print("compiling for this processor, once: some 20 seconds", file=sys.stderr)


@inlined
def exp_minus(x):
    """exp(-x), x ≥ 0, to 2e-7, relative; unlike the library's, it becomes vector instructions."""
    y = max(x * float32(-1.4426950408889634), float32(-126))
    whole = np.floor(y + float32(0.5))
    f = (y - whole) * float32(0.6931471805599453)
    p = float32(1 / 720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        p = p * f + float32(coefficient)
    return p * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
