"""Worker processes: a job can be ended whatever it does, and what dies is replaced."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mine import InputError
from mine.demo import making
from mine.demo.jobs import Control, JobRunner, SceneSettings
from mine.demo.worker import Processes


@pytest.fixture(scope="module")
def pool(tiny_checkpoint: Path) -> Iterator[Processes]:
    """One process with a small model."""
    pool = Processes(tiny_checkpoint)
    yield pool
    pool.close()


def control(report: Any = lambda fraction, text: None, seconds: float = 60.0) -> Control:
    return Control(report, seconds, 1.0)


def process_of(pool: Processes) -> int:
    """The number of the free process."""
    process = pool._free.get(timeout=60)
    pool._free.put(process)
    return process.number


def test_a_scene_is_made_in_another_process_and_mistakes_come_back(pool: Processes, tmp_path: Path) -> None:
    from demo_server import make_photo

    jobs, steps = JobRunner(pool, tmp_path), []
    photo = make_photo(tmp_path / "photo.png")
    files = jobs.scene("a", photo, SceneSettings(4, "Draft"), lambda fraction, text: steps.append((fraction, text)))
    assert all(file.is_file() for file in files.all())
    assert [fraction for fraction, _ in steps] == sorted(fraction for fraction, _ in steps)
    assert steps[0][1].startswith(("Reading", "Waiting"))
    (tmp_path / "notes.jpg").write_text("no photo")
    with pytest.raises(InputError, match="not an image"):
        jobs.scene("a", tmp_path / "notes.jpg", SceneSettings(4, "Draft"), lambda fraction, text: None)


def test_a_job_that_does_not_listen_is_ended_with_its_process(pool: Processes) -> None:
    before = process_of(pool)
    stopped = control()
    threading.Timer(0.5, stopped.stopped.set).start()
    start = time.monotonic()
    with pytest.raises(InputError, match="stopped"):
        pool.run("sleep", (60,), stopped)
    assert time.monotonic() - start < 30
    assert process_of(pool) != before


def test_a_job_that_takes_too_much_memory_is_ended(pool: Processes) -> None:
    pool.memory, kept = 1, pool.memory
    try:
        with pytest.raises(InputError, match="of memory"):
            pool.run("sleep", (60,), control())
    finally:
        pool.memory = kept


def test_a_process_that_dies_is_replaced(pool: Processes) -> None:
    before = process_of(pool)
    with pytest.raises(InputError, match="ended early"):
        pool.run("sleep", ("not a number",), control())
    pool.run("warm_up", (), control())
    assert process_of(pool) != before


def test_a_checkpoint_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.safetensors").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.safetensors"):
        Processes(tmp_path / "notes.safetensors")


def test_every_job_is_known_to_the_processes() -> None:
    assert {"scene", "motions", "video", "stereo", "export", "warm_up"} <= set(making.MAKERS)
