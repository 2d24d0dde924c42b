"""Worker processes: a job can be ended whatever it does, and what dies is replaced."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mine import InputError
from mine.demo.jobs import Control, JobRunner
from mine.demo.making import SceneSettings
from mine.demo.worker import Processes, _Process


@pytest.fixture(scope="module")
def pool(tiny_checkpoint: Path) -> Iterator[Processes]:
    """One process with a small model."""
    pool = Processes(tiny_checkpoint)
    yield pool
    pool.close()


def control(report: Any = lambda fraction, text: None, seconds: float = 60.0) -> Control:
    return Control(report, seconds, 1.0)


def free_process(pool: Processes) -> _Process:
    """The only one."""
    process = pool._free.get(timeout=60)
    pool._free.put(process)
    return process


class Unpickled:
    """A job's argument: the process calls a function with a number when it receives it, and listens to nobody."""

    def __init__(self, function: Callable[[int], Any], number: int) -> None:
        self.call = function, number

    def __reduce__(self) -> tuple[Callable[[int], Any], tuple[int]]:
        return self.call[0], (self.call[1],)


def refuse(pool: Processes, folder: Path) -> None:
    """A job that a process which is well refuses at once."""
    (folder / "notes.jpg").write_text("no photo")
    JobRunner(pool, folder).scene("a", folder / "notes.jpg", SceneSettings(4, "Draft"), lambda fraction, text: None)


def test_a_scene_is_made_in_another_process_and_mistakes_come_back(pool: Processes, tmp_path: Path) -> None:
    from demo_server import make_photo

    jobs, steps = JobRunner(pool, tmp_path), []
    photo = make_photo(tmp_path / "photo.png")
    files = jobs.scene("a", photo, SceneSettings(4, "Draft"), lambda fraction, text: steps.append((fraction, text)))
    assert all(file.is_file() for file in files.all())
    assert [fraction for fraction, _ in steps] == sorted(fraction for fraction, _ in steps)
    assert steps[0][1].startswith(("Reading", "Waiting"))
    with pytest.raises(InputError, match="not an image"):
        refuse(pool, tmp_path)


def test_a_job_that_does_not_listen_is_ended_with_its_process(pool: Processes) -> None:
    before = free_process(pool).number
    stopped = control()
    threading.Timer(0.5, stopped.stopped.set).start()
    start = time.monotonic()
    with pytest.raises(InputError, match="stopped"):
        pool.run("stereo", (Unpickled(time.sleep, 60),), stopped)
    assert time.monotonic() - start < 30
    assert free_process(pool).number != before


def test_a_job_that_takes_too_much_memory_is_ended(pool: Processes) -> None:
    pool.memory, kept = 1, pool.memory
    try:
        with pytest.raises(InputError, match="of memory"):
            pool.run("stereo", (Unpickled(time.sleep, 60),), control())
    finally:
        pool.memory = kept


def test_a_process_that_dies_is_replaced(pool: Processes, tmp_path: Path) -> None:
    before = free_process(pool).number
    with pytest.raises(InputError, match="ended early"):
        pool.run("stereo", (Unpickled(os._exit, 1),), control())
    assert free_process(pool).number != before
    free_process(pool)._process.kill()
    free_process(pool)._process.join()
    with pytest.raises(InputError, match="not an image"):  # by a third process
        refuse(pool, tmp_path)


def test_a_process_that_dies_while_it_is_told_to_stop_is_replaced(pool: Processes, tmp_path: Path) -> None:
    process = free_process(pool)
    stopped = control()

    def die() -> None:
        stopped.stopped.set()
        time.sleep(0.5)  # the pool now waits for an answer
        process._process.kill()

    threading.Timer(0.5, die).start()
    with pytest.raises(InputError, match="stopped"):
        pool.run("stereo", (Unpickled(time.sleep, 60),), stopped)
    assert free_process(pool) is not process


def test_a_checkpoint_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.safetensors").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.safetensors"):
        Processes(tmp_path / "notes.safetensors")
