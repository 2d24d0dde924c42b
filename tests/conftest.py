"""Fixtures that several folders use."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import running_browser
from hypothesis import settings

from mine.network.architecture import Architecture
from mine.network.checkpoint import save_network
from mine.network.planes.network import PlaneNetwork

# No deadline: the time of an example depends on the machine. Derandomized: each run tests the same examples.
settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Temporary files of the tests, and of the programs that they start, lie in pytest's folder, which it removes."""
    folder = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


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
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders keep their random weights, so that no ImageNet weights are downloaded."""
    from mine.network.encoders.timm_encoder import TimmEncoder

    monkeypatch.setattr(TimmEncoder, "load_imagenet", lambda self: None)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch, no_download: None) -> Callable[..., Any]:
    """Makes a `tiny_run.Feed` the training data; called with `change`, it returns the data set."""
    from tiny_run import Feed

    from mine.training import batches

    def use(*change: Any) -> Feed:
        dataset = Feed(*change)
        monkeypatch.setattr(batches, "training_sets", lambda config: [(dataset, 1.0)])
        return dataset

    return use
