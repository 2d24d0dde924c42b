"""JSON files of key poses: reading and checking them, without torch, so that mistakes are told at once."""

from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

from mine.errors import InputError
from mine.inputs.files import shown

PATH_NAMES = ("swing", "wiggle", "zoom", "circle", "orbit", "spiral", "dolly-zoom", "line")
"""Names of the camera paths in `mine.output.camera_paths.PATHS`."""

MAX_FRAMES = 100_000
"""Most frames of a path: an hour of video."""

MAX_KEYS = 10_000
"""Most key poses of a file."""

MAX_VALUE = 1e6
"""Largest coordinate in scene units, angle in degrees and focal factor."""

MIN_FOCAL = 1e-6
"""Smallest focal factor."""

_EXAMPLE = 'give {"frames": 90, "keys": [{"position": [0, 0, 0], "rotation": [0, 0, 0], "focal": 1}, ...]}'


class KeyPoses(NamedTuple):
    """What a file of key poses holds, a value for each key; see `mine.output.camera_paths.load`."""

    position: list[list[float]]
    rotation: list[list[float]]
    """yaw, pitch and roll in degrees"""
    focal: list[float]
    frames: int
    loop: bool = False
    """whether the path goes on from the last key to the first one, as smoothly as elsewhere"""


def parse_key_poses(path: str | Path, content: Any, frames: int | None = None) -> KeyPoses:
    """The key poses in what a JSON file holds.

    Args:
        path: The JSON file; its form is described at `mine.output.camera_paths.load`.
        content: What it holds.
        frames: Number of poses on the path; by default the file's "frames".

    Raises:
        InputError: It is not of that form (two keys at least).
    """
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no camera path: {_EXAMPLE}")
    keys = content.get("keys")
    if not isinstance(keys, list) or len(keys) < 2:
        raise InputError(f'{path} has no list of at least two "keys": {_EXAMPLE}')
    if len(keys) > MAX_KEYS:
        raise InputError(f'{path} has {len(keys)} "keys": give at most {MAX_KEYS}')
    frames = content.get("frames") if frames is None else frames
    if not isinstance(frames, Integral) or isinstance(frames, bool) or not 1 <= int(frames) <= MAX_FRAMES:
        raise InputError(f'{path} has {shown(frames)} "frames": give a whole number from 1 to {MAX_FRAMES}')
    position = [_values(path, key, "position", 3) for key in keys]
    rotation = [_values(path, key, "rotation", 3, default=[0, 0, 0]) for key in keys]
    focal = [_values(path, key, "focal", 1, default=1.0)[0] for key in keys]
    if min(focal) < MIN_FOCAL:
        raise InputError(f'{path} has a "focal" of {min(focal)}: give a positive factor, at least {MIN_FOCAL:g}')
    loop = content.get("loop", False)
    if not isinstance(loop, bool):
        raise InputError(f'{path} has {shown(loop)} as "loop": give true or false')
    return KeyPoses(position, rotation, focal, int(frames), loop)


def _values(path: str | Path, key: Any, field: str, count: int, default: Any = None) -> list[float]:
    """The `count` finite numbers in a field of a key pose."""
    value = key.get(field, default) if isinstance(key, dict) else None
    entries: list[Any] = value if isinstance(value, list) else [value]
    # NaN, infinity and whole numbers too large for a float are not below the limit either.
    values = [float(v) for v in entries if type(v) in (int, float) and abs(v) <= MAX_VALUE]
    if len(values) != count or len(entries) != count:
        numbers = f"{count} finite number{'s' * (count > 1)}, at most {MAX_VALUE:g}"
        raise InputError(f'{path} has a key with "{field}": {shown(value)}: give {numbers}')
    return values
