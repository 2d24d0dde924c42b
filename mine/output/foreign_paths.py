"""Camera paths of other programs, read without torch, so that mistakes are told at once.

- nerfstudio's camera path (`.json` with "camera_path"): camera-to-world matrices by rows, and vertical fields of view.
- NeRF's Blender format (`.json` with a list of "frames", usually `transforms.json`), which exporters for Blender write:
  camera-to-world matrices and the horizontal field of view, in radians or as a focal length in pixels.
- COLMAP's `images.txt`: world-to-camera quaternions and translations, in the order of the images' names, with the focal
  lengths of `cameras.txt` if that lies beside it.

The first two have OpenGL's camera axes (x right, y up, z backward), COLMAP those of OpenCV.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mine.errors import InputError
from mine.inputs.files import parsing, read_text, shown
from mine.output.key_poses import MAX_FRAMES, MAX_VALUE, MIN_FOCAL, KeyPoses, parse_key_poses
from mine.scene.pose_tolerances import LAST_ROW_TOLERANCE, ROTATION_TOLERANCE

MAX_BYTES = 1 << 26
"""Most bytes of a file: 400 for each of `MAX_FRAMES` cameras, and COLMAP's hold the points of each image too."""

MAX_LINES = 3 * MAX_FRAMES
"""Most lines of them: two for each image, and comments."""

MAX_REACH = 5.0
"""Farthest that a path of another program may take the camera from where it starts, in scene units: the nearest things
are about 1 away. Saved paths are in the units of their scene, which may be metres."""

MAX_SHIFT = 10.0
"""Farthest that a path may shift the principal point, in focal lengths."""

LEAST_ANGLE = 1e-4
"""Least field of view in radians: telescopes have more."""

_FLIP = np.diag([1.0, -1, -1, 1])
"""Between OpenGL's and OpenCV's camera axes."""

_COLMAP_FOCALS = {"PINHOLE": 2, "OPENCV": 2, "OPENCV_FISHEYE": 2, "FULL_OPENCV": 2}
"""Number of focal lengths of COLMAP's camera models where it is not 1."""


class ForeignPath(NamedTuple):
    """A camera path of another program."""

    camera_to_source: np.ndarray[Any, Any]
    """(N, 4, 4) poses of the cameras in the axes (OpenCV's) of the source camera"""
    focal: np.ndarray[Any, Any]
    """(N,) factors on the source camera's focal length"""
    shift: np.ndarray[Any, Any] | None
    """(N, 2) shifts of the principal point in focal lengths, in files of `mine.output.path_files`"""
    loop: bool = False
    """whether the path goes on from its last pose to its first one, as such files say"""


def is_path_file(name: str) -> bool:
    """Whether the name of a camera path is that of a file."""
    return name.lower().endswith((".json", ".txt"))


def read_path_file(path: str | Path, frames: int | None = None, amount: float = 1.0) -> KeyPoses | ForeignPath:
    """Reads a camera path in any form.

    Args:
        path: A file of key poses (`mine.output.key_poses`), or of another program.
        frames: Number of poses between key poses; by default the file's "frames".
        amount: Factor on the motion of another program's path.

    Returns:
        Key poses, or the path of another program: relative to its first camera, which takes the place of the photo's,
        unless the file says that its world is that of a photo.

    Raises:
        InputError: The file is missing, is of none of these forms, or takes the camera too far.
    """
    if str(path).lower().endswith(".txt"):
        return _placed(path, *_read_colmap(Path(path)), None, amount)
    text = read_text(path, "camera path", "check the name", MAX_BYTES)
    with parsing(f"{path} is not JSON", "give key poses, a camera path of nerfstudio, or transforms.json"):
        content = json.loads(text)
    if isinstance(content, dict) and "camera_path" in content:
        return _placed(path, *_read_nerfstudio(path, content), content.get("mine"), amount)
    if isinstance(content, dict) and isinstance(content.get("frames"), list):
        return _placed(path, *_read_transforms(path, content), content.get("mine"), amount)
    return parse_key_poses(path, content, frames)


