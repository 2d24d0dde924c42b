"""Photos with measured depth, on which predicted depth is evaluated."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mine.errors import InputError


class MeasuredDepth(NamedTuple):
    """A photo, its camera and its measured depth."""

    image: Tensor
    """(3, H, W) in [0, 1]"""
    K: Tensor
    """(3, 3) intrinsics in pixels"""
    depth: Tensor
    """(H, W) depth z in metres, 0 where unknown or excluded from evaluation"""
    regions: Tensor | None = None
    """(H, W) number of the planar region at each pixel, 0 outside of them"""
    edges: Tensor | None = None
    """(H, W) True at depth discontinuities"""


def known_depth(depth: NDArray[Any], name: str) -> Tensor:
    """Measured depth (H, W) as float32, 0 where it is no finite number above 0.

    Raises:
        InputError: None is known; `name` is what it is called.
    """
    with np.errstate(over="ignore"):
        metres = torch.from_numpy(depth.astype(np.float32))
    known = torch.where(torch.isfinite(metres) & (metres > 0), metres, 0)
    if not known.any():
        raise InputError(f"{name} has no known depth: unpack it anew, or leave it out")
    return known


class DepthMaps:
    """Base class of data sets with measured depth."""

    name: str

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> MeasuredDepth:
        raise NotImplementedError
