"""Two layers of a surface, which `mine.render.lift_layers` lifts to planes."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Layers(NamedTuple):
    """What each pixel of the photo shows, and what lies behind it."""

    disparity: Float[Tensor, "1 H W"]
    """Disparity of the visible surface"""
    opacity: Float[Tensor, "1 H W"]
    """Share α of the visible surface in the pixel, above 0; below 1 along silhouettes alone"""
    rgb: Float[Tensor, "3 H W"]
    """Colour of the visible surface"""
    background_disparity: Float[Tensor, "1 H W"]
    """Disparity of the surface behind it, 0 where none is known"""
    background_rgb: Float[Tensor, "3 H W"]
    """Colour of the surface behind it"""
