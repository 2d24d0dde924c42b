"""A data set that skips samples whose files cannot be read, so that one of them does not end a long run."""

import logging

import torch
from torch.utils.data import Dataset

from mine.data.base.sample import Sample
from mine.errors import InputError

TRIES = 100
"""Samples tried in a row before the data set counts as unreadable."""

log = logging.getLogger(__name__)


class ResilientDataset(Dataset[Sample]):
    """Base class of data sets on disk: a sample whose `make` raises OSError is logged and replaced by the next.

    Attributes:
        skipped: How many samples could not be read, over all processes that load data.
    """

    stride = 1
    """Distance of the index of the sample that replaces one."""

    def __init__(self) -> None:
        self.skipped = torch.zeros((), dtype=torch.long).share_memory_()

    def __len__(self) -> int:
        raise NotImplementedError

    def make(self, index: int) -> Sample:
        """Sample `index`, the same at every call.

        Raises:
            OSError: A file cannot be read.
        """
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, or the next one that can be read.

        Raises:
            InputError: None of a hundred samples from there on can be read.
        """
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
