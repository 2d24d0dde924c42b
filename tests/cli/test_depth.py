"""Depth that comes with a photo, beside a checkpoint: learned planes take it, other networks predict their own."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from raw_photo import write_dng
from safetensors.numpy import save_file

import mine
from mine.cli.main import main
from mine.inputs.kinds import FORMATS
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


def predict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs `mine predict` with the depth map and the checkpoint own.safetensors."""
    words = "mine predict photo.png --depth-map depth.npy --depth-kind depth --checkpoint own.safetensors -o scene.mpi"
    monkeypatch.setattr(sys, "argv", words.split())
    main()


def test_learned_planes_take_a_depth_map(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(make_network(LAYERS), "own.safetensors")
    predict(monkeypatch)
    scene = mine.MPI.open(folder / "scene.mpi")
    assert scene.surface is not None
    height, width = scene.surface.shape[-2:]
    surface = scene.surface.reshape(height, width)
    assert float(surface[height // 2, width // 2] / surface[2, 2]) == pytest.approx(4, rel=0.05)


def write_raw() -> Path:
    """A raw photo that was taken upright."""
    colours = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    return write_dng(Path("photo.dng"), np.ascontiguousarray(np.rot90(colours)), None, orientation=6)


def write_turned_by_exif() -> Path:
    """A HEIC that EXIF alone turns upright."""
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    buffer = io.BytesIO()
    Image.effect_noise((96, 64), 50).convert("RGB").save(buffer, "HEIF", exif=exif)
    Path("photo.HIF").write_bytes(buffer.getvalue().replace(b"irot", b"free").replace(b"miaf", b"heic"))
    return Path("photo.HIF")


@pytest.mark.parametrize("write", [write_raw, write_turned_by_exif])
def test_a_depth_map_has_the_shape_of_the_upright_photo(
    write: Callable[[], Path],
    folder: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo, model = write(), mine.load(tiny_checkpoint)
    monkeypatch.setattr("mine.model.load", lambda checkpoint: model)
    np.save("upright.npy", np.load("depth.npy").T)
    monkeypatch.setattr(sys, "argv", f"mine predict {photo} --depth-map upright.npy --planes 2".split())
    main()
    assert mine.MPI.open("scene.mpi").size == (96, 64)
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", f"mine predict {photo} --depth-map depth.npy".split())
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr().err
    assert "has 96x64 pixels and the photo 64x96, of another shape: turn it like the photo" in told


def write_nested() -> None:
    """A checkpoint whose architecture nests deeper than Python's JSON reader goes."""
    metadata = {"format": FORMATS["checkpoint"], "architecture": "[" * 100_000}
    save_file({"weight": np.zeros(1, np.float32)}, "own.safetensors", metadata)


@pytest.mark.parametrize("write", [lambda: save_network(make_network(DISPARITY), "own.safetensors"), write_nested])
def test_other_checkpoints_do_not(
    write: Callable[[], None], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    with pytest.raises(SystemExit) as stopped:
        predict(monkeypatch)
    assert stopped.value.code == 2 and "leave out one of the two" in capsys.readouterr().err
    assert not (folder / "scene.mpi").exists()
