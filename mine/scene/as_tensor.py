"""Arguments that are tensors by nature, and may be given as NumPy arrays or lists of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mine.errors import InputError

ArrayLike = Tensor | np.ndarray | Sequence[Any]
"""A tensor, or numbers that become one."""


def as_tensor(value: Any, name: str) -> Tensor:
    """The tensor of an argument; what is a tensor already, of any kind, stays as it is.

    Args:
        value: Tensor, array or nested lists of numbers.
        name: What messages call it.

    Returns:
        The tensor; float32 unless it was one before.

    Raises:
        InputError: It is neither, or does not hold real numbers.
    """
    if isinstance(value, Tensor):
        return value
    if parts := getattr(value, "_fields", None):  # of a named tuple, such as a camera path
        raise InputError(f"{name} is a {type(value).__name__}: give one of its parts, {', '.join(parts)}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} is made of rows of different lengths: give an array of numbers") from error
    if array.dtype.kind not in "fiu" or array.ndim == 0:
        kind = type(value).__name__ if array.ndim == 0 else f"{type(value).__name__} of {array.dtype}"
        raise InputError(f"{name} is a {kind}: give a tensor or an array of numbers")
    return torch.from_numpy(array.astype(np.float32))


def as_floats(value: Any, name: str) -> Tensor:
    """As `as_tensor`, floats of any precision as float32; other tensors stay as they are, for checks to refuse."""
    tensor = as_tensor(value, name)
    return tensor.float() if tensor.is_floating_point() else tensor
