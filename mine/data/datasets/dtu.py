"""DTU (Jensen et al., "Large Scale Multi-view Stereopsis Evaluation", 2014) as MVSNet's authors prepared it."""

from pathlib import Path

import numpy as np
import torch

from mine.data.arrays import Float64s
from mine.data.base.image_pairs import Pair, other_targets
from mine.data.base.metric_pairs import MetricPairs
from mine.data.base.pinhole import pinhole
from mine.data.base.split import split_names
from mine.data.sfm.capture import NO_IDS, NO_POINTS, PosedImage
from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError
from mine.inputs.files import read_text, reason
from mine.inputs.folders import matching
from mine.scene.camera import check_poses

UNIT = 425.0
"""Millimetres that make the unit of length: the depth at which the scans begin."""

IMAGE_SIZE = (512, 640)
"""(H, W) of the images."""

DOWNSCALE = 4
"""The cameras in Cameras/train are those of images downscaled by this factor."""

NEIGHBOURS = 4
"""Target views of each view: the best of the ten that pair.txt lists by score."""

LIGHTS = 7
"""Lighting conditions of each scan."""

TEST_LIGHT = 3

MAX_BYTES = 1 << 20
"""Most bytes of a text file: theirs have some thousand."""

REMEDY = "unpack DTU's Cameras there"


class Dtu(MetricPairs):
    """Pairs of neighbouring views of a scan under the same light. There are no points; `metric` is 1, in `UNIT`.

    Training takes a random target (or `targets` of them) and a random light; evaluation takes every view with its best
    neighbour in light 3, and a report's rows are scans.

    Args:
        root: Folder with `Cameras/pair.txt`, `Cameras/train/00000000_cam.txt`, ... and `Rectified/SCAN_train/` with
            `rect_001_0_r5000.png`, ... (view 0 in light 0). `train.txt` and `test.txt` in it list scans, see
            `split_names`.
        size: (H, W) of the samples, in pixels.
        training: Whether this is the training split.
        seed: Seed of training samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each source view.
        targets: Target views of each source view.

    Raises:
        InputError: Scans or cameras are missing or cannot be read.
    """

    def read(self) -> int:
        self.neighbours = read_pairs(self.root / "Cameras" / "pair.txt")
        cameras = self.root / "Cameras" / "train"
        self.cameras = {number: read_camera(cameras / f"{number:08d}_cam.txt") for number in self.neighbours}
        self.sources = [(scan, number) for scan in self._scans() for number in sorted(self.neighbours)]
        return len(self.sources)

    def pair(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        scan, number = self.sources[index % len(self.sources)]
        near = self.neighbours[number]
        chosen, light = [near[0]], TEST_LIGHT
        if self.training:
            first, light = int(rng.choice(near)), int(rng.integers(LIGHTS))
            chosen = [first, *other_targets(first, near, self.targets - 1, rng)]
        source, target, *others = (self._view(scan, camera, light) for camera in (number, *chosen))
        return Pair(source, target, rng, tuple(others))

    def row(self, index: int) -> str:
        return self.sources[index][0]

    def _view(self, scan: str, number: int, light: int) -> PosedImage:
        lens, pose = self.cameras[number]
        path = self.root / "Rectified" / f"{scan}_train" / f"rect_{number + 1:03d}_{light}_r5000.png"
        return PosedImage(scan, path, lens, pose, NO_POINTS, NO_IDS)

    def _scans(self) -> list[str]:
        folders = self.root / "Rectified"
        found = [path.name.removesuffix("_train") for path in matching(folders, "*_train")]
        names = split_names(self.root, found, self.training, "scan")
        if not names:
            raise InputError(f"no scan is in {folders}: unpack the scans there")
        return names


def read_pairs(path: Path) -> dict[int, list[int]]:
    """Reads the best neighbours of each view, best first.

    The file has a count, then for each view a line with its number and one with "10 view score view score ...".

    Raises:
        InputError: The file cannot be read or lists no neighbours.
    """
    text = read_text(path, "list of views", REMEDY, MAX_BYTES)
    try:
        _, *lines = text.strip().splitlines()
        found = {
            int(number): [int(other) for other in line.split()[1::2]][:NEIGHBOURS]
            for number, line in zip(lines[::2], lines[1::2], strict=True)
        }
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): {REMEDY}") from error
    found = {number: others for number, others in found.items() if others}
    if not found or not {other for others in found.values() for other in others} <= found.keys():
        raise InputError(f"{path} names no neighbours, or some that are none of its views: unpack DTU's Cameras anew")
    return found


def read_camera(path: Path) -> tuple[pycolmap.Camera, Float64s]:
    """Reads a camera from a file with "extrinsic" (4x4), "intrinsic" (3x3) and depths; pixel centres are whole numbers.

    Returns:
        COLMAP's camera, and its pose (4, 4), camera-from-world, in `UNIT`.

    Raises:
        InputError: The file cannot be read or has no camera.
    """
    words = read_text(path, "camera", REMEDY, MAX_BYTES).split()
    try:
        pose: Float64s = np.array(words[1:17], np.float64).reshape(4, 4)
        K = np.array(words[18:27], np.float64).reshape(3, 3)
        if (words[0], words[17]) != ("extrinsic", "intrinsic"):
            raise ValueError("not an extrinsic and an intrinsic matrix")
        check_poses(torch.from_numpy(pose))
        with np.errstate(over="ignore"):
            lens = pinhole(path, np.diag([DOWNSCALE, DOWNSCALE, 1]) @ K, IMAGE_SIZE)
    except (InputError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no readable camera ({reason(error)}): {REMEDY}") from error
    pose[:3, 3] /= UNIT
    return lens, pose
