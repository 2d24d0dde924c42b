"""Work on several threads: bands of rows for compiled kernels, whole parts for what calls torch as well."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Part = TypeVar("Part")

BAND = 16
"""Rows a thread takes at a time."""


def in_bands(rows: int, work: Callable[[int, int], object], band: int = BAND) -> None:
    """Calls `work(first, last + 1)` for each band of so many rows, on as many threads as torch would use.

    `work` must run without the interpreter lock. Unlike numba's own thread pools, this bears calls from several threads
    at once, and forks.
    """
    bands = [(first, min(first + band, rows)) for first in range(0, rows, band)]
    threads = min(torch.get_num_threads(), len(bands))
    if threads == 1:
        work(0, rows)
        return
    left = iter(bands)  # the next one is taken under the interpreter lock

    def work_off() -> None:
        for bounds in left:
            work(*bounds)

    helping = [_helpers().submit(work_off) for _ in range(threads - 1)]
    try:
        work_off()
    finally:
        # Helpers that another caller keeps busy are not waited for: there is nothing left for them to do.
        for helper in helping:
            if not helper.cancel():
                helper.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: to start some for each call takes longer than what many calls are about."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="bands")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


def in_parts(parts: Sequence[Part], work: Callable[[Part], object]) -> None:
    """Calls `work(part)` for each part, on as many threads as torch would use; inside, torch uses one.

    Threads that work each for themselves do not wait for one another after every operation.
    """
    usual = torch.get_num_threads()
    threads = min(usual, len(parts))
    if threads <= 1:
        for part in parts:
            work(part)
        return
    ready = Barrier(threads + 1)

    def prepare() -> None:
        torch.get_num_threads()  # or else torch would set this thread's number at its first operation
        torch.set_num_threads(1)  # of this thread, and of all that are yet to come
        ready.wait()

    with ThreadPoolExecutor(threads, initializer=prepare) as pool:
        working = [pool.submit(work, part) for part in parts]
        ready.wait()
        torch.set_num_threads(usual)  # of threads to come, as before
        for one in working:
            one.result()
