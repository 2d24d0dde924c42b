"""Threads for CPU work: bands of rows for compiled kernels, single-threaded torch for work that calls operators too."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Item = TypeVar("Item")

BAND = 16
"""Rows a thread takes at a time."""


def run_in_bands(rows: int, work: Callable[[int, int], object], band: int = BAND) -> None:
    """Calls `work(first, last)` for every band of rows first to last - 1, on as many threads as torch would use.

    Unlike numba's own thread pools, this allows calls from several threads at once, and forks.

    Args:
        rows: the number of rows; bands cover each of them once.
        work: a kernel that runs without the interpreter lock.
        band: rows of a band. With one thread, all rows are one band.
    """
    bands = [(first, min(first + band, rows)) for first in range(0, rows, band)]
    threads = min(torch.get_num_threads(), len(bands))
    if threads == 1:
        work(0, rows)
        return
    remaining = iter(bands)  # shared: taking the next band is atomic under the interpreter lock

    def run_remaining() -> None:
        for bounds in remaining:
            work(*bounds)

    helpers = [_pool().submit(run_remaining) for _ in range(threads - 1)]
    try:
        run_remaining()
    finally:
        # A helper that has not started, as another caller keeps the pool busy, is cancelled: no band is left for it.
        for helper in helpers:
            if not helper.cancel():
                helper.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads kept between calls: starting them would take longer than many calls do."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="bands")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def run_on_threads(items: Sequence[Item], work: Callable[[Item], object]) -> None:
    """Calls `work(item)` for every item, on as many threads as torch would use; torch uses one inside each.

    Threads that each run whole operators on their own do not synchronise after every operator.
    """
    usual = torch.get_num_threads()
    threads = min(usual, len(items))
    if threads <= 1:
        for item in items:
            work(item)
        return
    ready = Barrier(threads + 1)

    def use_one_thread() -> None:
        torch.get_num_threads()  # otherwise torch sets this thread's number at its first operation
        torch.set_num_threads(1)  # for this thread, and for all threads yet to start
        ready.wait()

    with ThreadPoolExecutor(threads, initializer=use_one_thread) as pool:
        running = [pool.submit(work, item) for item in items]
        ready.wait()
        torch.set_num_threads(usual)  # for threads yet to start, as before
        for one in running:
            one.result()
