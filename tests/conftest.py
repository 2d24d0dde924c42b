"""Fixtures that several files use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from mine.network.architecture import Architecture
from mine.network.checkpoint import save_network
from mine.network.planes.network import PlaneNetwork

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network that was never trained: everything but the pictures is as in a real one."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_network(PlaneNetwork(Architecture(encoder="resnet18", widths=(4, 4, 8, 8, 8), bottleneck=(8, 8))), path)
    return path


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders start from random weights."""
    from mine.network.encoders.timm_encoder import TimmEncoder

    monkeypatch.setattr(TimmEncoder, "load_imagenet", lambda self: None)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch, no_download: None) -> Callable[..., Any]:
    """Makes a `tiny_run.Feed` the data of the runs that follow."""
    from tiny_run import Feed

    from mine.training import batches

    def use(*change: Any) -> Feed:
        dataset = Feed(*change)
        monkeypatch.setattr(batches, "training_sets", lambda config: [(dataset, 1.0)])
        return dataset

    return use
