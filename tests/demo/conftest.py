"""A demo that runs in this process, one for each file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_server import running_demo

from mine.demo.jobs import JobRunner
from mine.model import load


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path) -> Iterator[tuple[str, JobRunner]]:
    """Its address and its jobs."""
    with running_demo(load(tiny_checkpoint, device="cpu")) as running:
        yield running
