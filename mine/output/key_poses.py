"""JSON files of key poses: reading and checking them, without torch, so that mistakes are told at once."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from mine.errors import InputError

PATH_NAMES = ("swing", "wiggle", "zoom", "circle", "orbit", "spiral", "dolly-zoom", "line")
"""Names of the camera paths in `mine.output.camera_paths.PATHS`."""

MAX_FRAMES = 100_000
"""Most frames of a path: an hour of video."""

_EXAMPLE = 'give {"frames": 90, "keys": [{"position": [0, 0, 0], "rotation": [0, 0, 0], "focal": 1}, ...]}'


class KeyPoses(NamedTuple):
    """What a file of key poses holds, a value for each key; see `mine.output.camera_paths.load`."""

    position: list[list[float]]
    rotation: list[list[float]]
    """yaw, pitch and roll in degrees"""
    focal: list[float]
    frames: int


def read_key_poses(path: str | Path, frames: int | None = None) -> KeyPoses:
    """Reads the key poses in a JSON file.

    Args:
        path: The JSON file; its form is described at `mine.output.camera_paths.load`.
        frames: Number of poses on the path; by default the file's "frames".

    Raises:
        InputError: When the file is missing, not JSON, or not of that form (two keys at least).
    """
    content = _read_json(path)
    keys = content.get("keys")
    if not isinstance(keys, list) or len(keys) < 2:
        raise InputError(f'{path} has no list of at least two "keys": {_EXAMPLE}')
    frames = content.get("frames") if frames is None else frames
    if not isinstance(frames, int) or isinstance(frames, bool) or not 1 <= frames <= MAX_FRAMES:
        raise InputError(f'{path} has {frames} "frames": give a whole number from 1 to {MAX_FRAMES}')
    position = [_values(path, key, "position", 3) for key in keys]
    rotation = [_values(path, key, "rotation", 3, default=[0, 0, 0]) for key in keys]
    focal = [_values(path, key, "focal", 1, default=1.0)[0] for key in keys]
    if min(focal) <= 0:
        raise InputError(f'{path} has a "focal" of {min(focal)}: give a positive factor')
    return KeyPoses(position, rotation, focal, frames)


def _read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))  # Windows editors put a byte order mark first
    except OSError as error:
        raise InputError(f"cannot read camera path {path} ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}): {_EXAMPLE}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no camera path: {_EXAMPLE}")
    return content


def _values(path: str | Path, key: Any, field: str, count: int, default: Any = None) -> list[float]:
    """The `count` finite numbers in a field of a key pose."""
    value = key.get(field, default) if isinstance(key, dict) else None
    entries = value if isinstance(value, list) else [value]
    values = [float(v) for v in entries if isinstance(v, (int, float)) and math.isfinite(v)]
    if len(values) != count or len(entries) != count:
        raise InputError(f'{path} has a key with "{field}": {value}: give {count} finite number{"s" * (count > 1)}')
    return values
