"""Short training runs of a small network on one small sample."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file
from tiny_sample import make_sample
from torch import Tensor
from torch.utils.data import Dataset

from mine.config import TrainConfig
from mine.data.base.sample import Sample
from mine.network.architecture import Architecture

SIZE = (64, 96)
BATCH = 2
ARCHITECTURE = Architecture("mobilenetv3_small_050", widths=(4, 8, 8, 8, 8), bottleneck=(8, 8))


def config_for(folder: Path, **changes: object) -> TrainConfig:
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
    """One sample over and over; `change` may alter what the nth step gets."""

    def __init__(self, change: Callable[[int, Sample], Sample] = lambda step, sample: sample) -> None:
        self.sample = make_sample(SIZE)
        self.change = change
        self.drawn = 0

    @property
    def steps(self) -> int:
        """How many steps have begun to draw their batch."""
        return math.ceil(self.drawn / BATCH)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        self.drawn += 1
        return self.change(self.steps, self.sample)


def saved(path: Path) -> dict[str, Tensor]:
    return load_file(path / "mine.safetensors")
