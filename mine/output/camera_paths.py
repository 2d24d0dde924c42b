"""Camera paths: functions that return the poses of a clip.

Every path starts from the source camera's neighbourhood and is scaled by `depth`, the depth of the nearest things in
the scene (`near_depth`), so the same path gives the same parallax on a desk and on a mountain. Poses are T_tgt_src,
(N, 4, 4) float32. Paths that loop sample the closed curve without repeating its first frame, so clips repeat smoothly.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mine.errors import InputError
from mine.scene.camera import pose
from mine.scene.depth import near_depth

__all__ = ["PATHS", "CameraPath", "circle", "dolly_zoom", "line", "load", "near_depth"]
__all__ += ["orbit", "spiral", "swing", "wiggle", "zoom"]

SIDEWAYS = 0.08
"""Sideways amplitude in units of the near depth: parallax is plain to see, and little that was hidden shows."""

ROUND = 0.05
"""Radius of circles in units of the near depth: pictures are wider than high, so less room is left up and down."""

FORWARD = 0.25
"""Forward travel in units of the near depth: the nearest things grow by a third."""

RETREAT = 0.5
"""Backward travel of the dolly zoom in units of the near depth: the far background grows by half."""

PIVOT = 2.0
"""Depth of the point the camera looks at, in units of the near depth.

Its disparity is halfway between the nearest things and infinity: both move equally far in the picture, in opposite
directions, which is the least motion at the borders for a given parallax.
"""

Direction = Literal["right", "left", "down", "up", "forward", "back"]

_DIRECTIONS: dict[Direction, tuple[int, int, int]] = {
    "right": (1, 0, 0),
    "left": (-1, 0, 0),
    "down": (0, 1, 0),
    "up": (0, -1, 0),
    "forward": (0, 0, 1),
    "back": (0, 0, -1),
}


class CameraPath(NamedTuple):
    """Poses together with a zoom: `render_video` takes this wherever it takes poses."""

    poses: Tensor
    """(N, 4, 4) target-from-source"""
    focal: Tensor
    """(N,) factors on the focal length of the source camera"""


def swing(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Left and right around the source camera, eyes on a pivot: the default motion. Loops; (frames, 4, 4).

    frames: how many poses. amount: size of the motion, 1 for the default. depth: near depth of the scene.
    Raises InputError unless frames ≥ 1, amount is finite and depth is positive; so do all paths here.
    """
    phase = _phase(frames, amount, depth)
    centre = torch.stack([SIDEWAYS * amount * depth * phase.sin(), 0 * phase, 0 * phase], dim=-1)
    return _looking_at(centre, PIVOT * depth)


