"""What one view of a sample shows and the other hides, where the depth of both is known."""

from typing import NamedTuple

import torch
from torch import Tensor

from mine.data.base.sample import Sample
from mine.render.reference import pixel_grid

OCCLUSION = 0.05
"""Relative depth by which a surface must be nearer than a point to hide it."""


class Uncovered(NamedTuple):
    """Points that the target of each sample sees, in its source, one for each pixel (B, H, W) of the target."""

    pixel: Tensor
    """(B, H, W, 2) pixel of the source onto which the point projects"""
    depth: Tensor
    """(B, 1, H, W) depth in the source camera"""
    hidden: Tensor
    """(B, 1, H, W) whether the source's surface hides the point: disoccluded pixels; False where a depth is unknown"""


def uncovered(views: Sample) -> Uncovered:
    """Projects each pixel of the targets of a batch of samples into the sources."""
    size = (views.depth_tgt.shape[-2], views.depth_tgt.shape[-1])
    rays = torch.linalg.inv(views.K_tgt) @ pixel_grid(size, views.K_tgt).flatten(1)
    pose = torch.linalg.inv(views.T_tgt_src.double()).to(rays)
    points = pose[:, :3, :3] @ (rays * views.depth_tgt.flatten(2)[:, 0][:, None]) + pose[:, :3, 3:]
    projected = views.K_src @ points
    pixel = (projected[:, :2] / projected[:, 2:].clamp(min=1e-6)).mT.unflatten(1, size)
    depth = points[:, 2:].unflatten(2, size)
    nearest, last = pixel.round(), pixel.new_tensor([size[1] - 1, size[0] - 1])
    inside = ((nearest >= 0) & (nearest <= last)).all(-1)[:, None]
    index = nearest.clamp(min=0).minimum(last).long()
    visible = views.depth_src.flatten(1).gather(1, (index[..., 1] * size[1] + index[..., 0]).flatten(1))
    visible = visible.unflatten(1, (1, *size))
    known = inside & (visible > 0) & (views.depth_tgt > 0) & (depth > 0)
    return Uncovered(pixel, depth, known & (visible < depth * (1 - OCCLUSION)))
