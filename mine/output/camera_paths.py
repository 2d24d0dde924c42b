"""Camera paths: functions that return one camera pose for each frame of a clip.

A pose is T_tgt_src, which maps source-camera to target-camera coordinates (x right, y down, z forward): X_tgt = R X_src
+ t. Every path moves near the source camera and is scaled by `depth`, the scene's near depth (`near_depth`): the same
path then has the same parallax on a desk and on a mountain. `scene_path` makes a path of a scene: with that depth, and
less motion sideways where a long lens magnifies it. Paths that loop sample a closed curve without repeating its
first pose, so clips repeat smoothly.

A camera that moves sideways keeps facing ahead, and its principal point shifts so that the plane at the pivot's depth
keeps exactly still (`mine.scene.camera.OffAxisPoses`). Turned towards the pivot, it would show every flat thing as a
trapezium that tilts to and fro: `orbit` does so, and `swing` if asked to.
"""

import math
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mine.errors import InputError
from mine.output.camera_path import CameraPath
from mine.output.foreign_paths import ForeignPath, read_path_file
from mine.output.key_poses import KeyPoses
from mine.output.path_edits import as_path, check_frames, ease, join, loop, resample
from mine.output.path_files import save_path
from mine.scene.camera import OffAxisPoses, pose
from mine.scene.depth import near_depth
from mine.scene.mpi import MPI, check_is_scene

__all__ = ["PATHS", "CameraPath", "Direction", "circle", "dolly_zoom", "line", "load", "near_depth"]
__all__ += ["as_path", "ease", "join", "loop", "orbit", "resample", "save_path", "scene_path", "spiral", "swing"]
__all__ += ["wiggle", "zoom"]

SIDEWAYS = 0.08
"""Amplitude of sideways motion in near depths: parallax is plain to see, and little disoccluded background shows."""

RADIUS = 0.05
"""Radius of circles in near depths: photos are wider than high, so there is less room up and down than sideways."""

FORWARD = 0.25
"""Forward motion of `zoom` in near depths: the nearest things grow by a third."""

BACKWARD = 0.5
"""Backward motion of the dolly zoom in near depths: the far background grows by half."""

PIVOT = 2.0
"""Depth of what keeps still while the camera moves sideways, in near depths.

Its disparity is halfway between the nearest things and infinity: both move equally far in the image, in opposite
directions, which is the least motion at the borders for a given parallax.
"""

LONGEST_FOCAL = 1.4
"""Focal length in longer sides of the photo, a little more than that of a normal lens (50 mm on 36x24 mm), up to which
`scene_path` moves cameras by their amplitudes. A longer lens magnifies parallax as it magnifies all else: cameras move
less by as much, so that the nearest things move by at most 5.6 % of the photo's longer side to each side of where they
are, at the default amount."""

ALONG = ("zoom", "dolly-zoom")
"""Paths along the optical axis: what they show moves in proportion to its place in the image, whatever the lens."""

Direction = Literal["right", "left", "down", "up", "forward", "back"]

_DIRECTIONS: dict[Direction, tuple[int, int, int]] = {
    "right": (1, 0, 0),
    "left": (-1, 0, 0),
    "down": (0, 1, 0),
    "up": (0, -1, 0),
    "forward": (0, 0, 1),
    "back": (0, 0, -1),
}


def swing(frames: int = 90, amount: float = 1.0, depth: float = 1.0, turn: bool = False) -> Tensor:
    """Moves left and right through the source camera, keeping the pivot still: the default path. It loops.

    Args:
        frames: Number of poses, at least 1.
        amount: Factor on the size of the motion; 1 is the default motion, negative values reverse it.
        depth: Near depth of the scene in scene units, positive; see `near_depth`.
        turn: Turn the camera towards the pivot, as a person walking past does, instead of shifting the principal point.

    Returns:
        Target-from-source poses (frames, 4, 4), float32; unless they turn, `OffAxisPoses`.

    Raises:
        InputError: When an argument is out of range.
    """
    phase = _phase(frames, amount, depth)
    centre = torch.stack([SIDEWAYS * amount * depth * phase.sin(), 0 * phase, 0 * phase], dim=-1)
    return _looking_at(centre, PIVOT * depth) if turn else _off_axis(centre, depth)


