"""DTU (Jensen et al., "Large Scale Multi-view Stereopsis Evaluation", 2014) as MVSNet's authors prepared it."""

from pathlib import Path

import numpy as np

from mine.data.base.image_pairs import ImagePairs, Pair, further
from mine.data.base.split import split_names
from mine.data.registry import register
from mine.data.sfm.capture import NO_IDS, NO_POINTS, Floats, Picture, Size
from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError

NEAREST = 425.0
"""Millimetres: the depth at which the scans begin becomes the unit of length."""

SIZE = (512, 640)
"""(H, W) of the pictures; the cameras in Cameras/train are those of pictures a quarter as wide and high."""

SHRUNK = 4

NEIGHBOURS = 4
"""Of the ten views that pair.txt lists for each, by score, so many can be targets."""

LIGHTS = 7
EVALUATED_LIGHT = 3


@register("dtu")
class Dtu(ImagePairs):
    """Neighbouring views of a scan in the same light. There are no points; `metric` is 1, the unit NEAREST.

    root: folder with `Cameras/pair.txt`, `Cameras/train/00000000_cam.txt`, ... and `Rectified/SCAN_train/` with
    `rect_001_0_r5000.png`, ..., view 0 in light 0. `train.txt` and `test.txt` in it name scans (scan1), one a line;
    without `train.txt` training takes all that are not in `test.txt`.

    Training draws target (or `targets` of them) and light; index i and i + n (n views of all scans) are the same view
    drawn anew, `epochs` times over, and a sample depends on (seed, index) alone. Evaluation takes every view with the
    one that matches it best, in light 3; a report's rows are scans.

    Raises InputError when scans or cameras are missing or cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        size: Size = (256, 384),
        training: bool = True,
        seed: int = 0,
        epochs: int = 100,
        targets: int = 1,
    ) -> None:
        super().__init__(size, training, points=0, metric=True, targets=targets)
        self.root, self.seed = Path(root), seed
        self.neighbours = read_pairs(self.root / "Cameras" / "pair.txt")
        cameras = self.root / "Cameras" / "train"
        self.cameras = {number: read_camera(cameras / f"{number:08d}_cam.txt") for number in self.neighbours}
        self.sources = [(scan, number) for scan in self._scans() for number in sorted(self.neighbours)]
        self.length = len(self.sources) * (epochs if training else 1)

    def __len__(self) -> int:
        return self.length

    def pair(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        scan, number = self.sources[index % len(self.sources)]
        near = self.neighbours[number]
        chosen, light = [near[0]], EVALUATED_LIGHT
        if self.training:
            first, light = int(rng.choice(near)), int(rng.integers(LIGHTS))
            chosen = [first, *further(first, near, self.targets - 1, rng)]
        source, target, *others = (self._picture(scan, view, light) for view in (number, *chosen))
        return Pair(source, target, rng, tuple(others))

    def row(self, index: int) -> str:
        return self.sources[index][0]

    def _picture(self, scan: str, number: int, light: int) -> Picture:
        lens, pose = self.cameras[number]
        path = self.root / "Rectified" / f"{scan}_train" / f"rect_{number + 1:03d}_{light}_r5000.png"
        return Picture(scan, path, lens, pose, NO_POINTS, NO_IDS)

    def _scans(self) -> list[str]:
        folders = self.root / "Rectified"
        found = sorted(path.name.removesuffix("_train") for path in folders.glob("*_train"))
        names = split_names(self.root, found, self.training, "scan")
        if not names:
            raise InputError(f"no scan is in {folders}: unpack the scans there")
        return names


def read_pairs(path: Path) -> dict[int, list[int]]:
    """For each view its best neighbours, best first: a count, then a view's number and "10 view score view score ...".

    Raises InputError when the file cannot be read or names no neighbours.
    """
    try:
        _, *lines = path.read_text().strip().splitlines()
        found = {
            int(number): [int(other) for other in line.split()[1::2]][:NEIGHBOURS]
            for number, line in zip(lines[::2], lines[1::2], strict=True)
        }
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): unpack DTU's Cameras there") from error
    found = {number: others for number, others in found.items() if others}
    if not found or not {other for others in found.values() for other in others} <= found.keys():
        raise InputError(f"{path} names no neighbours, or some that are none of its views: unpack DTU's Cameras anew")
    return found


def read_camera(path: Path) -> tuple[pycolmap.Camera, Floats]:
    """Lens and pose (4, 4), camera-from-world in units of NEAREST, of a file with "extrinsic", "intrinsic", depths.

    Pixel centres are whole numbers. Raises InputError when it cannot be read or holds no camera.
    """
    try:
        words = path.read_text().split()
        pose: Floats = np.array(words[1:17], np.float64).reshape(4, 4)
        K = np.array(words[18:27], np.float64).reshape(3, 3)
        if (words[0], words[17]) != ("extrinsic", "intrinsic") or min(K[0, 0], K[1, 1]) <= 0:
            raise ValueError("not an extrinsic and an intrinsic matrix")
        if not (np.isfinite(pose).all() and np.isfinite(K).all()):
            raise ValueError("values are not finite")
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no readable camera ({error}): unpack DTU's Cameras there") from error
    pose[:3, 3] /= NEAREST
    params = [*(SHRUNK * np.diag(K)[:2]), *(SHRUNK * K[:2, 2] + 0.5)]  # COLMAP counts from the first pixel's corner
    return pycolmap.Camera(model="PINHOLE", width=SIZE[1], height=SIZE[0], params=params), pose
