"""Too much, under a limit on memory (RLIMIT_AS): refused before it is allocated, and in one line where it is not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_lines import OUTCOME
from safetensors.torch import save

import mine

resource = pytest.importorskip("resource", reason="there are no such limits on this system")

LIMITED = f"""{OUTCOME}
import resource
import mine.cli.scenes, mine.model, mine.render.cpu.render  # what a limit must leave room for
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]), used + int(sys.argv[1])))
for line in json.loads(sys.argv[2]):
    print(json.dumps(outcome(line)))
"""
"""Runs many command lines in one process with as many bytes beside its modules as its first argument says."""

REFUSED = {
    ("predict", "photo.png", "-o", "out.mpi", "--planes", "100000000"): "planes",
    ("render", "scene.mpi", "-o", "out.mp4", "--frames", "1000000000"): "frames",
    ("render", "scene.mpi", "-o", "out.mp4", "--size", "1000000"): "size",
    ("render", "sparse.mpi", "-o", "out.mp4"): "sparse.mpi",
    ("predict", "photo.png", "-o", "out.mpi", "--depth-map", "depth.npy"): "depth.npy",
}

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory in use from /proc")


def run(folder: Path, megabytes: int, *lines: tuple[str, ...]) -> list[tuple[int, str]]:
    """Exit status and error of each command line."""
    command = [sys.executable, "-c", LIMITED, str(megabytes << 20), json.dumps(lines)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def sparse_scene(path: Path) -> Path:
    """A scene whose header promises 16 GB of planes, in a file without content."""
    header = save({"rgb": torch.zeros(1)}, {"format": "mine-mpi-2"})[8:]
    entries = json.loads(header[: header.rindex(b"}") + 1])
    entries["rgb"] = {"dtype": "F32", "shape": [1 << 10, 3, 1 << 10, 1 << 10], "data_offsets": [0, 12 << 30]}
    entries["sigma"] = {"dtype": "F32", "shape": [1 << 10, 1, 1 << 10, 1 << 10], "data_offsets": [12 << 30, 16 << 30]}
    text = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + (16 << 30))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small photo, a scene, and files that promise gigabytes."""
    folder = tmp_path_factory.mktemp("large")
    values = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    from PIL import Image

    Image.fromarray(values).save(folder / "photo.png")
    rgb, sigma = torch.rand(2, 3, 48, 64), torch.ones(2, 1, 48, 64)
    mine.MPI(rgb, sigma, torch.tensor([1.0, 0.2]), torch.tensor([[60, 0, 32], [0, 60, 24], [0, 0, 1.0]])).save(
        folder / "scene.mpi"
    )
    sparse_scene(folder / "sparse.mpi")
    np.lib.format.open_memmap(folder / "depth.npy", "w+", np.float32, (1 << 16, 1 << 16)).flush()
    return folder


def test_too_much_is_refused_with_half_a_gigabyte_of_memory(folder: Path) -> None:
    for (line, told), (status, error) in zip(REFUSED.items(), run(folder, 512, *REFUSED), strict=True):
        assert status == 2 and error.count("\n") == 1 and told in error, (line, error)
        assert "not enough memory" not in error, (line, "it was allocated")
    assert not (folder / "out.mpi").exists() and not (folder / "out.mp4").exists()


def test_what_is_possible_but_does_not_fit_ends_in_one_line_and_leaves_nothing(folder: Path) -> None:
    ((status, error),) = run(folder, 600, ("predict", "photo.png", "-o", "out.mpi", "--planes", "600"))
    assert status == 2, error
    assert error.splitlines()[-1].startswith("mine: not enough memory: ask for fewer planes")
    assert "Traceback" not in error
    assert {path.name for path in folder.iterdir()} == {"photo.png", "scene.mpi", "sparse.mpi", "depth.npy"}
