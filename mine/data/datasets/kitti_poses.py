"""Poses of KITTI's car, from `poses.txt` or from its GPS and inertial measurement unit (IMU)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mine.data.sfm.capture import Floats
from mine.errors import InputError

EARTH_RADIUS = 6378137.0
"""Metres at the equator."""


def drive_poses(drive: Path, numbers: Sequence[int]) -> list[Floats]:
    """Poses of some frames of a drive.

    `poses.txt` in the drive has a line for each frame: the first 12 numbers of world-from-reference, row by row, as in
    KITTI's odometry benchmark. Without it, `oxts/data/NUMBER.txt` are read.

    Args:
        drive: Folder of the drive.
        numbers: Numbers of the frames.

    Returns:
        Poses (4, 4), reference-from-world, in metres; the reference is the rectified camera 00.

    Raises:
        InputError: A file is missing, or has values that are not finite.
    """
    if (drive / "poses.txt").is_file():
        rows = _numbers(drive / "poses.txt", 12)
        if len(rows) <= max(numbers):
            raise InputError(f"{drive / 'poses.txt'} has {len(rows)} lines: give one for each picture, from 0 on")
        world_from_reference = [np.vstack([rows[number].reshape(3, 4), [0, 0, 0, 1]]) for number in numbers]
        return [np.linalg.inv(pose) for pose in world_from_reference]
    readings = [_numbers(drive / "oxts" / "data" / f"{number:010d}.txt", 6)[0] for number in numbers]
    return [reference_from_unit(drive.parent) @ np.linalg.inv(pose) for pose in unit_poses(np.array(readings))]


def unit_poses(readings: Floats) -> Floats:
    """Poses of the IMU from its readings (Geiger et al. 2013, and their development kit).

    Mercator projection, true to scale at the first latitude φ₀: x = r cos φ₀ λ east, y = r cos φ₀ ln tan(π/4 + φ/2)
    north, z up, from the first reading; R = R_z(yaw) R_y(pitch) R_x(roll).

    Args:
        readings: (N, 6) latitude, longitude (degrees), altitude (metres), roll, pitch, yaw (radians).

    Returns:
        Poses (N, 4, 4), world-from-IMU, in metres.
    """
    latitude, longitude = np.radians(readings[:, :2]).T
    scale = EARTH_RADIUS * np.cos(latitude[0])
    north = scale * np.log(np.tan(np.pi / 4 + latitude / 2))
    poses = np.tile(np.eye(4), (len(readings), 1, 1))
    poses[:, :3, 3] = np.stack([scale * longitude, north, readings[:, 2]], axis=1)
    poses[:, :3, 3] -= poses[0, :3, 3].copy()
    poses[:, :3, :3] = Rotation.from_euler("xyz", readings[:, 3:]).as_matrix()
    return poses


def reference_from_unit(date: Path) -> Floats:
    """Pose (4, 4), reference-from-IMU, by the calibration of a date: through the laser scanner to camera 00."""
    rectify: Floats = np.eye(4)
    rectify[:3, :3] = _calibration(date / "calib_cam_to_cam.txt", "R_rect_00", 9).reshape(3, 3)
    return rectify @ _rigid(date / "calib_velo_to_cam.txt") @ _rigid(date / "calib_imu_to_velo.txt")


def _rigid(path: Path) -> Floats:
    """The rigid transform (4, 4) in a calibration file with R and T."""
    pose: Floats = np.eye(4)
    pose[:3, :3], pose[:3, 3] = _calibration(path, "R", 9).reshape(3, 3), _calibration(path, "T", 3)
    return pose


def _calibration(path: Path, key: str, count: int) -> Floats:
    """The numbers (count,) of one key of a calibration file."""
    try:
        rows = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        values = np.array(rows[key].split(), np.float64)
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise InputError(f"{path} is no readable calibration ({error}): unpack KITTI's calibration there") from error
    if values.shape != (count,) or not np.isfinite(values).all():
        raise InputError(f"{path}: {key} is {values.tolist()}: give {count} numbers")
    return values


def _numbers(path: Path, count: int) -> Floats:
    """The first `count` numbers of each line, (lines, count)."""
    try:
        rows = np.array([line.split()[:count] for line in path.read_text().splitlines() if line.strip()], np.float64)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): unpack the drive's oxts, or give poses.txt") from error
    if rows.ndim != 2 or rows.shape[1] != count or not np.isfinite(rows).all():
        raise InputError(f"{path} has no {count} finite numbers in each line: unpack the drive's oxts anew")
    return rows
