"""A small network, a short training run and a data set of one sample."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_sample import make_sample
from torch import Tensor
from torch.utils.data import Dataset

from mine.config import TrainConfig
from mine.data.base.sample import Sample
from mine.network.architecture import Architecture
from mine.network.encoders.timm_encoder import TimmEncoder
from mine.training import batches

SIZE = (64, 96)
BATCH = 2
ARCHITECTURE = Architecture("mobilenetv3_small_050", widths=(4, 8, 8, 8, 8), bottleneck=(8, 8))


def config_for(folder: Path, **changes: object) -> TrainConfig:
    """Configuration of a run of six steps on the CPU that writes into `folder`, with some fields changed."""
    config = TrainConfig(
        str(folder),
        ARCHITECTURE,
        size=SIZE,
        planes=6,
        batch=BATCH,
        steps=6,
        save_every=3,
        workers=0,
        learning_rate=5e-3,
        encoder_learning_rate=1e-3,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


class Feed(Dataset[Sample]):
    """One sample again and again; `change` maps the step and the sample to what that step gets."""

    def __init__(self, change: Callable[[int, Sample], Sample] = lambda step, sample: sample) -> None:
        self.sample = make_sample(SIZE)
        self.change = change
        self.fetched = 0

    @property
    def steps(self) -> int:
        """Number of steps that have begun to fetch their batch."""
        return math.ceil(self.fetched / BATCH)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        self.fetched += 1
        return self.change(self.steps, self.sample)


def use_feed(patch: pytest.MonkeyPatch, *change: Callable[[int, Sample], Sample]) -> Feed:
    """Makes a `Feed` the training data, and leaves encoders with random weights."""
    dataset = Feed(*change)
    patch.setattr(TimmEncoder, "load_imagenet", lambda self: None)
    patch.setattr(batches, "training_sets", lambda config: [(dataset, 1.0)])
    return dataset


def saved(path: Path) -> dict[str, Tensor]:
    """Weights by name of the checkpoint that a run wrote into the folder `path`."""
    return load_file(path / "mine.safetensors")
