"""Arguments that name a device."""

from numbers import Integral
from typing import Any

import torch

from mine.errors import InputError


def as_device(device: Any, others: str = "") -> torch.device:
    """The device that an argument names.

    Args:
        device: A name such as "cuda:1", or a `torch.device`.
        others: What else the argument may be, for the message.

    Returns:
        The device, with its number where there may be several.

    Raises:
        InputError: It names none, or one that is not available here.
    """
    if not isinstance(device, (str, torch.device)):
        number = isinstance(device, Integral) and not isinstance(device, bool)
        remedy = f'give "cuda:{device}"' if number else f"give {others}cpu or cuda"
        raise InputError(f"device {device!r} is not possible: {remedy}")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {str(device)!r} is not available here: choose cpu") from error
