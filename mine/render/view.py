"""What every renderer returns."""

from typing import NamedTuple

from torch import Tensor


class View(NamedTuple):
    """Rendered views: colour in [0, 1], depth in scene units, and how many planes cover each pixel."""

    rgb: Tensor
    """(N, 3, H, W)"""
    depth: Tensor
    """(N, 1, H, W)"""
    mask: Tensor
    """(N, 1, H, W), between 0 and S"""
