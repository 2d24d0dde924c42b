"""Photos whose depth was measured, to judge predicted depth by."""

from typing import NamedTuple, Protocol

from torch import Tensor


class DepthMap(NamedTuple):
    """A photo, its camera and its depth."""

    image: Tensor
    """(3, H, W) in [0, 1]"""
    K: Tensor
    """(3, 3) in pixels"""
    depth: Tensor
    """(H, W) depth z in metres, 0 where unknown or not to be judged"""
    regions: Tensor | None = None
    """(H, W) numbers of flat regions, 0 elsewhere"""
    edges: Tensor | None = None
    """(H, W) whether depth jumps there"""


class DepthMaps(Protocol):
    """A data set of them."""

    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> DepthMap: ...
