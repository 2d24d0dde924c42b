"""Photos with measured depth, on which predicted depth is evaluated."""

from typing import NamedTuple

from torch import Tensor


class DepthMap(NamedTuple):
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


class DepthMaps:
    """Base class of data sets with measured depth."""

    name: str

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> DepthMap:
        raise NotImplementedError
