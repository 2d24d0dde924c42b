"""KITTI raw (Geiger et al., "Vision meets Robotics", 2013): stereo pairs from a car, with a known baseline."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mine.data.arrays import Float64s, Size
from mine.data.base.image_pairs import Pair
from mine.data.base.metric_pairs import MetricPairs
from mine.data.base.pinhole import pinhole
from mine.data.base.split import split_names
from mine.data.datasets.kitti_poses import calibrated, drive_poses
from mine.data.sfm.capture import NO_IDS, NO_POINTS, PosedImage
from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.model_files import MAX_SIDE
from mine.errors import InputError
from mine.inputs.folders import is_folder, matching
from mine.inputs.numbers import whole_number

SIDES = ("02", "03")
"""The left and the right colour camera."""

MAX_GAP = 5
"""Largest distance of two frames, a tenth of a second each, that `KittiDrives` pairs."""


class RigCamera(NamedTuple):
    """A rectified camera of the stereo rig."""

    lens: pycolmap.Camera
    """intrinsics"""
    pose: Float64s
    """(4, 4) pose, camera-from-reference-camera, in metres"""


class Kitti(MetricPairs):
    """Stereo pairs. There are no points; `metric` is 1, in metres.

    Training takes either image as the source. Evaluation takes the left one, leaves out the outer 5% of each side of
    the target (Tulsiani et al. 2018), and a report's rows are drives.

    Args:
        root: Folder in KITTI's own layout: `DATE/calib_cam_to_cam.txt`, `DATE/DRIVE/image_02/data/NUMBER.png` (left)
            and `image_03` (right), from the archives "synced+rectified data" and "calibration". `train.txt` and
            `test.txt` in it list drives, see `split_names`.
        size: (H, W) of the samples, in pixels.
        training: Whether this is the training split.
        seed: Seed of training samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each stereo pair.

    Raises:
        InputError: No drive has pairs, a listed drive is missing, or a calibration cannot be read.
    """

    border = 0.05

    def __init__(
        self, root: str | Path, size: Size = (256, 768), training: bool = True, seed: int = 0, epochs: int = 100
    ) -> None:
        super().__init__(root, size, training, seed, epochs)

    def read(self) -> int:
        self.moments: list[tuple[Path, str]] = []
        for drive in self._drives():
            left, right = ({path.name for path in matching(drive / f"image_{side}" / "data", "*.*")} for side in SIDES)
            self.moments += [(drive, name) for name in sorted(left & right)]
        if not self.moments:
            raise InputError(
                f"no DATE/DRIVE/image_02/data with pairs in {self.root}: unpack KITTI's synced+rectified drives"
            )
        self.rigs = {date: read_rig(date / "calib_cam_to_cam.txt") for date in {d.parent for d, _ in self.moments}}
        return len(self.moments)

    def pair(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        drive, name = self.moments[index % len(self.moments)]
        left, right = (
            _view(drive, drive / f"image_{side}" / "data" / name, camera)
            for side, camera in zip(SIDES, self.rigs[drive.parent], strict=True)
        )
        return Pair(right, left, rng) if self.training and rng.random() < 0.5 else Pair(left, right, rng)

    def row(self, index: int) -> str:
        return self.moments[index][0].name

    def _drives(self) -> list[Path]:
        found = {path.name: path for path in matching(self.root, "*/*_sync") if is_folder(path)}
        return [found[name] for name in split_names(self.root, found, self.training, "drive")]


class KittiDrives(Kitti):
    """As `Kitti`, but training pairs any two images of a drive, of either camera, up to `MAX_GAP` frames apart.

    The car's poses come from the drive's `poses.txt` or `oxts`, see `kitti_poses`. Evaluation is that of `Kitti`.

    Raises:
        InputError: As `Kitti`, or poses are missing or not finite.
    """

    def read(self) -> int:
        count = super().read()
        self.poses: dict[Path, dict[str, Float64s]] = {}
        self.numbers: dict[Path, dict[str, int]] = {}
        for drive in {drive for drive, _ in self.moments} if self.training else ():
            numbers = {name: _frame_number(drive, name) for own, name in self.moments if own == drive}
            poses = drive_poses(drive, list(numbers.values()))
            self.poses[drive], self.numbers[drive] = dict(zip(numbers, poses, strict=True)), numbers
        return count

    def pair(self, index: int) -> Pair:
        if not self.training:
            return super().pair(index)
        rng = np.random.default_rng([self.seed, index])
        drive, name = self.moments[index % len(self.moments)]
        numbers, side = self.numbers[drive], int(rng.integers(2))
        # Frames may be missing, so that neighbours in a list are seconds apart.
        near = [
            (other, camera)
            for other, number in numbers.items()
            if abs(number - numbers[name]) <= MAX_GAP
            for camera in (0, 1)
        ]
        near.remove((name, side))
        other = near[rng.integers(len(near))]
        source, target = (self._view_at(drive, name, camera) for name, camera in ((name, side), other))
        return Pair(source, target, rng)

    def _view_at(self, drive: Path, name: str, side: int) -> PosedImage:
        camera = self.rigs[drive.parent][side]
        placed = camera._replace(pose=camera.pose @ self.poses[drive][name])
        return _view(drive, drive / f"image_{SIDES[side]}" / "data" / name, placed)


def read_rig(path: Path) -> tuple[RigCamera, RigCamera]:
    """Reads the rectified left and right colour cameras from KITTI's `calib_cam_to_cam.txt`.

    P_rect_0i = K [I | t] projects rectified reference coordinates to pixels, whose centres are whole numbers; S_rect_0i
    is width and height.

    Raises:
        InputError: These are missing or are no cameras.
    """
    left, right = (_rig_camera(path, side) for side in SIDES)
    return left, right


def _frame_number(drive: Path, name: str) -> int:
    """The number of a frame, from its file's name."""
    number = whole_number(Path(name).stem)
    if number is None:
        raise InputError(f"{drive}: picture {name} has no number for a name: keep KITTI's own names")
    return number


def _rig_camera(path: Path, side: str) -> RigCamera:
    """The camera of the projection matrix P_rect and the size S_rect in a calibration."""
    P = calibrated(path, f"P_rect_{side}", 12).reshape(3, 4)
    width, height = calibrated(path, f"S_rect_{side}", 2).clip(0, MAX_SIDE + 1).round().astype(int).tolist()
    lens = pinhole(path, P[:, :3], (height, width))
    pose: Float64s = np.eye(4)
    pose[:3, 3] = np.linalg.inv(P[:, :3]) @ P[:, 3]
    return RigCamera(lens, pose)


def _view(drive: Path, path: Path, camera: RigCamera) -> PosedImage:
    return PosedImage(drive.name, path, camera.lens, camera.pose, NO_POINTS, NO_IDS)
