"""Baseline scenes of an evaluation: lower bounds, and an upper bound from structure from motion (SfM)."""

import numpy as np
import torch
from scipy.interpolate import griddata
from torch import Tensor

from mine.data.base.sample import Sample
from mine.render.reference import pixel_grid
from mine.scene.mpi import MPI

OPAQUE = 0.9999
"""Opacity of an opaque plane; 1 would need an infinite density."""

UPPER_BOUND_PLANES = 64


def source_image(sample: Sample) -> None:
    """Baseline "unchanged": no scene, which stands for the source image shown as every target view.

    Args:
        sample: The sample whose source is shown.
    """


def single_plane(sample: Sample) -> MPI:
    """Baseline "one plane": the source image on one fronto-parallel plane at the median depth of its SfM points.

    Views of it are a single homography of the photo.

    Args:
        sample: A sample with SfM points of its source.

    Returns:
        The scene. It has a second plane right behind the first, since an MPI has at least two; nothing shows it.
    """
    depth = float(sample.points_src[2].median())
    disparity = torch.tensor([1 / depth, 0.9999 / depth])
    opacity = torch.full((2, *sample.source.shape[-2:]), OPAQUE)
    return _scene(sample.source, opacity, disparity, sample.K_src)


def sfm_upper_bound(sample: Sample) -> MPI:
    """Baseline "SfM upper bound": what a depth network could reach at best, from the source's own SfM points.

    The source image on 64 planes uniform in disparity, each pixel at the disparity interpolated between the known
    depths of the source. A pixel is opaque from its disparity backwards, so that a surface disoccluded behind an edge
    continues it, and partly opaque on the plane just in front (linear interpolation between two planes).

    Args:
        sample: A sample with SfM points of its source.

    Returns:
        The scene, of 64 planes.
    """
    wanted = interpolated_disparity(sample.depth_src)
    # The range is 1% wider than the depths', so that planes differ even where all depths are equal.
    disparity = torch.linspace(1.01 * float(wanted.max()), 0.99 * float(wanted.min()), UPPER_BOUND_PLANES)
    index = (disparity[0] - wanted) / (disparity[0] - disparity[1])
    opacity = (torch.arange(UPPER_BOUND_PLANES)[:, None, None] - index + 1).clamp(0, OPAQUE)
    return _scene(sample.source, opacity, disparity, sample.K_src)


def interpolated_disparity(depth: Tensor) -> Tensor:
    """Densifies sparse depth: linear in disparity within the convex hull of the known pixels, nearest outside.

    Args:
        depth: Sparse depth (1, H, W), 0 where unknown.

    Returns:
        Disparity (H, W) of every pixel.
    """
    known = depth[0].numpy() > 0
    pixels, values = np.argwhere(known), 1 / depth[0].numpy()[known]
    every_pixel = np.indices(known.shape).reshape(2, -1).T
    linear = griddata(pixels, values, every_pixel, "linear")
    filled = np.where(np.isnan(linear), griddata(pixels, values, every_pixel, "nearest"), linear)
    return torch.from_numpy(filled.reshape(known.shape)).float()


def _scene(image: Tensor, opacity: Tensor, disparity: Tensor, K: Tensor) -> MPI:
    """MPI whose planes all carry the image (3, H, W), with opacity (S, H, W) < 1 along the source camera's rays."""
    rays = torch.linalg.inv(K) @ pixel_grid((image.shape[-2], image.shape[-1]), K).flatten(1)
    length = torch.linalg.vector_norm(rays, dim=0).view(image.shape[-2:])
    step = torch.cat([torch.diff(1 / disparity), disparity.new_ones(1)])[:, None, None] * length
    sigma = -torch.log1p(-opacity) / step
    return MPI(image.expand(len(disparity), *image.shape), sigma[:, None], disparity, K)
