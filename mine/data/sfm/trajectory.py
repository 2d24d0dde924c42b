"""Camera files of RealEstate10K: the camera trajectory of a video."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.data.arrays import Float64s
from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError
from mine.inputs.files import read_text
from mine.inputs.numbers import whole_number

NUMBERS = 19
"""Numbers on a line: timestamp, fx, fy, cx, cy, two zeros, and the 3x4 pose."""


MAX_FOCAL = 1000.0
"""Longest focal length, and farthest principal point, in units of the image's width and height."""

MAX_BYTES = 1 << 21
"""Most bytes of a camera file: five minutes of video at 30 frames per second."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The camera of a frame.

    Attributes:
        name: Timestamp in microseconds, which is the name of the image.
        intrinsics: (4,) fx, fy, cx, cy in units of the image's width and height.
        pose: (4, 4) pose, camera-from-world, OpenCV axes.
    """

    name: str
    intrinsics: Float64s
    pose: Float64s

    def camera(self, width: int, height: int) -> pycolmap.Camera:
        """COLMAP's pinhole camera of an image of this size.

        Normalised coordinates count from the image's edge, as COLMAP's pixels do, so none is shifted.
        """
        params = self.intrinsics * [width, height, width, height]
        return pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params)


def read_trajectory(path: Path) -> list[Frame]:
    """Reads a camera file: a line with the video's address, then a line for each frame, in order.

    Raises:
        InputError: The file cannot be read, a line is not 19 finite numbers, or a rotation is not orthogonal.
    """
    remedy = "give a camera file in RealEstate10K's format"
    lines = read_text(path, "camera file", remedy, MAX_BYTES).strip().splitlines()
    if not lines:
        raise InputError(f"{path} cannot be read (it is empty): {remedy}")
    return [_frame(line, f"{path}, line {number}") for number, line in enumerate(lines[1:], start=2)]


def _frame(line: str, location: str) -> Frame:
    """The camera on a line; `location` names the line in error messages."""
    name, *rest = line.split() or [""]
    try:
        values = np.array(rest, dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if len(rest) != NUMBERS - 1 or not np.isfinite(values).all() or whole_number(name) is None:
        raise InputError(f"{location}: not a timestamp and 18 finite numbers: download the camera file again")
    pose: Float64s = np.eye(4)
    pose[:3] = values[6:].reshape(3, 4)
    with np.errstate(all="ignore"):  # of numbers too large to multiply
        orthogonal = np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max() <= 1e-2
    if not orthogonal or (values[:2] <= 0).any() or (values[:4] > MAX_FOCAL).any():
        raise InputError(f"{location}: not a camera with a focal length and a rotation: download the camera file again")
    return Frame(name, values[:4], pose)
