"""How two views become one picture."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# E. Dubois, "A projection method to generate anaglyph stereo images", ICASSP 2001, for red-cyan glasses on sRGB
# displays; the coefficients are those that ffmpeg's filter stereo3d uses (arcd), which come from the paper's author.
_DUBOIS_LEFT = ((0.456, 0.500, 0.176), (-0.040, -0.038, -0.016), (-0.015, -0.021, -0.005))
_DUBOIS_RIGHT = ((-0.043, -0.088, -0.002), (0.378, 0.734, -0.018), (-0.072, -0.113, 1.226))

_LUMA = (0.2126, 0.7152, 0.0722)


def side_by_side(left: Tensor, right: Tensor) -> Tensor:
    """The left eye's views (N, 3, H, W) on the left: (N, 3, H, 2 W)."""
    return torch.cat([left, right], dim=3)


def cross_eyed(left: Tensor, right: Tensor) -> Tensor:
    """The left eye's views (N, 3, H, W) on the right: (N, 3, H, 2 W)."""
    return torch.cat([right, left], dim=3)


def half_side_by_side(left: Tensor, right: Tensor) -> Tensor:
    """Both views (N, 3, H, W), each squeezed to half its width: (N, 3, H, W).

    Both halves are equally wide, as players split them: of an odd width they make an even one, a pixel less.
    """
    size = (left.shape[-2], left.shape[-1] // 2)
    halves = [F.interpolate(view, size, mode="bilinear", antialias=True) for view in (left, right)]
    return torch.cat(halves, dim=3)


def over_under(left: Tensor, right: Tensor) -> Tensor:
    """The left eye's views (N, 3, H, W) on top: (N, 3, 2 H, W)."""
    return torch.cat([left, right], dim=2)


def anaglyph(left: Tensor, right: Tensor) -> Tensor:
    """Combines views for red-cyan glasses: red from the left view's luma (BT.709), green and blue of the right.

    Luma rather than the left view's red channel, because saturated reds would flicker between the eyes.

    Args:
        left: RGB (..., 3, H, W) in [0, 1].
        right: RGB (..., 3, H, W) in [0, 1].

    Returns:
        RGB (..., 3, H, W) in [0, 1].
    """
    luma = torch.einsum("c,...chw->...hw", left.new_tensor(_LUMA), left)
    return torch.cat([luma.unsqueeze(-3), right[..., 1:, :, :]], dim=-3)


def dubois(left: Tensor, right: Tensor) -> Tensor:
    """Combines views for red-cyan glasses by Dubois' least squares: truer brightness and less ghosting.

    Args:
        left: RGB (..., 3, H, W) in [0, 1].
        right: RGB (..., 3, H, W) in [0, 1].

    Returns:
        RGB (..., 3, H, W) in [0, 1].
    """
    parts = [
        torch.einsum("dc,...chw->...dhw", view.new_tensor(matrix), view)
        for view, matrix in ((left, _DUBOIS_LEFT), (right, _DUBOIS_RIGHT))
    ]
    return (parts[0] + parts[1]).clamp(0, 1)


COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sbs": side_by_side,
    "half-sbs": half_side_by_side,
    "over-under": over_under,
    "cross-eyed": cross_eyed,
    "anaglyph": anaglyph,
    "dubois": dubois,
}
"""Layouts of `mine.output.stereo_options.LAYOUTS` that combine two views of the same size."""

COLOUR_CODED = ("anaglyph", "dubois")
"""Those in which colours tell the eyes apart."""
