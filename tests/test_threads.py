"""Work on several threads: all of it is done once, and nothing is left changed."""

from collections.abc import Iterator
from threading import Lock, get_ident

import pytest
import torch

from mine.threads import in_parts


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """That torch uses."""
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


def test_every_part_is_done_once_and_threads_do_not_share_out_theirs(threads: int) -> None:
    lock, done, inside = Lock(), [], {}

    def work(part: int) -> None:
        with lock:
            done.append(part)
            inside[get_ident()] = torch.get_num_threads()

    in_parts(range(7), work)
    assert sorted(done) == list(range(7))
    assert len(inside) <= threads
    assert set(inside.values()) == {1}
    assert torch.get_num_threads() == threads


def test_errors_come_out_and_leave_the_number_of_threads(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        in_parts(range(3), lambda part: 1 / (part - 1))
    assert torch.get_num_threads() == threads


def test_no_parts_are_no_work(threads: int) -> None:
    in_parts([], lambda part: pytest.fail("there is none"))
