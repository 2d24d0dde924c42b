"""Work on several threads: each item runs once, and torch's number of threads is as before."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, get_ident

import pytest
import torch

from mine.kernels.threads import run_in_bands, run_on_threads


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Torch's number of threads."""
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


def test_every_item_runs_once_and_torch_uses_one_thread_inside(threads: int) -> None:
    lock, done, inside = Lock(), [], {}

    def work(part: int) -> None:
        with lock:
            done.append(part)
            inside[get_ident()] = torch.get_num_threads()

    run_on_threads(range(7), work)
    assert sorted(done) == list(range(7))
    assert len(inside) <= threads
    assert set(inside.values()) == {1}
    assert torch.get_num_threads() == threads


def test_errors_are_raised_and_leave_the_number_of_threads(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        run_on_threads(range(3), lambda part: 1 / (part - 1))
    assert torch.get_num_threads() == threads


def test_no_items_are_no_work(threads: int) -> None:
    run_on_threads([], lambda part: pytest.fail("there is none"))


def rows_worked_on(rows: int, band: int) -> list[int]:
    lock, done = Lock(), []

    def work(first: int, last: int) -> None:
        with lock:
            done.extend(range(first, last))

    run_in_bands(rows, work, band)
    return sorted(done)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_every_row_is_worked_on_once(threads: int, rows: int) -> None:
    assert rows_worked_on(rows, 3) == list(range(rows))


def test_errors_are_raised_from_bands(threads: int) -> None:
    for bad in range(4):
        with pytest.raises(ZeroDivisionError):
            run_in_bands(4, lambda first, last, bad=bad: [1 / (row - bad) for row in range(first, last)], 1)
    assert rows_worked_on(9, 2) == list(range(9))


def test_several_callers_work_at_once(threads: int) -> None:
    with ThreadPoolExecutor(8) as callers:
        for done in callers.map(lambda _: rows_worked_on(50, 3), range(40), timeout=60):
            assert done == list(range(50))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_bands_are_worked_on_after_a_fork(threads: int) -> None:
    assert rows_worked_on(9, 2) == list(range(9))
    child = os.fork()
    if child == 0:
        os._exit(0 if rows_worked_on(9, 2) == list(range(9)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
