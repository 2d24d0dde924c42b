"""Depth that comes with a photo, beside a checkpoint: learned planes take it, other networks predict their own."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mine
from mine.cli.main import main
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network

WIDTHS = (4, 4, 5, 6, 7)
LAYERS = Architecture("mobilenetv3_small_050", WIDTHS, decoder="layers", background=WIDTHS, opacity=4)
DISPARITY = Architecture("mobilenetv3_small_050", WIDTHS, decoder="disparity")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo, and a depth map of it: a square before a wall."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)).save("photo.png")
    depth = np.full((64, 96), 4, np.float32)
    depth[20:44, 30:66] = 1
    np.save("depth.npy", depth)
    return tmp_path


def predict(architecture: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs `mine predict` with the depth map and a checkpoint of an architecture."""
    save_network(make_network(architecture), "own.safetensors")
    words = "mine predict photo.png --depth-map depth.npy --depth-kind depth --checkpoint own.safetensors -o scene.mpi"
    monkeypatch.setattr(sys, "argv", words.split())
    main()


def test_learned_planes_take_a_depth_map(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict(LAYERS, monkeypatch)
    scene = mine.MPI.open(folder / "scene.mpi")
    assert scene.surface is not None
    height, width = scene.surface.shape[-2:]
    surface = scene.surface.reshape(height, width)
    assert float(surface[height // 2, width // 2] / surface[2, 2]) == pytest.approx(4, rel=0.05)


def test_a_network_that_predicts_depth_alone_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict(DISPARITY, monkeypatch)
    assert stopped.value.code == 2 and "leave out one of the two" in capsys.readouterr().err
    assert not (folder / "scene.mpi").exists()
