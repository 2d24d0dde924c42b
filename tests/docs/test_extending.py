"""The examples of docs/extending.md run as they are written."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from frame_writer import frame_writer
from random_views import render_in_double
from tiny_run import config_for
from tiny_sample import make_sample, stack

import mine
from mine.cli.main import main
from mine.data import registry
from mine.data.base.rng import BatchRng
from mine.data.sources import FolderSource
from mine.errors import InputError
from mine.model import Model
from mine.network import NETWORKS
from mine.network.architecture import Architecture, PartialArchitecture
from mine.network.checkpoint import make_network
from mine.output.camera_paths import PATHS
from mine.output.writers import ENCODERS
from mine.render import backends, prepare, render
from mine.scene.camera import intrinsics, pose
from mine.training.batches import training_sets
from mine.training.objectives import OBJECTIVES

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"
EXAMPLES = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
TINY = Architecture("tf_efficientnet_lite0", (4, 4, 4, 4, 4), decoder="disparity")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Runs an example as a module of its own; what it registers is forgotten after the test."""
    tables = [(PATHS, dict(PATHS)), (ENCODERS, dict(ENCODERS)), (NETWORKS, dict(NETWORKS))]
    tables += [(OBJECTIVES, dict(OBJECTIVES)), (registry.DATA_SETS, dict(registry.DATA_SETS))]
    monkeypatch.setattr(backends, "BACKENDS", backends.BACKENDS)

    def execute(name: str) -> ModuleType:
        module = ModuleType(f"extending_{name}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(EXAMPLES[name], str(DOCUMENT), "exec"), module.__dict__)
        return module

    yield execute
    for table, before in tables:
        table.clear()
        table.update(before)


def test_every_example_is_tested() -> None:
    assert set(EXAMPLES) == {"path", "format", "dataset", "network", "loss", "backend"}


def test_a_camera_path_is_an_option_of_the_command_line(
    run: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("path")
    poses = mine.paths.PATHS["rise"](frames=3, amount=2.0, depth=5.0)
    torch.testing.assert_close(poses[:, 1, 3], torch.tensor([0.0, 0.5, 1.0]))
    output = tmp_path / "rise.gif"
    photo = str(DOCUMENT.parents[1] / "data" / "samples" / "coffee.jpg")
    options = ["--path", "rise", "--frames", "2", "--size", "96", "--no-depth"]
    monkeypatch.setattr(sys, "argv", ["mine", "render", photo, "-o", str(output), *options])
    main()
    assert output.stat().st_size > 0


def test_a_format_is_written(run: Callable[[str], ModuleType], tmp_path: Path) -> None:
    run("format")
    with frame_writer(tmp_path / "clip.avi", (32, 48)) as write:
        for level in (0, 128, 255):
            write(torch.full((32, 48, 3), level, dtype=torch.uint8).numpy())
    assert (tmp_path / "clip.avi").read_bytes()[:4] == b"RIFF", "the signature of AVI files"


def test_a_data_set_is_opened_by_its_kind(run: Callable[[str], ModuleType]) -> None:
    run("dataset")
    samples = registry.training_set(FolderSource(kind="walls", root="unused"), (64, 96))
    sample = samples[3]
    planes = torch.cat([sample.source[None, None].expand(1, 2, 3, 64, 96), torch.ones(1, 2, 1, 64, 96)], dim=2)
    planes[:, 0, 3] = 0
    disparity = torch.tensor([[1.0, 0.5]])
    view = render(planes, disparity, sample.K_src[None], sample.K_tgt[None], sample.T_tgt_src[None], (64, 96))
    inside = (slice(None), slice(1, -1), slice(1, -5))
    torch.testing.assert_close(view.rgb[0][inside], sample.target[inside], atol=2e-3, rtol=0)


def test_a_network_predicts_a_scene(run: Callable[[str], ModuleType]) -> None:
    run("network")
    network = make_network(Architecture("tf_efficientnet_lite0", decoder="wall"))
    photo = torch.rand(3, 128, 256)
    scene = Model(network).predict(photo, planes=4, size=(128, 256))
    assert scene.disparity.tolist() == pytest.approx([1.0, 0.7, 0.4, 0.1])
    view = scene.render(torch.eye(4))
    torch.testing.assert_close(view.rgb[0], photo, atol=2e-3, rtol=0)


def test_a_network_without_losses_is_not_trained(run: Callable[[str], ModuleType], tmp_path: Path) -> None:
    run("network")
    config = config_for(tmp_path, architecture=PartialArchitecture(encoder=TINY.encoder, decoder="wall"))
    with pytest.raises(InputError, match="networks of the kind wall have no losses: add them to OBJECTIVES"):
        training_sets(config)


@pytest.mark.parametrize("members", [1, 2])
def test_a_loss_is_part_of_the_total(run: Callable[[str], ModuleType], tmp_path: Path, members: int) -> None:
    architecture = replace(TINY, members=members)
    network, config = make_network(architecture), config_for(tmp_path, architecture=architecture, size=(64, 96))
    batch = stack(make_sample((64, 96)))
    before = OBJECTIVES["disparity"].losses(network, batch, config, BatchRng.seeded(0, 1))
    run("loss")
    found = OBJECTIVES["disparity"].losses(network, batch, config, BatchRng.seeded(0, 1))
    expected = 1e-5 * sum(float(weights.detach().square().sum()) for weights in network.decoder.parameters())
    assert found["weights"].item() == pytest.approx(expected)
    assert (found["total"] - before["total"]).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("photo", [(), ("detail",), ("detail", "reach"), (None, "reach")], ids=str)
def test_a_backend_renders_the_calls_that_it_supports(
    run: Callable[[str], ModuleType], photo: tuple[str | None, ...]
) -> None:
    planes, disparity = torch.rand(1, 3, 4, 16, 24), torch.linspace(1, 0.2, 3)[None]
    K, T = intrinsics((16, 24))[None], pose(translation=torch.tensor([0.05, 0.0, 0.0]))[None]
    images = {"detail": 0.1 * torch.randn(1, 3, 32, 48), "reach": torch.rand(1, 1, 16, 24)}
    detail, reach = (images.get(name or "") for name in (*photo, None, None)[:2])
    expected = render_in_double(planes, disparity, K, K, T, (16, 24), detail, reach)
    run("backend")
    found = prepare(planes, disparity, K, detail, reach).render(K, T, (16, 24))
    assert torch.equal(found.rgb, expected.rgb.float()), (
        "to the last bit: no other backend computes in double precision"
    )
