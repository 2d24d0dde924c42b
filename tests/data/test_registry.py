"""Data sets by their names in configurations."""

from dataclasses import dataclass, fields
from inspect import Parameter, signature
from pathlib import Path

import numpy as np
import pytest
import torch
from depth_photo_folder import write_photo
from kitti_folder import DRIVES, write_drive
from PIL import Image
from tiny_sample import stack

from mine.config import EvalConfig, TrainConfig, load_config
from mine.data.base.rgbd_layout import write_photograph
from mine.data.base.rng import Stream, step_seed
from mine.data.datasets.depth_photos import DepthPhotos
from mine.data.datasets.kitti import Kitti
from mine.data.registry import DATA_SETS, DataSetKind, training_set
from mine.data.sources import FolderSource, Source, SyntheticSource
from mine.errors import InputError
from mine.evaluation.protocol import evaluate_config, held_out_pairs
from mine.model import Model
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network
from mine.network.planes.network import PlaneNetwork, stratified_disparity
from mine.training.batches import Batches, open_sources, training_sets
from mine.training.plane_losses import plane_losses

TINY = Architecture(encoder="resnet18", widths=(4, 4, 8, 8, 8), bottleneck=(8, 8))
SIZE = (128, 384)
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def kitti(tmp_path: Path) -> str:
    write_drive(tmp_path / "kitti", DRIVES[0])
    return str(tmp_path / "kitti")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_configurations_can_be_read(path: Path) -> None:
    config = load_config(path, kind=EvalConfig if path.stem.startswith("eval-") else TrainConfig)
    sources = config.data if isinstance(config, TrainConfig) else [config.data]
    assert sources and all(type(source) is DATA_SETS[source.kind].options for source in sources)


def kitti_source(root: str | Path, kind: str = "kitti") -> FolderSource:
    return FolderSource(kind=kind, root=str(root))


def test_names_open_their_data_sets(tmp_path: Path, kitti: str) -> None:
    write_photo(tmp_path / "photos", "a")
    found = training_set(kitti_source(kitti), SIZE)
    assert isinstance(found, Kitti) and found.training and found.size == SIZE
    found = training_set(FolderSource(kind="depth-photos", root=str(tmp_path / "photos")), SIZE, seed=3)
    assert isinstance(found, DepthPhotos) and found.seed == 3


def test_samples_without_points_train(kitti: str) -> None:
    config = TrainConfig("out", data=(kitti_source(kitti),), size=SIZE, finest=2, planes=2)
    [(dataset, share)] = training_sets(config)
    assert share == 1
    torch.manual_seed(0)
    found = plane_losses(PlaneNetwork(TINY), stack(dataset[0], dataset[1]), stratified_disparity(2, 2), config)
    assert torch.isfinite(found["total"]) and found["sparse_source"] == 0 and found["photometric"] > 0
    found["total"].backward()


def test_what_does_not_go_together_is_told(tmp_path: Path, kitti: str) -> None:
    pairs, scenes = kitti_source(kitti), SyntheticSource(kind="synthetic", count=2)
    disparity = Architecture(encoder="resnet18", decoder="disparity")
    write_photo(tmp_path / "photos", "a")
    photos = FolderSource(kind="depth-photos", root=str(tmp_path / "photos"))
    for config, told in (
        (TrainConfig("out", data=(kitti_source(kitti, "kity"),)), "did you mean kitti. Choose colmap, depth-photos"),
        (TrainConfig("out", data=(pairs, scenes)), "kitti have no points: .* without sources that have points"),
        (TrainConfig("out", data=(pairs,), architecture=disparity), "train a plane network"),
        (TrainConfig("out", data=(pairs,), targets=2), "targets is 2, but kitti has one"),
        (TrainConfig("out", data=(photos,), targets=2), "but depth-photos has one"),
        (TrainConfig("out", data=(scenes,), targets=2), "but synthetic has one"),
        (TrainConfig("out", data=(kitti_source(tmp_path, "ibims"),)), "ibims is for evaluation alone"),
    ):
        with pytest.raises(InputError, match=told):
            training_sets(config)
    with pytest.raises(InputError, match="no training data"):
        open_sources(TrainConfig("out"))
    with pytest.raises(InputError, match="no second views"):
        evaluate_config(Model(PlaneNetwork(TINY)), EvalConfig(kitti_source(tmp_path, "depth-photos")))
    with pytest.raises(InputError, match="synthetic has no pairs of real images"):
        held_out_pairs(EvalConfig(scenes))


