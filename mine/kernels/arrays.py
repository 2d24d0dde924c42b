"""Feature maps as compiled kernels read and write them: channels last, bfloat16 as its 16 bits."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def bits(x: Tensor) -> Array:
    """The numbers of a tensor on the processor, which numpy may read: those in bfloat16 as uint16."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def channels_last(x: Tensor) -> Array:
    """(N, H, W, C) view of a tensor (N, C, H, W), which is made channels-last where it is not; see `bits`."""
    return bits(x.detach().contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1))


def empty_map(size: tuple[int, int, int, int], like: Tensor) -> Tensor:
    """A channels-last tensor (N, C, H, W) to be filled, of another's type and device."""
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
