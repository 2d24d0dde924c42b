"""What a training run sees: its data sets, and which of their samples come at which step."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from mine.data.sample import Sample
from mine.errors import InputError
from mine.training.config import TrainConfig


def loader(config: TrainConfig, start: int) -> DataLoader[Sample]:
    """Batches of steps `start`..; what a step sees depends on the seed and the step alone."""
    worlds, captures = datasets(config)
    parts = [part for part in (worlds, captures) if part is not None]
    if not parts:
        raise InputError("no training data: give a `worlds` or a `captures` section")

    def draws() -> Iterator[list[int]]:
        first = len(parts[0])  # type: ignore[arg-type]
        share = config.captures.share if config.captures and worlds is not None else 0.0
        for step in range(start, config.steps):
            generator = torch.Generator().manual_seed(1_000_003 * config.seed + step)
            chance, place = torch.rand(2, config.batch, generator=generator).tolist()
            yield [
                first + int(p * len(parts[1])) if c < share else int(p * first)  # type: ignore[arg-type]
                for c, p in zip(chance, place, strict=True)
            ]

    return DataLoader(
        ConcatDataset(parts),
        batch_sampler=list(draws()),
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
    )


def datasets(config: TrainConfig) -> tuple[Dataset[Sample] | None, Dataset[Sample] | None]:
    """Generated scenes and captures, as far as the configuration asks for them."""
    worlds: Dataset[Sample] | None = None
    captures: Dataset[Sample] | None = None
    if config.worlds:
        from mine.data.resized import Resized
        from mine.data.stored import Stored
        from mine.data.worlds import Worlds

        chosen = config.worlds
        textures = None if chosen.textures is None else Path(chosen.textures)
        worlds = Worlds(chosen.count, chosen.size or config.size, textures, chosen.seed)
        if chosen.stored:
            worlds = Stored(worlds, chosen.stored)
        if chosen.size:
            worlds = Resized(worlds, config.size)
    if config.captures:
        from mine.data.colmap import Colmap

        root = Path(config.captures.root)
        captures = Colmap([root / scene for scene in config.captures.scenes], config.size, seed=config.seed)
    return worlds, captures
