"""Data sets by their names in configurations."""

from pathlib import Path

import pytest
import torch
from test_depth_photos import write_photo
from test_kitti import DRIVES, write_drive
from tiny_sample import stack

from mine.config import CapturesData, EvalConfig, FolderData, SyntheticData, TrainConfig, load_config
from mine.data.datasets.depth_photos import DepthPhotos
from mine.data.datasets.kitti import Kitti
from mine.data.registry import KINDS
from mine.errors import InputError
from mine.evaluation.protocol import evaluate_config
from mine.model import Model
from mine.network.architecture import Architecture
from mine.network.planes.network import PlaneNetwork, stratified_disparity
from mine.training.batches import datasets
from mine.training.plane_losses import losses

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
    assert config.dataset is None or config.dataset.kind in KINDS


def test_names_open_their_data_sets(tmp_path: Path, kitti: str) -> None:
    write_photo(tmp_path / "photos", "a")
    _, found = datasets(TrainConfig("out", dataset=FolderData("kitti", kitti), size=SIZE))
    assert isinstance(found, Kitti) and found.training and found.size == SIZE
    _, found = datasets(TrainConfig("out", dataset=FolderData("depth-photos", str(tmp_path / "photos")), seed=3))
    assert isinstance(found, DepthPhotos) and found.seed == 3


def test_samples_without_points_train(kitti: str) -> None:
    config = TrainConfig("out", dataset=FolderData("kitti", kitti), size=SIZE, finest=2, planes=2)
    _, dataset = datasets(config)
    assert dataset is not None
    torch.manual_seed(0)
    found = losses(PlaneNetwork(TINY), stack(dataset[0], dataset[1]), stratified_disparity(2, 2), config)
    assert torch.isfinite(found["total"]) and found["sparse_source"] == 0 and found["photometric"] > 0
    found["total"].backward()


def test_what_does_not_go_together_is_told(tmp_path: Path, kitti: str) -> None:
    folder, captures, worlds = FolderData("kitti", kitti), CapturesData("data", ("a",)), SyntheticData(2)
    surface = Architecture(encoder="resnet18", decoder="disparity")
    write_photo(tmp_path / "photos", "a")
    photos = str(tmp_path / "photos")
    for config, told in (
        (TrainConfig("out", dataset=FolderData("kity", kitti)), "choose depth-photos"),
        (TrainConfig("out", dataset=folder, worlds=worlds), "without `worlds`"),
        (TrainConfig("out", dataset=folder, architecture=surface), "train a plane network"),
        (TrainConfig("out", dataset=folder, targets=2), "targets is 2, but kitti has one"),
        (TrainConfig("out", dataset=FolderData("depth-photos", photos), targets=2), "but depth-photos has one"),
        (TrainConfig("out", worlds=worlds, targets=2), "generated scenes have one"),
    ):
        with pytest.raises(InputError, match=told):
            datasets(config)
    model = Model(PlaneNetwork(TINY))
    for section in (EvalConfig(), EvalConfig(dataset=folder, captures=captures)):
        with pytest.raises(InputError, match="nothing or too much"):
            evaluate_config(model, section)
    with pytest.raises(InputError, match="no second views"):
        evaluate_config(model, EvalConfig(dataset=FolderData("depth-photos", str(tmp_path))))
