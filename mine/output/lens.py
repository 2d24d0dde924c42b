"""Depth of field: a thin lens, sampled by pinhole cameras all over its aperture.

Every camera shifts its principal point so that the plane in focus keeps still (off-axis projection), and the mean of
their views is the picture of the lens: what hides what, at the rims of blurred things too, is that of each camera.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.output.camera_path import CameraPath
from mine.render import View
from mine.scene.camera import resize_intrinsics, shift_principal_point
from mine.scene.depth import depth_range, near_depth
from mine.scene.mpi import MPI

SAMPLES = (24, 72)
"""Fewest and most cameras in the aperture."""

PIXELS_PER_SAMPLE = 12
"""Area of the largest blur disc, in pixels, for each camera."""

MAX_RADIUS = 0.1
"""Largest radius of the aperture in near depths: a larger one would look behind things where nothing is known."""

GAMMA = 2.2
"""Views are averaged as light, not as code values, so that highlights stay bright."""

BLUR_MAGNIFICATION = 2
"""Ratio of the largest blurred views to the planes."""

SHARP = (0.25, 1.0)
"""Diameters of blur in pixels of the blurred views up to which all detail is added, and from which on none."""

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Lens(NamedTuple):
    """A lens and where it is in focus."""

    radius: float
    """of the aperture, in scene units"""
    focus: Tensor
    """(N,) depths in focus in scene units, from the source camera; one for each pose"""


def make_lens(scene: MPI, aperture: float, focus: tuple[float, float], frames: int) -> Lens:
    """Makes a lens for a path.

    Args:
        scene: The scene.
        aperture: Diameter of the blur of the nearest things when the farthest are in focus, in per cent of the width.
        focus: Where the lens is in focus at the first and at the last pose: 0 is the nearest things, 1 the farthest, in
            between linear in disparity. It moves from rest to rest.
        frames: Number N of poses.

    Returns:
        The lens; its radius is at most `MAX_RADIUS` near depths.
    """
    near, far = depth_range(scene)
    u = torch.linspace(0, 1, frames)
    at = focus[0] + (focus[1] - focus[0]) * u * u * (3 - 2 * u)
    disparity = 1 / near + at * (1 / far - 1 / near)
    focal = float(scene.K[0, 0]) / scene.plane_size[1]
    radius = aperture / 100 / 2 / focal / (1 / near - 1 / far)
    return Lens(min(radius, MAX_RADIUS * near_depth(scene)), 1 / disparity)


def render_lens(
    scene: MPI, path: CameraPath, K: Tensor, size: tuple[int, int], lens: Lens, chunk: int
) -> Iterator[View]:
    """Renders the pictures of a lens along a path, one at a time.

    Where a picture is larger than `BLUR_MAGNIFICATION` planes, the cameras all over the lens render it smaller: what
    is blurred has no detail. The middle of the lens adds the detail of what is in focus.

    Args:
        scene: The scene.
        path: N poses.
        K: (N, 3, 3) intrinsics in pixels of `size`.
        size: (H, W) of the pictures.
        lens: The lens.
        chunk: Views rendered per call.

    Yields:
        One view for each pose; its depth and mask are those of the middle of the lens.
    """
    shrink = min(1.0, BLUR_MAGNIFICATION * max(scene.plane_size) / max(size))
    small = (max(2, round(size[0] * shrink)), max(2, round(size[1] * shrink)))
    chunk = max(1, round(chunk / shrink**2))
    coarse = resize_intrinsics(K, size, small)
    # Things are most out of focus at one of the ends of the scene.
    defocus = max(float((1 / lens.focus - 1 / end).abs().max()) for end in depth_range(scene))
    blur = 2 * lens.radius * float(coarse[:, 0, 0].max()) * defocus
    offsets = lens.radius * disc_points(round(math.pi / 4 * blur * blur / PIXELS_PER_SAMPLE))
    for pose, fine, rough, focus in zip(path.poses.float(), K, coarse, lens.focus, strict=True):
        distance = (focus + pose[2, 3]).clamp(min=1e-3 * float(focus))
        rgb = _mean_view(scene, pose, rough, small, offsets, distance, chunk)
        middle = scene.render(pose[None], fine[None], size)
        if small != size:
            plain = scene.render(pose[None], rough[None], small).rgb
            rgb, plain = (F.interpolate(x, size, mode="bilinear") for x in (rgb, plain))
            blurred = 2 * lens.radius * fine[0, 0] * (1 / middle.depth - 1 / distance).abs() * shrink
            sharp = 1 - ((blurred - SHARP[0]) / (SHARP[1] - SHARP[0])).clamp(0, 1)
            rgb = (rgb + sharp * (middle.rgb - plain)).clamp(0, 1)
        yield middle._replace(rgb=rgb)


def _mean_view(
    scene: MPI, pose: Tensor, K: Tensor, size: tuple[int, int], offsets: Tensor, distance: Tensor, chunk: int
) -> Tensor:
    """The mean (1, 3, H, W) of views from all `offsets` (M, 2) that keep the plane at a distance in front still."""
    poses = pose.repeat(len(offsets), 1, 1)
    poses[:, :2, 3] -= offsets
    shifted = shift_principal_point(K.expand(len(offsets), 3, 3), offsets / distance)
    light = torch.zeros(1, 3, *size, device=scene.K.device)
    for start in range(0, len(offsets), chunk):
        part = slice(start, start + chunk)
        light += scene.render(poses[part], shifted[part], size).rgb.pow(GAMMA).sum(0, keepdim=True)
    return (light / len(offsets)).pow(1 / GAMMA)


def disc_points(count: int) -> Tensor:
    """Points (M, 2) spread evenly over the unit disc (Vogel 1979); M is `count` within the bounds `SAMPLES`."""
    count = max(SAMPLES[0], min(SAMPLES[1], count))
    number = torch.arange(count) + 0.5
    radius, angle = (number / count).sqrt(), number * GOLDEN_ANGLE
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points - points.mean(0)
