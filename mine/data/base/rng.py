"""Random numbers of a batch that do not depend on how it is split among processes and accumulated parts."""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


class Stream(IntEnum):
    """What the random numbers of a training step are for: each use has a stream of its own."""

    SAMPLES = 0
    AUGMENTATION = 1
    LOSSES = 2


def step_seed(seed: int, step: int, stream: Stream) -> int:
    """The seed of one stream of one step of a run. Streams of other steps, runs and uses are independent of it."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0])


class BatchRng:
    """Random numbers of some samples of a batch. A sample's depend on the seed and its index in the whole batch alone.

    Args:
        generator: Generator of the whole batch's numbers.
        batch: Number of samples of the whole batch.
        rows: Indices in it of the samples whose numbers are returned, all by default.
    """

    def __init__(self, generator: torch.Generator, batch: int, rows: Sequence[int] | None = None) -> None:
        self.generator, self.batch = generator, batch
        self.rows = list(range(batch) if rows is None else rows)

    @staticmethod
    def seeded(seed: int, batch: int, rows: Sequence[int] | None = None) -> "BatchRng":
        """Random numbers that follow from a seed."""
        return BatchRng(torch.Generator().manual_seed(seed), batch, rows)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers (rows, *shape), uniform in [0, 1)."""
        return torch.rand(self.batch, *shape, generator=self.generator)[self.rows]

    def normal(self, *shape: int) -> Tensor:
        """Numbers (rows, *shape), standard normal."""
        return torch.randn(self.batch, *shape, generator=self.generator)[self.rows]

    def common(self) -> float:
        """One number, uniform in [0, 1), for all samples of the batch."""
        return float(torch.rand((), generator=self.generator))

    def pairs(self) -> "BatchRng":
        """Random numbers of batches of twice the size, that stack all source views, then all target views."""
        return BatchRng(self.generator, 2 * self.batch, self.rows + [self.batch + row for row in self.rows])
