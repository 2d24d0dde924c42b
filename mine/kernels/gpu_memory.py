"""Work that does not fit a GPU's memory is done in smaller groups."""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def halve_until_it_fits(work: Callable[[int], Result], group: int) -> Result:
    """Calls `work(group)`, and again with half the group for as long as a GPU lacks the memory for it.

    Args:
        work: Does all of the work, `group` items at a time.
        group: The largest group.

    Returns:
        What `work` returned.

    Raises:
        torch.OutOfMemoryError: The memory does not suffice for one item at a time either.
    """
    while True:
        try:
            return work(group)
        except torch.OutOfMemoryError:
            if group <= 1:
                raise
        # Behind the handler, whose exception holds on to what the failed call had allocated.
        torch.cuda.empty_cache()
        group //= 2
