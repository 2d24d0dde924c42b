"""Simple scenes to judge a network by: what one gets from the photo alone, and from knowing some true depths."""

import numpy as np
import torch
from scipy.interpolate import griddata
from torch import Tensor

from mine.data.base.sample import Sample
from mine.render.reference import pixel_grid
from mine.scene.mpi import MPI

OPAQUE = 0.9999
"""Opacity that passes for solid."""

UPPER_BOUND_PLANES = 64


def one_plane(sample: Sample) -> MPI:
    """The source picture on one plane at the median depth of its points."""
    depth = float(sample.points_src[2].median())
    # A scene has two planes: the second lies right behind the first and shows where that is clear, which is nowhere.
    disparity = torch.tensor([1 / depth, 0.9999 / depth])
    opacity = torch.full((2, *sample.source.shape[-2:]), OPAQUE)
    return _scene(sample.source, opacity, disparity, sample.K_src)


def soup(sample: Sample) -> MPI:
    """The source picture on 64 planes, each pixel at the disparity interpolated between the source's known depths.

    Linear within the points' convex hull, nearest outside. Each pixel is solid from its disparity backwards (what
    comes into view behind an edge continues it), and in part on the plane just in front.
    """
    wanted = interpolated_disparity(sample.depth_src)
    # A little beyond the depths found, so that planes differ even where all depths are one.
    disparity = torch.linspace(1.01 * float(wanted.max()), 0.99 * float(wanted.min()), UPPER_BOUND_PLANES)
    place = (disparity[0] - wanted) / (disparity[0] - disparity[1])
    opacity = (torch.arange(UPPER_BOUND_PLANES)[:, None, None] - place + 1).clamp(0, OPAQUE)
    return _scene(sample.source, opacity, disparity, sample.K_src)


def interpolated_disparity(depth: Tensor) -> Tensor:
    """Disparity (H, W) of every pixel from depth (1, H, W) known at some (not 0)."""
    known = depth[0].numpy() > 0
    places, values = np.argwhere(known), 1 / depth[0].numpy()[known]
    everywhere = np.indices(known.shape).reshape(2, -1).T
    linear = griddata(places, values, everywhere, "linear")
    filled = np.where(np.isnan(linear), griddata(places, values, everywhere, "nearest"), linear)
    return torch.from_numpy(filled.reshape(known.shape)).float()


def _scene(image: Tensor, opacity: Tensor, disparity: Tensor, K: Tensor) -> MPI:
    """Planes that all carry the image (3, H, W), with opacity (S, H, W) < 1 as the source camera sees them."""
    rays = torch.linalg.inv(K) @ pixel_grid((image.shape[-2], image.shape[-1]), K).flatten(1)
    length = torch.linalg.vector_norm(rays, dim=0).view(image.shape[-2:])
    step = torch.cat([torch.diff(1 / disparity), disparity.new_ones(1)])[:, None, None] * length
    sigma = -torch.log1p(-opacity) / step
    return MPI(image.expand(len(disparity), *image.shape), sigma[:, None], disparity, K)