@pytest.mark.parametrize("shipped", [True, False])
def test_the_network_that_a_run_starts_from_says_what_it_takes(
    tmp_path: Path, kitti: str, monkeypatch: pytest.MonkeyPatch, shipped: bool
) -> None:
    file = tmp_path / "start.safetensors"
    save_network(make_network(Architecture("mobilenetv3_small_050", (4, 4, 4, 4, 4), decoder="disparity")), file)
    monkeypatch.setattr("mine.model.shipped_checkpoint", lambda: file)
    (tmp_path / "a.yaml").write_text(f"output: out\nstart: {'shipped' if shipped else file}")
    scenes = "data=[{kind: synthetic, count: 2}]"
    (tmp_path / "rgbd").mkdir()
    write_photograph(tmp_path / "rgbd" / "a", Image.new("RGB", (96, 64)), np.ones((64, 96)))
    (tmp_path / "rgbd" / "frames.jsonl").write_text('{"name": "a"}')
    for taken in (["size=[96, 160]", scenes], [f"data=[{{kind: rgbd, root: {tmp_path / 'rgbd'}}}]"]):
        assert len(open_sources(load_config(tmp_path / "a.yaml", taken))) == 1
    for refused, told in (
        ([f"data=[{{kind: kitti, root: {kitti}}}]"], "kitti have no points: train a plane network"),
        (["targets=2", scenes], "targets, fine_planes and finest are for plane networks"),
        (["fine_planes=4", scenes], "targets, fine_planes and finest are for plane networks"),
        (["size=[90, 160]", scenes], "multiples of 32"),
    ):
        with pytest.raises(InputError, match=told):
            open_sources(load_config(tmp_path / "a.yaml", refused))


def test_checkpoints_of_plane_and_layered_networks_keep_their_limits(tmp_path: Path, kitti: str) -> None:
    widths = (4, 4, 4, 4, 4)
    for decoder, overrides, told in (
        ("planes", ["size=[96, 160]"], "multiples of 128"),
        ("layers", ["precision=bf16"], "layered networks are trained in fp32"),
        ("layers", [f"data=[{{kind: kitti, root: {kitti}}}]"], "kitti have no points: train a plane network"),
    ):
        start = Architecture("mobilenetv3_small_050", widths, (4, 4), decoder, widths if decoder == "layers" else ())
        save_network(make_network(start), tmp_path / "start.safetensors")
        (tmp_path / "a.yaml").write_text(f"output: out\nstart: {tmp_path / 'start.safetensors'}")
        with pytest.raises(InputError, match=told):
            open_sources(load_config(tmp_path / "a.yaml", overrides))


def test_sources_may_be_mixed_where_none_has_points(kitti: str) -> None:
    config = TrainConfig("out", data=(kitti_source(kitti), kitti_source(kitti)), size=SIZE)
    assert [share for _, share in training_sets(config)] == [1, 1]


def indices(shares: list[float], lengths: list[int], batch: int = 4) -> list[int]:
    config = TrainConfig("out", batch=batch, steps=3, seed=2)
    return [index for part in Batches(config, 0, [range(batch)], lengths, shares) for index in part]


def numbers_of(step: int) -> list[list[float]]:
    """The random numbers of a step of `indices`: those that choose sources, and positions in them."""
    return torch.rand(2, 4, generator=torch.Generator().manual_seed(step_seed(2, step, Stream.SAMPLES))).tolist()


def test_samples_of_one_source_follow_from_seed_and_step_alone() -> None:
    expected = []
    for step in range(3):
        _, position = numbers_of(step)
        expected += [int(p * 50) for p in position]
    assert indices([1.0], [50]) == indices([0.3], [50]) == expected


def test_of_two_sources_the_second_takes_the_small_random_numbers() -> None:
    expected = []
    for step in range(3):
        chance, position = numbers_of(step)
        expected += [50 + int(p * 20) if c < 0.3 else int(p * 50) for c, p in zip(chance, position, strict=True)]
    assert indices([0.7, 0.3], [50, 20]) == indices([7, 3], [50, 20]) == expected


def test_shares_are_weights() -> None:
    found = torch.tensor(indices([1, 2, 5], [10, 10, 10], batch=2000))
    counts = torch.bincount(found // 10) / len(found)
    torch.testing.assert_close(counts, torch.tensor([1, 2, 5]) / 8, rtol=0, atol=0.02)
    assert len(found.unique()) == 30


@dataclass(frozen=True, kw_only=True)
class Options(Source):
    count: int


class Own(list[int]):
    def __init__(self, count: int, seed: int) -> None:
        super().__init__([seed] * count)


def test_a_data_set_of_ones_own_needs_nothing_but_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SETS, "own", DataSetKind(f"{__name__}:Own", Options))
    found = training_set(Options(kind="own", count=3), SIZE, seed=7)
    assert isinstance(found, Own) and found == [7, 7, 7]


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_kind_is_opened_with_its_options(name: str) -> None:
    kind = DATA_SETS[name]
    taken = signature(kind.load()).parameters
    own = {field.name for field in fields(kind.options)} - {field.name for field in fields(Source)}
    required = {key for key, parameter in taken.items() if parameter.default is Parameter.empty}
    assert own <= taken.keys() and required <= own | {"size", "training", "seed", "targets"}
