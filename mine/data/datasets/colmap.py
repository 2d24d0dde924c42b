"""Training and evaluation pairs from captures in COLMAP's layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.data.base.image_pairs import MIN_POINTS, MIN_ZOOM, ImagePairs, Pair, further, shared_points
from mine.data.registry import Source, register
from mine.data.sfm.capture import Picture, Size, captures_in, read_capture
from mine.errors import InputError

MAX_ANGLE = 25.0
"""Degrees between the view directions of source and target."""

MAX_BASELINE = 0.35
"""Distance of source and target cameras, over the median depth of the source's points."""


@dataclass(frozen=True, kw_only=True)
class ColmapSource(Source):
    """Captures in COLMAP's layout."""

    root: str
    """folder of captures"""
    scenes: tuple[str, ...] = ()
    """names of the captures in `root` to use, all by default"""


class Colmap(ImagePairs):
    """Pairs of pictures from captures: every picture as source, with targets taken from nearby.

    folders: captures, each with `images/` (or `images_2/`, ...) and `sparse/0/` (binary or text). size: (H, W) of the
    samples. Pictures of cameras with lens distortion are undistorted.

    Targets look within 25 degrees of the source's direction from less than 0.35 times its median depth away. Training
    draws one, or `targets` of them; index i and i + n (n sources) are the same source drawn anew, `epochs` times over,
    and a sample depends on (seed, index) alone. Evaluation pairs each source with its nearest two, in order.

    Points are the reliable ones: reprojection error up to 2 px, seen by 3 pictures or more. `metric` is 0. How samples
    are cropped and scaled, and what becomes of unreadable pictures, is `ImagePairs`'.

    Raises InputError for captures that cannot be read or in which no pair is left.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        size: Size = (256, 384),
        training: bool = True,
        points: int = 256,
        seed: int = 0,
        epochs: int = 1000,
        targets: int = 1,
    ) -> None:
        super().__init__(size, training, points, targets=targets)
        if not folders:
            raise InputError("no captures given: name at least one folder with images/ and sparse/0")
        self.seed = seed
        cover = (round(size[0] / MIN_ZOOM), round(size[1] / MIN_ZOOM)) if training else size
        self.sources: list[tuple[Picture, list[Picture]]] = []
        for folder in folders:
            self.sources += self._sources(Path(folder), cover)
        self.pairs = [(source, target) for source, targets in self.sources for target in targets[:2]]
        self.length = len(self.sources) * epochs if training else len(self.pairs)

    def __len__(self) -> int:
        return self.length

    def pair(self, index: int) -> Pair:
        if not self.training:
            # The same draw everywhere: both pairs of a source then have the same points, scale and calibration.
            return Pair(*self.pairs[index], np.random.default_rng(self.seed))
        rng = np.random.default_rng([self.seed, index])
        source, targets = self.sources[index % len(self.sources)]
        target = targets[rng.integers(len(targets))]
        return Pair(source, target, rng, tuple(further(target, targets, self.targets - 1, rng)))

    def row(self, index: int) -> str:
        return self.pairs[index][0].scene

    def source_of(self, index: int) -> object:
        return self.pairs[index][0]

    def _sources(self, folder: Path, cover: Size) -> list[tuple[Picture, list[Picture]]]:
        pictures = read_capture(folder, cover)
        useful = [picture for picture in pictures if self.points_in(picture, self.widest(picture)) >= MIN_POINTS]
        if not useful:
            most = max(len(picture.ids) for picture in pictures)
            raise InputError(
                f"{folder}: no picture sees {MIN_POINTS} reliable points (at most {most}): capture with more overlap"
            )
        found = [(source, near_targets(source, useful)) for source in useful]
        found = [(source, targets) for source, targets in found if targets]
        if not found:
            raise InputError(
                f"{folder}: no two cameras are within {MAX_ANGLE} degrees and {MAX_BASELINE} of the scene's depth: "
                "capture with smaller steps"
            )
        return found


@register("colmap", ColmapSource)
def open_captures(
    root: str, scenes: Sequence[str], size: Size, training: bool = True, seed: int = 0, targets: int = 1
) -> Colmap:
    """Pairs of images from the named captures in the folder `root`, or from all captures in it if none is named."""
    folders = [Path(root) / scene for scene in scenes] or captures_in(root)
    return Colmap(folders, size, training, seed=seed, targets=targets)


def near_targets(source: Picture, pictures: Sequence[Picture]) -> list[Picture]:
    """Pictures whose cameras can be targets of `source`, nearest first."""
    reach = MAX_BASELINE * float(np.median(source.in_camera(source.points)[2]))
    found = []
    for other in pictures:
        baseline = float(np.linalg.norm(other.centre - source.centre))
        cosine = float(source.pose[2, :3] @ other.pose[2, :3])
        shared = shared_points(source, other).shape[1]
        close = baseline < reach and cosine > np.cos(np.radians(MAX_ANGLE)) and shared >= MIN_POINTS
        if other is not source and close:
            found.append((baseline, other.path.name, other))
    return [other for _, _, other in sorted(found, key=lambda entry: entry[:2])]
