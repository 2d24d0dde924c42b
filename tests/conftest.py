"""Fixtures that several files use."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from mine.network.checkpoint import save_network
from mine.network.network import Architecture, Network

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network that was never trained: everything but the pictures is as in a real one."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_network(Network(Architecture(encoder="resnet18", widths=(4, 4, 8, 8, 8), bottleneck=(8, 8))), path)
    return path
