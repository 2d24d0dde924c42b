"""What a training run sees: its data sets, and which of their samples come at which step."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Sampler

from mine.config import TrainConfig
from mine.data.base.resilient import ResilientDataset
from mine.data.base.sample import Sample
from mine.errors import InputError
from mine.network import network_kind


def places(config: TrainConfig, process: int, processes: int) -> list[range]:
    """Places in the batch of the samples that a process works off, part by part.

    Raises InputError for a batch that cannot be shared evenly.
    """
    parts = processes * config.accumulate
    if config.batch % parts:
        shared = f"{processes} process(es) with accumulate={config.accumulate}"
        raise InputError(f"batch {config.batch} cannot be shared by {shared}: give a multiple of {parts}")
    share = config.batch // parts
    if share == 1 and max(config.size) <= network_kind(config.architecture.decoder).side_multiple:
        raise InputError(
            f"one sample of size {list(config.size)} has no batch statistics: give two a part, or a larger size"
        )
    own = range(process * config.accumulate, (process + 1) * config.accumulate)
    return [range(part * share, (part + 1) * share) for part in own]


class Batches(Sampler[list[int]]):
    """Indices of the samples of steps `start`..: what a step sees depends on the seed and the step alone.

    For each step, the samples at each of `rows`, places in the batch. first, second: sizes of the two data sets, of
    which the second has `share` of the samples.
    """

    def __init__(
        self, config: TrainConfig, start: int, rows: Sequence[range], first: int, second: int, share: float
    ) -> None:
        self.config, self.start, self.rows = config, start, rows
        self.first, self.second, self.share = first, second, share

    def __len__(self) -> int:
        return (self.config.last - self.start) * len(self.rows)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.config.last):
            generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + step)
            chance, place = torch.rand(2, self.config.batch, generator=generator).tolist()
            batch = [
                self.first + int(p * self.second) if c < self.share else int(p * self.first)
                for c, p in zip(chance, place, strict=True)
            ]
            yield from ([batch[row] for row in part] for part in self.rows)


def loader(config: TrainConfig, start: int, rows: Sequence[range]) -> DataLoader[Sample]:
    """Parts of batches, as `Batches` orders them."""
    worlds, captures = datasets(config)
    parts = [part for part in (worlds, captures) if part is not None]
    if not parts:
        raise InputError("no training data: give a `worlds`, a `captures` or a `dataset` section")
    first, second = (len(part) for part in [*parts, ()][:2])  # type: ignore[arg-type]
    chosen = config.captures or config.dataset
    share = chosen.share if chosen and worlds is not None else 0.0
    return DataLoader(
        ConcatDataset(parts),
        batch_sampler=Batches(config, start, rows, first, second, share),
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        worker_init_fn=_outlive,
        collate_fn=joined if config.targets > 1 else None,
    )


def joined(samples: list[Sample]) -> Sample:
    """A batch of samples that have several rows each, (T, ...): B x T rows, those of one source side by side."""
    return Sample(*map(torch.cat, zip(*samples, strict=True)))


def unreadable(samples: DataLoader[Sample]) -> int:
    """How many samples of a `loader` could not be read so far, by all its workers."""
    parts = cast(ConcatDataset[Sample], samples.dataset).datasets
    return sum(int(part.skipped) for part in parts if isinstance(part, ResilientDataset))


def _outlive(worker: int) -> None:
    """SIGTERM often goes to a whole group of processes: the main one ends the others, after its last step."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def datasets(config: TrainConfig) -> tuple[Dataset[Sample] | None, Dataset[Sample] | None]:
    """Generated scenes, and captures or another data set, as far as the configuration asks for them.

    Raises InputError when both captures and a data set are asked for, and when samples would not fit together.
    """
    worlds: Dataset[Sample] | None = None
    captures: Dataset[Sample] | None = None
    if config.worlds:
        if config.targets > 1:
            raise InputError(f"targets is {config.targets}, but generated scenes have one: give 1, or no `worlds`")
        from mine.data.base.cached import CachedDataset
        from mine.data.base.resized import Resized
        from mine.data.synthetic import SyntheticScenes

        chosen = config.worlds
        textures = None if chosen.textures is None else Path(chosen.textures)
        worlds = SyntheticScenes(chosen.count, chosen.size or config.size, textures, chosen.seed)
        if chosen.stored:
            worlds = CachedDataset(worlds, chosen.stored)
        if chosen.size:
            worlds = Resized(worlds, config.size)
    if config.captures:
        from mine.data.datasets.colmap import Colmap

        root = Path(config.captures.root)
        folders = [root / scene for scene in config.captures.scenes]
        captures = Colmap(folders, config.size, seed=config.seed, targets=config.targets)
    if config.dataset:
        from mine.data.registry import training_set

        if config.captures:
            raise InputError("a `captures` and a `dataset` section: give one of them")
        captures = training_set(config.dataset.kind, config.dataset.root, config.size, config.seed, config.targets)
        from_depth = network_kind(config.architecture.decoder).supervision == "depth"
        if getattr(captures, "metric", False) and (worlds or from_depth):
            raise InputError(
                f"samples of {config.dataset.kind} have no points: train a plane network on them, without `worlds`"
            )
    return worlds, captures
