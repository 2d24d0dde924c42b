"""The samples of a training run: its data sets, and which of their samples each step takes."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Sampler, default_collate

from mine.config import TrainConfig
from mine.config.settings import check_network_options
from mine.data.base.resilient import ResilientDataset
from mine.data.base.rng import Stream, step_seed
from mine.data.base.sample import Sample
from mine.data.registry import evaluation_set, training_set
from mine.errors import InputError
from mine.network import network_kind
from mine.training.objectives import OBJECTIVES
from mine.training.optim import started_architecture
from mine.training.stop import STOP_SIGNALS


def process_rows(config: TrainConfig, rank: int, processes: int) -> list[range]:
    """Splits a batch among processes, and the part of each for gradient accumulation.

    Args:
        config: The run, of which `batch` and `accumulate` count.
        rank: Number of the process.
        processes: Number of processes.

    Returns:
        For each accumulated part of the process, its samples' indices in the whole batch.

    Raises:
        InputError: If the batch cannot be split evenly, or the checkpoint that the run starts from cannot be read.
    """
    parts = processes * config.accumulate
    if config.batch % parts:
        split = f"{processes} process(es) with accumulate={config.accumulate}"
        raise InputError(f"batch {config.batch} cannot be shared by {split}: give a multiple of {parts}")
    samples = config.batch // parts
    if samples == 1:  # which is one image, unless both images of a sample are trained on
        kind = network_kind(started_architecture(config).decoder)
        if kind.supervision == "views" and max(config.size) <= kind.side_multiple:
            raise InputError(
                f"one sample of size {list(config.size)} has no batch statistics: give two a part, or a larger size"
            )
    own = range(rank * config.accumulate, (rank + 1) * config.accumulate)
    return [range(part * samples, (part + 1) * samples) for part in own]


class Batches(Sampler[list[int]]):
    """Indices into the concatenated data sets: for each step, one list for each accumulated part.

    A step's indices depend on the seed and the step alone, so that a resumed run sees what an unbroken one does.

    Args:
        config: The run.
        start: First step.
        rows: Indices in the batch of the samples of each part, see `process_rows`.
        lengths: Number of samples of each data set.
        shares: Weight of each data set among the samples of a batch.
    """

    def __init__(
        self, config: TrainConfig, start: int, rows: Sequence[range], lengths: Sequence[int], shares: Sequence[float]
    ) -> None:
        self.config, self.start, self.rows, self.lengths = config, start, rows, lengths
        self.offsets = [0, *accumulate(lengths)]
        # bounds[i]: probability of the sources after i. The last source takes the smallest random numbers.
        self.bounds = [sum(shares[i + 1 :]) / sum(shares) for i in range(len(shares))]

    def __len__(self) -> int:
        return (self.config.last - self.start) * len(self.rows)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.config.last):
            generator = torch.Generator().manual_seed(step_seed(self.config.seed, step, Stream.SAMPLES))
            chance, position = torch.rand(2, self.config.batch, generator=generator).tolist()
            batch = [self._index(c, p) for c, p in zip(chance, position, strict=True)]
            yield from ([batch[row] for row in part] for part in self.rows)

    def _index(self, chance: float, position: float) -> int:
        """Index of a sample by two numbers in [0, 1): of its source, and of its position in that."""
        source = next(i for i, bound in enumerate(self.bounds) if chance >= bound)
        return self.offsets[source] + int(position * self.lengths[source])


def open_sources(config: TrainConfig) -> list[tuple[Dataset[Sample], float]]:
    """The data sets of a run and their shares, before any weights are downloaded; held-out data are looked at as well.

    Raises:
        InputError: If the run has no data, a data set is at fault, or the network that the run starts from does not
            take the configuration's values.
    """
    sources = training_sets(config)
    if not sources:
        raise InputError("no training data: give at least one source in `data`")
    if config.held_out:
        evaluation_set(config.held_out.data, config.held_out.size)
    return sources


def loader(
    config: TrainConfig, start: int, rows: Sequence[range], sources: Sequence[tuple[Dataset[Sample], float]]
) -> DataLoader[Sample]:
    """Loads the accumulated parts of batches in the order of `Batches`.

    Args:
        config: The run.
        start: First step.
        rows: Indices in the batch of the samples of each part, see `process_rows`.
        sources: See `open_sources`.
    """
    sets, shares = zip(*sources, strict=True)
    return DataLoader(
        _Parts(sets),
        batch_sampler=Batches(config, start, rows, [len(part) for part in sets], shares),
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        worker_init_fn=_ignore_signals,
        collate_fn=partial(_joined, collate_targets if config.targets > 1 else default_collate),
    )


def training_sets(config: TrainConfig) -> list[tuple[Dataset[Sample], float]]:
    """The data set of each source of a run, with its share.

    Raises:
        InputError: If the network that the run starts from does not take the configuration's values or has no losses, a
            data set cannot be read, or samples do not suit the network or cannot be mixed.
    """
    architecture = started_architecture(config)
    if architecture.decoder not in OBJECTIVES:  # a kind of network that a program of one's own has registered
        raise InputError(f"networks of the kind {architecture.decoder} have no losses: add them to OBJECTIVES")
    if config.start and config.architecture.decoder is None:  # nobody knew the kind when the configuration was read
        check_network_options(config, architecture)
    sets = [training_set(source, config.size, config.seed, config.targets) for source in config.data]
    without_points = [bool(getattr(part, "metric", False)) for part in sets]
    supervision = network_kind(architecture.decoder).supervision
    if any(without_points) and (supervision != "views" or not all(without_points)):
        kind = config.data[without_points.index(True)].kind
        raise InputError(
            f"samples of {kind} have no points: train a plane network on them, without sources that have points"
        )
    for part, source in zip(sets, config.data, strict=True):
        if not (supervision == "depth" or getattr(part, "second_views", True)):
            raise InputError(f"samples of {source.kind} have no second views: train a disparity network on them")
    return [(part, source.share) for part, source in zip(sets, config.data, strict=True)]


class _Parts(ConcatDataset[Sample]):
    """The sets one after another; an InputError among a batch's samples is returned in their place.

    Torch raises the exceptions of its workers with their whole traceback as the message.
    """

    def __getitems__(self, indices: Sequence[int]) -> list[Sample] | InputError:
        try:
            return [self[index] for index in indices]
        except InputError as error:
            return error


def _joined(collate: Callable[[list[Sample]], Sample], samples: list[Sample] | InputError) -> Sample | InputError:
    """What `_Parts` returns, its samples made a batch by `collate`."""
    return samples if isinstance(samples, InputError) else collate(samples)


def _raised(batches: Iterator[Sequence[Tensor] | InputError]) -> Iterator[Sequence[Tensor]]:
    """The batches. Raises an InputError that is among them."""
    for batch in batches:
        if isinstance(batch, InputError):
            raise batch
        yield batch


def collate_targets(samples: list[Sample]) -> Sample:
    """Joins B samples with T target views each, (T, ...) in every field, to B x T rows, those of a source together."""
    return Sample(*map(torch.cat, zip(*samples, strict=True)))


def unreadable(samples: DataLoader[Sample]) -> int:
    """Number of samples of a `loader` that could not be read so far, over all its workers."""
    parts = cast(ConcatDataset[Sample], samples.dataset).datasets
    return sum(int(part.skipped) for part in parts if isinstance(part, ResilientDataset))


@contextmanager
def batches_of(samples: DataLoader[Sample]) -> Iterator[Iterator[Sequence[Tensor]]]:
    """Context with an iterator over a `loader`, whose worker processes end with the context.

    Python waits for the workers when a program ends, also by an exception, and they end only when they are told to.

    Args:
        samples: The loader.

    Yields:
        The iterator: one `Sample`, as a sequence of its fields, for each part of a batch. It raises the InputErrors of
        the data sets.
    """
    batches: Any = iter(samples)
    try:
        yield _raised(batches)
    finally:
        if samples.num_workers:
            batches._shutdown_workers()  # torch has no public name for it
            for worker in batches._workers:
                if worker.is_alive():  # it has not answered in time, and ignores SIGTERM
                    worker.kill()


def _ignore_signals(worker: int) -> None:
    """The signals often go to a whole group of processes: the main one ends the others, after its last step."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
