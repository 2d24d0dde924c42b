"""Fixtures that several folders use."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import running_browser
from hypothesis import settings

from mine.network.architecture import Architecture
from mine.network.checkpoint import save_network
from mine.network.planes.network import PlaneNetwork
from mine.render import use_backend

# No deadline: the time of an example depends on the machine. Derandomized: each run tests the same examples.
settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")

SLOW_FILES = (
    "demo/test_page.py",
    "training/test_train.py",
    "demo/test_demo.py",
    "cli/test_ending.py",
    "demo/test_page_access.py",
    "training/test_distributed.py",
    "demo/test_worker.py",
    "training/test_resume.py",
    "viewer/test_viewer.py",
    "training/test_ends.py",
    "viewer/test_embedding.py",
    "cli/test_memory.py",
    "demo/test_nginx.py",
    "docs/test_commands.py",
    "demo/test_page_states.py",
    "demo/test_page_trouble.py",
    "demo/test_security.py",
)
"""Files that take half a minute or so, in the order they are run: one that began last would leave a worker idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts tests of `SLOW_FILES` first; those with a browser and those without alternate, one for each worker."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(SLOW_FILES)}
    assert not [str(path) for path in places if not path.is_file()], "SLOW_FILES names files that are no more"
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Temporary files of the tests, and of the programs that they start, lie in pytest's folder, which it removes."""
    folder = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def hangups_end_programs() -> Iterator[None]:
    """SIGHUP has its default action, which the programs that tests start inherit: nohup would have it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small, untrained plane network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_network(PlaneNetwork(Architecture(encoder="resnet18", widths=(4, 4, 8, 8, 8), bottleneck=(8, 8))), path)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium with WebGL; tests are skipped where it is missing."""
    with running_browser() as running:
        yield running


@pytest.fixture
def reference_renderer() -> Iterator[None]:
    """Scenes are rendered by the reference, for tests that are not about kernels: tests/render compares those."""
    with use_backend("reference"):
        yield


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders keep their random weights, so that no ImageNet weights are downloaded."""
    from mine.network.encoders.timm_encoder import TimmEncoder

    monkeypatch.setattr(TimmEncoder, "load_imagenet", lambda self: None)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`tiny_run.use_feed` for one test: called with `change`, it returns the data set."""
    from tiny_run import use_feed

    return partial(use_feed, monkeypatch)
