"""A running demo for tests: on a free port, in a temporary folder of its own, with a small model in this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ports import free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mine.demo.app import private_folder, serve
from mine.demo.jobs import JobRunner


@contextmanager
def running_demo(workers: Any, **options: Any) -> Iterator[tuple[str, JobRunner]]:
    """Address and job runner of a demo that runs as long as the context."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")  # put back afterwards
        patch.setenv("GRADIO_EXAMPLES_CACHE", "")
        patch.setattr("mine.demo.jobs.AWAY_SECONDS", 1.0)  # so that no test waits long for visitors to be forgotten
        patch.setattr("mine.demo.app.SWEEP_SECONDS", 0.2)
        patch.setenv("GRADIO_HEARTBEAT_INTERVAL", "0.5")
        jobs = JobRunner(workers, private_folder())
        page = serve(jobs, port=free_port(), **options)
        yield page.local_url, jobs
        page.close()


def echo(status: int = 200) -> Starlette:
    """An application that answers everything."""

    async def answer(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("fine", status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def make_photo(path: Path, colour: tuple[int, int, int] = (200, 80, 40), size: tuple[int, int] = (64, 48)) -> Path:
    """Writes a photo of one colour with a little texture."""
    noise = np.random.default_rng(0).integers(0, 30, (size[1], size[0], 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def files_left(root: Path, pattern: str) -> list[Path] | None:
    """Files by pattern, or None while folders vanish as they are listed."""
    try:
        return list(root.glob(pattern))
    except FileNotFoundError:
        return None


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether `condition` comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