def _read_nerfstudio(path: str | Path, content: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Camera-to-world matrices (N, 4, 4) in OpenCV's axes, and focal lengths (N,) in any unit."""
    cameras = _entries(path, content["camera_path"], "camera_path")
    poses, focal = [], []
    for number, camera in enumerate(cameras):
        matrix = _numbers(path, camera.get("camera_to_world"), f'"camera_to_world" of camera {number}', 16)
        (fov,) = _numbers(path, [camera.get("fov", 50)], f'"fov" of camera {number}', 1)
        poses.append(matrix.reshape(4, 4))
        focal.append(_focal(path, math.radians(fov), number))
    return np.stack(poses) @ _FLIP, np.array(focal)


def _read_transforms(path: str | Path, content: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The same of NeRF's Blender format."""
    poses, focal = [], []
    for number, frame in enumerate(_entries(path, content["frames"], "frames")):
        flat = _flattened(frame.get("transform_matrix"))
        poses.append(_numbers(path, flat, f'"transform_matrix" of frame {number}', 16).reshape(4, 4))
        angle, length, width = (frame.get(key, content.get(key)) for key in ("camera_angle_x", "fl_x", "w"))
        if angle is None and (length is None or width is None):
            focal.append(1.0)
        elif angle is not None:
            focal.append(_focal(path, _numbers(path, [angle], f'"camera_angle_x" of frame {number}', 1)[0], number))
        else:
            across = _numbers(path, [length, width], f'"fl_x" and "w" of frame {number}', 2)
            focal.append(_positive(path, across[0] / max(across[1], 1e-9) * 2, number))
    return np.stack(poses) @ _FLIP, np.array(focal)


def _read_colmap(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same of COLMAP's images.txt."""
    images, rest = [], iter(_lines(path, "camera path"))
    for line in rest:
        words = line.split(maxsplit=9)
        if not words or line.startswith("#"):
            continue
        next(rest, None)  # each image's second line has its points, and is empty where it sees none
        try:
            values = [float(word) for word in words[1:8]]
            camera, name = words[8], words[9]
        except (ValueError, IndexError):
            raise InputError(
                f"{path} has a line {shown(line)}: give COLMAP's images.txt (IMAGE_ID, QW ... TZ, CAMERA_ID, NAME)"
            ) from None
        images.append((name, camera, values))
    _check_count(path, len(images), "images")
    focal_lengths = _colmap_focals(path.parent / "cameras.txt")
    poses, focal = [], []
    for number, (_, camera, values) in enumerate(sorted(images)):
        w, x, y, z, *translation = _numbers(path, values, f"image {number}", 7)
        length = math.sqrt(w * w + x * x + y * y + z * z)
        if length < 1e-6:
            raise InputError(f"{path} has a quaternion of length 0 at image {number}: make the model anew with COLMAP")
        w, x, y, z = (value / length for value in (w, x, y, z))
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        world_to_camera[:3, 3] = translation
        poses.append(np.linalg.inv(world_to_camera))
        focal.append(focal_lengths.get(camera, 1.0))
    return np.stack(poses), np.array(focal)


def _lines(path: Path, what: str) -> list[str]:
    """The lines of a text file of COLMAP, which are counted before they are taken apart."""
    text = read_text(path, what, "check the name", MAX_BYTES).lstrip("\ufeff").replace("\r\n", "\n")
    count = text.count("\n")
    if count > MAX_LINES:
        raise InputError(f"{path} has {count} lines: give 1 to {MAX_FRAMES} images")
    return text.split("\n")


def _colmap_focals(path: Path) -> dict[str, float]:
    """Focal lengths by camera in widths of the image, from COLMAP's cameras.txt; none where there is no such file."""
    focals: dict[str, float] = {}
    if not path.is_file():
        return focals
    for line in _lines(path, "camera file"):
        words = line.split()
        if line.startswith("#") or len(words) < 5:
            continue
        try:
            width, *lengths = (float(word) for word in (words[2], *words[4 : 4 + _COLMAP_FOCALS.get(words[1], 1)]))
        except ValueError:
            raise InputError(f"{path} has a line {shown(line)}: give COLMAP's cameras.txt, or remove it") from None
        focals[words[0]] = _positive(path, lengths[0] / max(width, 1e-9), len(focals))
    return focals


def _placed(path: str | Path, poses: np.ndarray, focal: np.ndarray, own: Any, amount: float) -> ForeignPath:
    """The path in the source camera's axes. Raises InputError for matrices that are no poses, and for long ways."""
    rotation = poses[:, :3, :3]
    proper = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2)) < ROTATION_TOLERANCE
    proper &= (np.linalg.det(rotation) > 0) & (np.abs(poses[:, 3] - [0, 0, 0, 1]).max(axis=1) < LAST_ROW_TOLERANCE)
    if not proper.all():
        raise InputError(
            f"{path} has a matrix that is no pose, first that of camera {int(np.argmin(proper))}: "
            "give rotation and translation by rows, without scale"
        )
    left, _, right = np.linalg.svd(rotation)  # the nearest rotations, by Kabsch (1976): what follows multiplies errors
    rotation[:] = left @ right
    shift, loop = None, False
    if isinstance(own, dict):
        loop = own.get("loop") is True
        reference, unit = _FLIP, _positive(path, _numbers(path, [own.get("focal", 1)], '"focal"', 1)[0], 0)
        if own.get("shift") is not None:
            shift = _numbers(path, _flattened(own["shift"]), '"shift"', 2 * len(poses)).reshape(-1, 2) * amount
            if (farthest := float(np.abs(shift).max())) > MAX_SHIFT:
                raise InputError(f'{path} has a "shift" of {farthest:g} focal lengths: give at most {MAX_SHIFT:g}')
    else:
        reference, unit = poses[0], focal[0]
    relative = np.linalg.inv(reference) @ poses
    relative[:, :3, 3] *= amount
    reach = float(np.linalg.norm(relative[:, :3, 3], axis=1).max())
    if reach > MAX_REACH and not isinstance(own, dict):
        raise InputError(
            f"{path} takes the camera {reach:.3g} scene units away, and the nearest things are about 1 away: "
            f"scale its motion with --amount {0.2 * amount / reach:.1g}"
        )
    factor = focal / unit
    if not MIN_FOCAL <= factor.min() <= factor.max() <= MAX_VALUE:
        raise InputError(
            f"{path} has focal lengths of {factor.min():g} to {factor.max():g} times the first: "
            f"give {MIN_FOCAL:g} to {MAX_VALUE:g}"
        )
    return ForeignPath(relative, factor, shift, loop)


def _entries(path: str | Path, value: Any, field: str) -> list[dict[str, Any]]:
    """A list of objects. Raises InputError for anything else."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InputError(f'{path} has a "{field}" that is no list of cameras: export the path anew')
    _check_count(path, len(value), f'"{field}"')
    return value


def _check_count(path: str | Path, count: int, what: str) -> None:
    """Raises InputError for no camera or too many."""
    if not 1 <= count <= MAX_FRAMES:
        raise InputError(f"{path} has {count} {what}: give 1 to {MAX_FRAMES}")


def _numbers(path: str | Path, value: Any, what: str, count: int) -> np.ndarray:
    """`count` finite numbers. Raises InputError for anything else."""
    entries = value if isinstance(value, list) else []
    numbers = [float(v) for v in entries if type(v) in (int, float) and abs(v) < 1e9]
    if len(numbers) != count or len(entries) != count:
        raise InputError(f"{path} has {shown(value)} as {what}: give {count} finite number{'s' * (count > 1)}")
    return np.array(numbers)


def _flattened(rows: Any) -> Any:
    """The values of a list of lists, in turn; anything else as it is."""
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return rows
    return [value for row in rows for value in row]


def _focal(path: str | Path, angle: float, number: int) -> float:
    """Focal length in half widths (or heights) of a field of view in radians."""
    if not LEAST_ANGLE < angle < math.pi:
        raise InputError(f"{path} has a field of view of {math.degrees(angle):g} degrees at camera {number}")
    return 1 / math.tan(angle / 2)


def _positive(path: str | Path, value: float, number: int) -> float:
    """The value. Raises InputError unless it is a positive focal length."""
    if not 0 < value < math.inf:
        raise InputError(f"{path} has a focal length of {value:g} at camera {number}: give a positive one")
    return value
