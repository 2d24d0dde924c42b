"""Compiled kernels on several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

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
    # A pool per call costs little beside a view, and leaves nothing behind that a fork could break.
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda bounds: work(*bounds), bands))
