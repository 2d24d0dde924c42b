"""Changes of camera paths: easing, loops, joints. All of them resample a path between its poses."""

import math
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from mine.errors import InputError
from mine.output.camera_path import CameraPath
from mine.output.key_poses import MAX_FRAMES
from mine.output.path_names import EASINGS
from mine.scene.as_tensor import ArrayLike, as_tensor
from mine.scene.camera import check_poses, pose

JOINT = 15
"""Poses between two joined paths that do not meet."""

CLOSING_STEP = 1.5
"""Largest step from the last to the first pose of a path that loops, in the larger of its first and last: elsewhere it
may have a cut, or run faster. Across a path that does not loop it is two of them at least."""


def as_path(path: ArrayLike | CameraPath) -> CameraPath:
    """The path with its intrinsics, checked.

    Args:
        path: A path; or poses (N, 4, 4), or one pose (4, 4), with the source camera's intrinsics, or off-axis ones.

    Raises:
        InputError: There is no pose, or poses, focal factors or shifts are not finite or not of these shapes.
    """
    if not isinstance(path, CameraPath):
        path = as_tensor(path, "the camera path")
        check_poses(path)
        path = CameraPath.of(path if path.ndim == 3 else path[None])
    check_poses(path.poses)
    if len(path.poses) == 0:
        raise InputError("the camera path has no poses: give at least one")
    if path.focal.shape != path.poses.shape[:1] or not (path.focal.isfinite() & (path.focal > 0)).all():
        raise InputError("the camera path's focal factors must be positive, one for each pose")
    if path.shift is not None and (path.shift.shape != (len(path.poses), 2) or not path.shift.isfinite().all()):
        raise InputError("the camera path's shifts must be finite, (x, y) in focal lengths for each pose")
    return path


def check_frames(frames: int) -> None:
    """Raises InputError unless a path can have so many poses."""
    if not isinstance(frames, Integral) or isinstance(frames, bool) or not 1 <= frames <= MAX_FRAMES:
        raise InputError(f"{frames} frames make no path: give a whole number from 1 to {MAX_FRAMES}")


def ease(
    path: CameraPath | Tensor, easing: str = "in-out", frames: int | None = None, closed: bool = False
) -> CameraPath:
    """Changes the speed along a path; its way stays.

    Args:
        path: The path. It is interpolated between its poses: give several times as many as `frames`.
        easing: "linear" (the speed it has), "in" (starts at rest), "out" (ends at rest), or "in-out" (both).
        frames: Number of poses of the result; by default as many as the path has.
        closed: Whether the path goes on from its last pose to its first one, as those do that loop.

    Returns:
        The path, resampled.

    Raises:
        InputError: For an unknown easing, or no frames.
    """
    path = as_path(path)
    if easing not in EASINGS:
        raise InputError(f"unknown easing {easing!r}: choose {', '.join(EASINGS)}")
    count = len(path.poses) if frames is None else frames
    check_frames(count)
    u = torch.arange(count, dtype=torch.float64) / max(1, count if closed else count - 1)
    eased = {"linear": u, "in": u * u, "out": 1 - (1 - u) ** 2, "in-out": u * u * (3 - 2 * u)}[easing]
    return resample(path, eased * (len(path.poses) - (0 if closed else 1)), closed)


def loop(path: CameraPath | Tensor, frames: int | None = None) -> CameraPath:
    """Closes a path that does not loop: there and back again, at rest at both ends.

    The first pose is not repeated at the end, so that a video that repeats does not stop for a frame.

    Args:
        path: The path; give several times as many poses as `frames` for a smooth way.
        frames: Number of poses of the result; by default as many as the path has.

    Raises:
        InputError: There is no path, or frames are out of range.
    """
    path = as_path(path)
    count = len(path.poses) if frames is None else frames
    check_frames(count)
    u = (1 - (torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)).cos()) / 2
    return resample(path, u * (len(path.poses) - 1))


