"""Poses of KITTI's car, from `poses.txt` or from its GPS and inertial measurement unit (IMU)."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from mine.data.arrays import Float64s
from mine.errors import InputError
from mine.inputs.files import read_text, reason, shown
from mine.scene.camera import check_poses

EARTH_RADIUS = 6378137.0
"""Metres at the equator."""

MAX_BYTES = 1 << 24
"""Most bytes of a text file: the poses of 50,000 pictures."""

MAX_LATITUDE = 85.0
"""Degrees, beyond which Mercator's map has no end."""


def drive_poses(drive: Path, numbers: Sequence[int]) -> list[Float64s]:
    """Poses of some frames of a drive.

    `poses.txt` in the drive has a line for each frame: the first 12 numbers of world-from-reference, row by row, as in
    KITTI's odometry benchmark. Without it, `oxts/data/NUMBER.txt` are read.

    Args:
        drive: Folder of the drive.
        numbers: Numbers of the frames.

    Returns:
        Poses (4, 4), reference-from-world, in metres; the reference is the rectified camera 00.

    Raises:
        InputError: A file is missing, or has values that are not finite or no poses.
    """
    if os.path.lexists(drive / "poses.txt"):
        rows = _numbers(drive / "poses.txt", 12)
        if len(rows) <= max(numbers):
            raise InputError(f"{drive / 'poses.txt'} has {len(rows)} lines: give one for each picture, from 0 on")
        world_from_reference = np.stack([np.vstack([rows[number].reshape(3, 4), [0, 0, 0, 1]]) for number in numbers])
        _check(drive / "poses.txt", world_from_reference)
        return list(np.linalg.inv(world_from_reference))
    readings = np.array([_numbers(drive / "oxts" / "data" / f"{number:010d}.txt", 6)[0] for number in numbers])
    if np.abs(readings[:, 0]).max() > MAX_LATITUDE:
        raise InputError(f"{drive / 'oxts'} has latitudes beyond {MAX_LATITUDE} degrees: unpack the drive's oxts anew")
    reference, poses = reference_from_unit(drive.parent), unit_poses(readings)
    _check(drive.parent, reference)
    _check(drive / "oxts", poses)
    return list(reference @ np.linalg.inv(poses))


def _check(place: Path, poses: Float64s) -> None:
    """Raises InputError, which names `place`, unless poses (..., 4, 4) are such."""
    try:
        check_poses(torch.from_numpy(poses))
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def unit_poses(readings: Float64s) -> Float64s:
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


def reference_from_unit(date: Path) -> Float64s:
    """Pose (4, 4), reference-from-IMU, by the calibration of a date: through the laser scanner to camera 00."""
    rectify: Float64s = np.eye(4)
    rectify[:3, :3] = calibrated(date / "calib_cam_to_cam.txt", "R_rect_00", 9).reshape(3, 3)
    return rectify @ _rigid(date / "calib_velo_to_cam.txt") @ _rigid(date / "calib_imu_to_velo.txt")


def _rigid(path: Path) -> Float64s:
    """The rigid transform (4, 4) in a calibration file with R and T."""
    pose: Float64s = np.eye(4)
    pose[:3, :3], pose[:3, 3] = calibrated(path, "R", 9).reshape(3, 3), calibrated(path, "T", 3)
    return pose


def calibrated(path: Path, key: str, count: int) -> Float64s:
    """The numbers (count,) of one key of a calibration file. Raises InputError if it has them not, or not finite."""
    lines = read_text(path, "calibration", "unpack KITTI's calibration there", MAX_BYTES).splitlines()
    text = next((line.partition(":")[2] for line in reversed(lines) if line.partition(":")[0] == key), "")
    try:
        values = np.array(text.split(), np.float64)
    except ValueError:
        values = np.zeros(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise InputError(f"{path} is no readable calibration: {key} is {shown(text.strip())}: give {count} numbers")
    return values


def _numbers(path: Path, count: int) -> Float64s:
    """The first `count` numbers of each line, (lines, count)."""
    remedy = "unpack the drive's oxts, or give poses.txt"
    text = read_text(path, "list of numbers", remedy, MAX_BYTES)
    try:
        rows = np.array([line.split()[:count] for line in text.splitlines() if line.strip()], np.float64)
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): {remedy}") from error
    if rows.ndim != 2 or rows.shape[1] != count or not np.isfinite(rows).all():
        raise InputError(f"{path} has no {count} finite numbers in each line: unpack the drive's oxts anew")
    return rows