def wiggle(frames: int = 30, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """A small quick swing for a GIF that shows depth by shaking it. Loops; (frames, 4, 4)."""
    return swing(frames, amount / 2, depth)


def zoom(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Straight into the scene and out again. Loops; (frames, 4, 4)."""
    there_and_back = (1 - _phase(frames, amount, depth).cos()) / 2
    centre = torch.zeros(frames, 3, dtype=torch.float64)
    centre[:, 2] = FORWARD * amount * depth * there_and_back
    return _facing_ahead(centre)


def circle(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """A circle in the image plane, facing straight ahead: far things stand still. Loops; (frames, 4, 4)."""
    phase = _phase(frames, amount, depth)
    radius = ROUND * amount * depth
    return _facing_ahead(torch.stack([radius * phase.cos(), radius * phase.sin(), 0 * phase], dim=-1))


def orbit(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """A circle around the line of sight, at constant distance from the pivot and looking at it. Loops."""
    phase = _phase(frames, amount, depth)
    pivot = PIVOT * depth
    angle = torch.tensor(ROUND * amount / PIVOT, dtype=torch.float64)
    across, along = pivot * angle.sin(), pivot * (1 - angle.cos())
    return _looking_at(torch.stack([across * phase.cos(), across * phase.sin(), along + 0 * phase], dim=-1), pivot)


def spiral(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Two rounds that lean into the scene and back out, eyes on the pivot. Loops; (frames, 4, 4)."""
    phase = _phase(frames, amount, depth)
    radius = ROUND * amount * depth
    centre = radius * torch.stack([(2 * phase).cos(), (2 * phase).sin(), phase.sin()], dim=-1)
    return _looking_at(centre, PIVOT * depth)


def dolly_zoom(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> CameraPath:
    """Backs away while zooming in: what stands at `depth` keeps its size, the background looms. Loops.

    At distance b behind the source camera, the focal length is (depth + b) / depth times the source's. Backing away
    hides rather than uncovers what lies behind the subject, so nothing needs to be invented.
    Raises InputError also for amount ≤ -2, where the camera would reach the subject.
    """
    behind = RETREAT * amount * depth * (1 - _phase(frames, amount, depth).cos()) / 2
    if amount * RETREAT <= -1:
        raise InputError(f"amount {amount} takes the dolly zoom into its subject: give more than {-1 / RETREAT:g}")
    centre = torch.stack([0 * behind, 0 * behind, -behind], dim=-1)
    return CameraPath(_facing_ahead(centre), (1 + behind / depth).float())


def line(frames: int = 90, amount: float = 1.0, depth: float = 1.0, direction: Direction = "right") -> Tensor:
    """A straight line through the source camera at constant speed, facing straight ahead; (frames, 4, 4).

    Raises InputError for an unknown direction.
    """
    _phase(frames, amount, depth)
    if direction not in _DIRECTIONS:
        raise InputError(f"unknown direction {direction!r}: choose one of {', '.join(_DIRECTIONS)}")
    reach = torch.linspace(-1, 1, frames, dtype=torch.float64) * SIDEWAYS * amount * depth
    return _facing_ahead(reach[:, None] * torch.tensor(_DIRECTIONS[direction]))


PATHS: dict[str, Callable[..., Tensor | CameraPath]] = {
    "swing": swing,
    "wiggle": wiggle,
    "zoom": zoom,
    "circle": circle,
    "orbit": orbit,
    "spiral": spiral,
    "dolly-zoom": dolly_zoom,
    "line": line,
}
"""Paths by the names the command line and the demo use; all take `frames`, `amount` and `depth`."""


def load(path: str | Path, frames: int | None = None) -> CameraPath:
    """A smooth path through key poses in a JSON file:

        {"frames": 90, "keys": [{"position": [0, 0, 0], "rotation": [0, 0, 0], "focal": 1.0}, ...]}

    position: camera centre in source coordinates (x right, y down, z forward), scene units. rotation: degrees of
    [yaw to the right, pitch upwards, roll clockwise], applied in this order about the camera's own axes; by default
    none. focal: factor on the focal length, by default 1. Keys, at least two, are equally far apart in time; the first
    and the last frame are the first and the last key. Positions and log focal lengths follow a natural cubic spline,
    rotations a rotation spline with continuous angular velocity. `frames` overrides the file's own number.

    Raises InputError for a file that is missing, not JSON, or not of this form.
    """
    content = _read_json(path)
    keys = content.get("keys")
    if not isinstance(keys, list) or len(keys) < 2:
        raise InputError(f'{path} has no list of at least two "keys": {_EXAMPLE}')
    frames = content.get("frames") if frames is None else frames
    if not isinstance(frames, int) or frames < 1:
        raise InputError(f'{path} asks for {frames} "frames": give a whole number, 1 or more')
    position = [_numbers(path, key, "position", 3) for key in keys]
    rotation = [_numbers(path, key, "rotation", 3, default=[0, 0, 0]) for key in keys]
    focal = [_numbers(path, key, "focal", 1, default=1.0)[0] for key in keys]
    if min(focal) <= 0:
        raise InputError(f'{path} has a "focal" of {min(focal)}: give a positive factor')
    return _interpolate(position, rotation, focal, frames)


_EXAMPLE = 'give {"frames": 90, "keys": [{"position": [0, 0, 0], "rotation": [0, 0, 0], "focal": 1}, ...]}'


def _read_json(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read camera path {path} ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): {_EXAMPLE}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no camera path: {_EXAMPLE}")
    return content


def _numbers(path: str | Path, key: Any, field: str, count: int, default: Any = None) -> list[float]:
    value = key.get(field, default) if isinstance(key, dict) else None
    values = value if isinstance(value, list) else [value]
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    if len(numbers) != count or len(values) != count:
        raise InputError(f'{path} has a key with "{field}": {value}: give {count} finite number{"s" * (count > 1)}')
    return numbers


def _interpolate(
    position: list[list[float]], rotation: list[list[float]], focal: list[float], frames: int
) -> CameraPath:
    from scipy.interpolate import CubicSpline
    from scipy.spatial.transform import Rotation, RotationSpline

    times = range(len(position))
    at = torch.linspace(0, len(position) - 1, frames, dtype=torch.float64).numpy()
    # Focal lengths multiply, so their logarithms are interpolated: no overshoot can make one negative.
    rows = [[*xyz, math.log(factor)] for xyz, factor in zip(position, focal, strict=True)]
    smooth = torch.from_numpy(CubicSpline(times, rows, bc_type="natural")(at))
    camera_axes = RotationSpline(times, Rotation.from_euler("YXZ", rotation, degrees=True))(at)
    to_camera = torch.from_numpy(camera_axes.inv().as_matrix())
    return CameraPath(_placed(to_camera, smooth[:, :3]), smooth[:, 3].exp().float())


def _phase(frames: int, amount: float, depth: float) -> Tensor:
    """Angles (frames,) once around, without the repeated last one; float64 so that float32 poses are exact."""
    if frames < 1:
        raise InputError(f"{frames} frames make no path: give 1 or more")
    if not math.isfinite(amount):
        raise InputError(f"amount {amount} is not finite: give the size of the motion, 1 for the default")
    if not (math.isfinite(depth) and depth > 0):
        raise InputError(f"depth {depth} is out of range: give the positive depth of the nearest things in the scene")
    return torch.arange(frames, dtype=torch.float64) * (2 * math.pi / frames)


def _facing_ahead(centre: Tensor) -> Tensor:
    return _placed(torch.eye(3, dtype=centre.dtype).expand(len(centre), 3, 3), centre)


def _looking_at(centre: Tensor, pivot: float) -> Tensor:
    """Poses of cameras at centres (N, 3) that look at (0, 0, pivot) without rolling: x stays level."""
    forward = torch.nn.functional.normalize(centre.new_tensor([0, 0, pivot]) - centre, dim=-1)
    down = centre.new_tensor([0, 1, 0]).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    return _placed(torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2), centre)


def _placed(rotation: Tensor, centre: Tensor) -> Tensor:
    """Poses [R, -R c] (N, 4, 4) float32 of cameras with axes R (N, 3, 3) and centres c (N, 3)."""
    return pose(rotation, -(rotation @ centre[..., None])[..., 0]).float()
