"""Data sets that live on disk: one unreadable picture must not end a long run."""

import logging

import torch
from torch.utils.data import Dataset

from mine.data.base.sample import Sample
from mine.errors import InputError

TRIES = 100
"""Samples tried in a row before a data set counts as broken."""

log = logging.getLogger(__name__)


class ResilientDataset(Dataset[Sample]):
    """Samples made by `make`; one that raises OSError is logged, counted in `skipped`, and the next taken instead."""

    stride = 1
    """How many samples farther the next one is that may stand in for one that cannot be read."""

    def __init__(self) -> None:
        self.skipped = torch.zeros((), dtype=torch.long).share_memory_()

    def __len__(self) -> int:
        raise NotImplementedError

    def make(self, index: int) -> Sample:
        """Sample `index`, the same at every call. Raises OSError when what it is made of cannot be read."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`. Raises InputError when none of a hundred samples from there on can be read."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        tries = min(TRIES, len(self) // self.stride)
        for attempt in range(tries):
            try:
                return self.make((index + attempt * self.stride) % len(self))
            except OSError as error:
                self.skipped += 1
                log.warning("skipped a sample: %s", error)
                last = error
        raise InputError(f"none of {tries} samples can be decoded: check the pictures ({last})")
