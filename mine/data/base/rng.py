"""Random numbers of a batch that several hands share."""

from collections.abc import Sequence

import torch
from torch import Tensor


class BatchRng:
    """Random numbers of some samples of a batch.

    Those of a sample depend on the seed and on its place in the whole batch alone: not on how the batch is shared among
    processes, or divided into parts that are worked off one after the other.

    batch: samples of the whole batch; rows: places in it of the samples at hand, all by default.
    """

    def __init__(self, generator: torch.Generator, batch: int, rows: Sequence[int] | None = None) -> None:
        self.generator, self.batch = generator, batch
        self.rows = list(range(batch) if rows is None else rows)

    @staticmethod
    def seeded(seed: int, batch: int, rows: Sequence[int] | None = None) -> "BatchRng":
        """Numbers that follow from a seed."""
        return BatchRng(torch.Generator().manual_seed(seed), batch, rows)

    def uniform(self, *shape: int) -> Tensor:
        """(samples at hand, *shape), uniform in [0, 1)."""
        return torch.rand(self.batch, *shape, generator=self.generator)[self.rows]

    def normal(self, *shape: int) -> Tensor:
        """(samples at hand, *shape), of mean 0 and deviation 1."""
        return torch.randn(self.batch, *shape, generator=self.generator)[self.rows]

    def common(self) -> float:
        """One number, uniform in [0, 1), that all samples of the batch share."""
        return float(torch.rand((), generator=self.generator))

    def pairs(self) -> "BatchRng":
        """The same for batches whose pictures are all sources, then all targets."""
        return BatchRng(self.generator, 2 * self.batch, self.rows + [self.batch + row for row in self.rows])