def join(paths: Sequence[CameraPath | Tensor], joint: int = JOINT) -> CameraPath:
    """Joins paths one after another.

    Args:
        paths: At least one.
        joint: Poses that are inserted, smoothly, where one path does not end beside the start of the next.

    Raises:
        InputError: There is no path, or it is one alone, not in a list.
    """
    if isinstance(paths, Tensor | CameraPath):
        raise InputError(f"the camera paths to join are a {type(paths).__name__}: give a list of paths")
    if not paths:
        raise InputError("no camera paths to join: give at least one")
    parts = [as_path(path) for path in paths]
    joined = [parts[0]]
    for before, after in pairwise(parts):
        ends = concatenate([_one(before, -1), _one(after, 0)])
        step, gap = _largest_step(before), _largest_step(ends)
        if gap > 2 * step:
            u = torch.arange(1, joint + 1, dtype=torch.float64) / (joint + 1)
            joined.append(resample(ends, u * u * (3 - 2 * u)))
        joined.append(after)
    return concatenate(joined)


def is_closed(path: CameraPath) -> bool:
    """Whether a path of three poses at least goes on from its last to its first one by a step like those beside."""
    if len(path.poses) < 3:
        return False
    gap = _largest_step(concatenate([_one(path, -1), _one(path, 0)]))
    beside = (concatenate([_one(path, i), _one(path, i + 1)]) for i in (0, -2))
    return gap <= CLOSING_STEP * max(_largest_step(step) for step in beside)


def concatenate(paths: Sequence[CameraPath]) -> CameraPath:
    """The poses of several paths, one path after another."""
    shifts = [torch.zeros(len(p.poses), 2) if p.shift is None else p.shift.float() for p in paths]
    return CameraPath(
        torch.cat([p.poses.float() for p in paths]), torch.cat([p.focal.float() for p in paths]), torch.cat(shifts)
    )


def resample(path: CameraPath, index: ArrayLike, closed: bool = False) -> CameraPath:
    """A path at places between its poses.

    Camera centres and shifts are interpolated linearly, focal lengths in their logarithms, rotations along the shortest
    way (Shoemake 1985, slerp).

    Args:
        path: N poses.
        index: (M,) numbers of poses, whole or not, in [0, N - 1], or [0, N] if closed, where N is the first one again.
        closed: Whether the path goes on from its last pose to its first one.
    """
    from scipy.spatial.transform import Rotation, Slerp

    if closed:
        path = concatenate([path, _one(path, 0)])
    index = as_tensor(index, "index").double().clamp(0, len(path.poses) - 1)
    if len(path.poses) == 1:
        return concatenate([path] * len(index))
    low = index.floor().long().clamp(max=len(path.poses) - 2)
    weight = (index - low)[:, None]
    poses = path.poses.double()
    rotation = poses[:, :3, :3]
    centre = -(rotation.mT @ poses[:, :3, 3:])[..., 0]
    shift = torch.zeros(len(poses), 2) if path.shift is None else path.shift
    rows = torch.cat([centre, shift.double(), path.focal.double().log()[:, None]], dim=1)
    mixed = (1 - weight) * rows[low] + weight * rows[low + 1]
    turned = Slerp(np.arange(len(poses)), Rotation.from_matrix(rotation.numpy()))(index.numpy()).as_matrix()
    to_camera = torch.from_numpy(turned)
    moved = pose(to_camera, -(to_camera @ mixed[:, :3, None])[..., 0]).float()
    return CameraPath(moved, mixed[:, 5].exp().float(), None if path.shift is None else mixed[:, 3:5].float())


def _one(path: CameraPath, index: int) -> CameraPath:
    """One pose of a path."""
    chosen = slice(index, None if index == -1 else index + 1)
    return CameraPath(path.poses[chosen], path.focal[chosen], None if path.shift is None else path.shift[chosen])


def _largest_step(path: CameraPath) -> float:
    """Largest change of an entry of the pose, of the log focal length or of the shift between two poses."""
    if len(path.poses) < 2:
        return 0.0
    parts = [path.poses.flatten(1), path.focal.log()[:, None], *([] if path.shift is None else [path.shift])]
    return max(float(part.diff(dim=0).abs().max()) for part in parts)
