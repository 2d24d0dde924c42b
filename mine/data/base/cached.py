"""Samples kept on disk once made, in a few bytes a pixel."""

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.base.sample import Sample
from mine.files import replacing

PICTURES = ("source", "target")
DEPTHS = ("depth_src", "depth_tgt")


class CachedDataset(Dataset[Sample]):
    """`dataset` with every sample made once: pictures as 8 bits, depths as half-precision disparities."""

    def __init__(self, dataset: Dataset[Sample], folder: str | Path) -> None:
        self.dataset = dataset
        self.folder = Path(folder)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        path = self.folder / f"{index:07d}.pt"
        if not path.is_file():
            sample = self.dataset[index]
            with replacing(path) as temporary:
                torch.save({name: _pack(name, value) for name, value in sample._asdict().items()}, temporary)
        stored = torch.load(path, weights_only=True)
        return Sample(**{name: _unpack(name, value) for name, value in stored.items()})


def _pack(name: str, value: Tensor) -> Tensor:
    if name in PICTURES:
        return (value * 255).round().to(torch.uint8)
    return _inverse(value).half() if name in DEPTHS else value


def _unpack(name: str, value: Tensor) -> Tensor:
    if name in PICTURES:
        return value.float() / 255
    return _inverse(value.float()) if name in DEPTHS else value


def _inverse(value: Tensor) -> Tensor:
    """1 / value, 0 (unknown) staying 0."""
    return torch.where(value > 0, 1 / value.clamp(min=1e-6), 0)
