"""Feature maps as compiled kernels read and write them: channels-last numpy arrays, bfloat16 as its 16 bits."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def as_array(x: Tensor) -> Array:
    """The values of a CPU tensor as a numpy array over the same memory; bfloat16, which numpy lacks, as uint16."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def channels_last(x: Tensor) -> Array:
    """A feature map as a channels-last array; see `as_array` for its type.

    Args:
        x: (N, C, H, W); copied only if it is not in torch's channels-last memory format.

    Returns:
        (N, H, W, C), contiguous.
    """
    return as_array(x.detach().contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1))


def empty_map(size: tuple[int, int, int, int], like: Tensor) -> Tensor:
    """An uninitialised channels-last tensor of `size` (N, C, H, W), with the type and device of `like`."""
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
