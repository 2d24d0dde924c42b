"""Camera files as RealEstate10K publishes them: one trajectory through one video."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError

Floats = NDArray[np.float64]

NUMBERS = 19
"""On a line: timestamp, fx, fy, cx, cy, two zeros, and the 3x4 pose."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame's camera.

    name: its timestamp in microseconds, which names the picture. intrinsics: (4,) fx, fy, cx, cy in units of the
    picture's width and height. pose: (4, 4) camera-from-world, OpenCV axes.
    """

    name: str
    intrinsics: Floats
    pose: Floats

    def camera(self, width: int, height: int) -> pycolmap.Camera:
        """COLMAP's pinhole camera of a picture of this size.

        Normalised places count from the picture's edge, as COLMAP's do: 0.5 is the middle in both.
        """
        params = self.intrinsics * [width, height, width, height]
        return pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params)


def read_trajectory(path: Path) -> list[Shot]:
    """Cameras in the file `path`, in its order: the video's address, then a line for each frame.

    Raises InputError when it cannot be read, a line is not 19 finite numbers, or a rotation is none.
    """
    try:
        _, *lines = path.read_text().strip().splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a camera file in RealEstate10K's format") from error
    return [_shot(line, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]


def _shot(line: str, place: str) -> Shot:
    name, *rest = line.split()
    try:
        values = np.array(rest, dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if len(rest) != NUMBERS - 1 or not np.isfinite(values).all() or not name.isdigit():
        raise InputError(f"{place}: not a timestamp and 18 finite numbers: download the camera file again")
    pose: Floats = np.eye(4)
    pose[:3] = values[6:].reshape(3, 4)
    if np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max() > 1e-2 or (values[:2] <= 0).any():
        raise InputError(f"{place}: not a camera with a focal length and a rotation: download the camera file again")
    return Shot(name, values[:4], pose)