def wiggle(frames: int = 30, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Swings half as far, with few frames: a quick motion for a GIF. It loops. Arguments as for `swing`."""
    return swing(frames, amount / 2, depth)


def zoom(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Moves straight forward into the scene and back again. It loops. Arguments as for `swing`."""
    there_and_back = (1 - _phase(frames, amount, depth).cos()) / 2
    centre = torch.zeros(frames, 3, dtype=torch.float64)
    centre[:, 2] = FORWARD * amount * depth * there_and_back
    return _facing_ahead(centre)


def circle(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Moves on a circle in the image plane, keeping the pivot still. It loops. Arguments as for `swing`."""
    phase = _phase(frames, amount, depth)
    radius = RADIUS * amount * depth
    return _off_axis(torch.stack([radius * phase.cos(), radius * phase.sin(), 0 * phase], dim=-1), depth)


def orbit(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Moves on a circle around the optical axis, at constant distance from the pivot and looking at it. It loops.

    Arguments as for `swing`.
    """
    phase = _phase(frames, amount, depth)
    pivot = PIVOT * depth
    angle = torch.tensor(RADIUS * amount / PIVOT, dtype=torch.float64)
    across, along = pivot * angle.sin(), pivot * (1 - angle.cos())
    return _looking_at(torch.stack([across * phase.cos(), across * phase.sin(), along + 0 * phase], dim=-1), pivot)


def spiral(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> Tensor:
    """Circles twice while moving forward and back once, around the pivot. It loops. Arguments as for `swing`.

    The form of the render path of LLFF (Mildenhall et al. 2019), whose camera turns towards the pivot.
    """
    phase = _phase(frames, amount, depth)
    radius = RADIUS * amount * depth
    centre = radius * torch.stack([(2 * phase).cos(), (2 * phase).sin(), phase.sin()], dim=-1)
    return _off_axis(centre, depth)


def dolly_zoom(frames: int = 90, amount: float = 1.0, depth: float = 1.0) -> CameraPath:
    """Moves backward while zooming in: things at `depth` keep their size and the background grows. It loops.

    At distance b behind the source camera the focal length is (depth + b) / depth times the source's. Moving backward
    disoccludes nothing behind the subject.

    Args:
        frames: Number of poses, at least 1.
        amount: Factor on the size of the motion, above -2, where the camera would reach the subject.
        depth: Depth of the subject in scene units, positive; by `near_depth` it is the nearest thing.

    Returns:
        Poses and focal factors.

    Raises:
        InputError: When an argument is out of range.
    """
    behind = BACKWARD * amount * depth * (1 - _phase(frames, amount, depth).cos()) / 2
    if amount * BACKWARD <= -1:
        raise InputError(f"amount {amount} takes the dolly zoom into its subject: give more than {-1 / BACKWARD:g}")
    centre = torch.stack([0 * behind, 0 * behind, -behind], dim=-1)
    return CameraPath(_facing_ahead(centre), (1 + behind / depth).float())


def line(frames: int = 90, amount: float = 1.0, depth: float = 1.0, direction: Direction = "right") -> Tensor:
    """Moves on a straight line through the source camera at constant speed. It does not loop.

    Sideways, the pivot keeps still.

    Args:
        frames: Number of poses, at least 1.
        amount: Factor on the size of the motion.
        depth: Near depth of the scene in scene units, positive.
        direction: Where the camera moves: right, left, down, up, forward or back.

    Returns:
        Target-from-source poses (frames, 4, 4), float32, as `swing` returns them.

    Raises:
        InputError: When an argument is out of range, or for an unknown direction.
    """
    _phase(frames, amount, depth)
    if direction not in _DIRECTIONS:
        raise InputError(f"unknown direction {direction!r}: choose one of {', '.join(_DIRECTIONS)}")
    offset = torch.linspace(-1, 1, frames, dtype=torch.float64) * SIDEWAYS * amount * depth
    return _off_axis(offset[:, None] * torch.tensor(_DIRECTIONS[direction]), depth)


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
"""All paths by the names that the command line and the web demo use; each takes `frames`, `amount` and `depth`."""


def scene_path(scene: MPI, name: str = "swing", frames: int | None = None, amount: float = 1.0) -> CameraPath:
    """Makes a path scaled to a scene: what the command line, the web demo and the viewer play.

    Args:
        scene: The scene; its near depth is the path's unit, and its field of view bounds motion sideways.
        name: One of `PATHS`.
        frames: Number of poses; by default the path's own.
        amount: Factor on the size of the motion.

    Returns:
        Poses and focal factors.

    Raises:
        InputError: For an unknown name, or when an argument is out of range.

    Example:
        >>> mine.render_video(scene, mine.paths.scene_path(scene, "orbit"), "orbit.mp4")
    """
    if name not in PATHS:
        raise InputError(f"no camera path {name!r}: choose {', '.join(PATHS)}")
    check_is_scene(scene)
    length = {} if frames is None else {"frames": frames}
    sideways = 1.0 if name in ALONG else lens_factor(scene)
    return as_path(PATHS[name](amount=amount * sideways, depth=near_depth(scene), **length))


def lens_factor(scene: MPI) -> float:
    """Factor on motion sideways in near depths, for a scene's field of view: 1 but for lenses above `LONGEST_FOCAL`."""
    focal = float(scene.intrinsics(scene.size)[0, 0]) / max(scene.size)
    return min(1.0, LONGEST_FOCAL / focal)


def load(path: str | Path, frames: int | None = None, amount: float = 1.0) -> CameraPath:
    """Reads a camera path from a file: key poses, or the path of another program (`mine.output.foreign_paths`).

        {"frames": 90, "keys": [{"position": [0, 0, 0], "rotation": [0, 0, 0], "focal": 1.0}, ...], "loop": false}

    - position: camera centre in source coordinates (x right, y down, z forward), in scene units.
    - rotation: [yaw to the right, pitch upwards, roll clockwise] in degrees, applied in this order about the camera's
      own axes; by default no rotation.
    - focal: factor on the source camera's focal length; by default 1.
    - loop: whether the path goes on from the last key to the first one; by default not.

    Keys are equally far apart in time; the first and the last frame are the first and the last key. Positions and log
    focal lengths follow a cubic spline (natural, or periodic in a loop), rotations a spline with continuous angular
    velocity.

    Args:
        path: A JSON file, or COLMAP's images.txt.
        frames: Number of poses; by default as many as the file says or holds. Saved loops stay closed.
        amount: Factor on the motion of another program's path.

    Returns:
        Poses and focal factors. Paths of other programs are relative to their first camera.

    Raises:
        InputError: When the file is missing, or not of these forms, or takes the camera too far.
    """
    _check_amount(amount)
    found = read_path_file(path, frames, amount)
    if isinstance(found, KeyPoses):
        return _interpolate(found)
    read = _from_foreign(found)
    return read if frames is None else ease(read, "linear", frames, found.loop)


def _from_foreign(found: ForeignPath) -> CameraPath:
    """A path with target-from-source poses."""
    poses = torch.linalg.inv(torch.from_numpy(found.camera_to_source)).float()
    shift = None if found.shift is None else torch.from_numpy(found.shift).float()
    return CameraPath(poses, torch.from_numpy(found.focal).float(), shift)


def _interpolate(keys: KeyPoses) -> CameraPath:
    """The splines of `load` through K key poses."""
    from scipy.interpolate import CubicSpline
    from scipy.spatial.transform import Rotation, RotationSpline

    # Focal lengths multiply, so their logarithms are interpolated: no overshoot of the spline can make one negative.
    rows = [[*xyz, math.log(factor)] for xyz, factor in zip(keys.position, keys.focal, strict=True)]
    rotation, count = keys.rotation, len(rows)
    if keys.loop:
        # The rotations' spline knows no periods: a turn before and one after settle its ends.
        rows, rotation = [*rows, rows[0]], [*rotation, *rotation, *rotation, rotation[0]]
    times = range(len(rows))
    last = count if keys.loop else count - 1
    frame_times = torch.arange(keys.frames, dtype=torch.float64) * last / max(1, keys.frames - (not keys.loop))
    spline = CubicSpline(times, rows, bc_type="periodic" if keys.loop else "natural")
    smooth = torch.from_numpy(spline(frame_times.numpy()))
    turns = RotationSpline(range(len(rotation)), Rotation.from_euler("YXZ", rotation, degrees=True))
    camera_axes = turns(frame_times.numpy() + (count if keys.loop else 0))
    to_camera = torch.from_numpy(camera_axes.inv().as_matrix())
    return CameraPath(_poses(to_camera, smooth[:, :3]), smooth[:, 3].exp().float())


def _phase(frames: int, amount: float, depth: float) -> Tensor:
    """Angles (frames,) in [0, 2 pi), evenly spaced; float64, so that poses are exact when rounded to float32."""
    check_frames(frames)
    _check_amount(amount)
    if not (isinstance(depth, Real) and math.isfinite(depth) and depth > 0):
        raise InputError(f"depth {depth!r} is out of range: give the positive depth of the nearest things in the scene")
    return torch.arange(frames, dtype=torch.float64) * (2 * math.pi / frames)


def _check_amount(amount: float) -> None:
    """Raises InputError unless the size of a motion is a finite number."""
    if not (isinstance(amount, Real) and math.isfinite(amount)):
        raise InputError(f"amount {amount!r} is no finite number: give the size of the motion, 1 for the default")


def _facing_ahead(centre: Tensor) -> Tensor:
    """Poses (N, 4, 4) of cameras at centres (N, 3) with the source camera's orientation."""
    return _poses(torch.eye(3, dtype=centre.dtype).expand(len(centre), 3, 3), centre)


def _off_axis(centre: Tensor, depth: float) -> OffAxisPoses:
    """Poses (N, 4, 4) of cameras at centres (N, 3) that face ahead and keep the pivot of a near depth still."""
    return OffAxisPoses.about(_facing_ahead(centre), PIVOT * depth)


def _looking_at(centre: Tensor, pivot: float) -> Tensor:
    """Poses (N, 4, 4) of cameras at centres (N, 3) that look at (0, 0, pivot) without roll: the x axis stays level.

    SciPy's `Rotation` gives the same poses but takes 0.3 s to import, which every video would wait for.
    """
    forward = normalize(centre.new_tensor([0, 0, pivot]) - centre, dim=-1)
    down = centre.new_tensor([0, 1, 0]).expand_as(forward)
    right = normalize(torch.linalg.cross(down, forward), dim=-1)
    return _poses(torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2), centre)


def _poses(rotation: Tensor, centre: Tensor) -> Tensor:
    """Poses [R, -R c] (N, 4, 4), float32, of cameras with rotations R (N, 3, 3) and centres c (N, 3)."""
    return pose(rotation, -(rotation @ centre[..., None])[..., 0]).float()
