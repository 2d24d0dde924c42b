"""What every renderer returns."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

MIN_COVERAGE = 2
"""Planes that must cover a pixel of a view (`View.mask`) for it to be compared with an image."""


class View(NamedTuple):
    """Rendered views."""

    rgb: Float[Tensor, "N 3 H W"]
    """Colour in [0, 1]"""
    depth: Float[Tensor, "N 1 H W"]
    """Expected depth along the optical axis, in scene units"""
    mask: Float[Tensor, "N 1 H W"]
    """Number of planes, 0 to S, that have a sample inside their frame"""

    def __repr__(self) -> str:
        if getattr(self.rgb, "ndim", None) != 4:  # one element of a batch, or what is no tensor
            return f"View(rgb={self.rgb}, depth={self.depth}, mask={self.mask})"
        count, _, height, width = self.rgb.shape
        return f"View({count} of {width}x{height})"
