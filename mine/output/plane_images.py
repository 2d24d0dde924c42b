"""The planes of a scene as images with transparency, at the photo's resolution: what layered files hold."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.output.surface_layers import SurfaceLayers
from mine.render import lift_layers
from mine.render.reference import LAST_INTERVAL, pixel_grid
from mine.scene.view_planes import SHELL_INSET, snap_silhouettes

COLOUR_MARGIN = 2
"""Pixels by which colours reach into transparent ones, so that bilinear samples at an edge do not mix in black."""


class PlaneImage(NamedTuple):
    """One plane."""

    depth: float
    """distance along the optical axis, in scene units"""
    image: Tensor
    """(4, H, W) RGB and opacity in [0, 1], not premultiplied; 0 in pixels that are empty and lie beside empty ones"""


def plane_images(surfaces: SurfaceLayers, disparity: Tensor) -> Iterator[PlaneImage]:
    """Lifts surfaces to planes and converts densities to opacities along the source camera's rays.

    Composited over one another from the farthest to the nearest, the images are the photo, but for unmixed colours
    beside silhouettes; moved as planes at their depths are, they are views of it.

    Args:
        surfaces: The surfaces; the images have their resolution.
        disparity: (S,) of the planes, strictly descending.

    Yields:
        The planes, nearest first. The last one is opaque everywhere.
    """
    layers, disparity = surfaces.layers, disparity.float().cpu()
    shell = snap_silhouettes(layers.disparity, disparity, SHELL_INSET)
    planes, _ = lift_layers(layers, disparity, shell)
    rays = torch.einsum("ij,jhw->ihw", torch.linalg.inv(surfaces.K), pixel_grid(surfaces.size, surfaces.K))
    slant = rays.square().sum(0, keepdim=True).sqrt()
    intervals = torch.cat([(1 / disparity).diff(), torch.tensor([LAST_INTERVAL])])
    for plane, interval, d in zip(planes, intervals, disparity, strict=True):
        opacity = 1 - torch.exp(-plane[3:] * interval * slant)
        yield PlaneImage(1 / float(d), torch.cat([_spread_colours(plane[:3], opacity), opacity]))


def _spread_colours(rgb: Tensor, opacity: Tensor) -> Tensor:
    """Colours (3, H, W) that continue a few pixels beyond what is not transparent, and are 0 from there on."""
    shown = (opacity > 1 / 512).float()
    size = 2 * COLOUR_MARGIN + 1
    count = F.avg_pool2d(shown[None], size, 1, COLOUR_MARGIN)[0]
    around = F.avg_pool2d((rgb * shown)[None], size, 1, COLOUR_MARGIN)[0] / count.clamp(min=1e-6)
    return torch.where(shown > 0, rgb, around * (count > 0))
