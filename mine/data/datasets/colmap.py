"""Image pairs from captures in COLMAP's layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mine.data.arrays import Size
from mine.data.base.image_pairs import MIN_POINTS, MIN_ZOOM, ImagePairs, Pair, other_targets, shared_points
from mine.data.sfm.capture import PosedImage, read_capture
from mine.data.sfm.layout import capture_name, captures_in
from mine.errors import InputError

MAX_ANGLE = 25.0
"""Largest angle in degrees between the view directions of source and target."""

MAX_BASELINE = 0.35
"""Largest distance of source and target cameras, as a fraction of the median depth of the source's points."""


class Colmap(ImagePairs):
    """Pairs of nearby images: every image is a source, and `metric` is 0.

    Targets look within `MAX_ANGLE` of the source's direction from within `MAX_BASELINE`. Training takes a random one
    (or `targets` of them), evaluation the two nearest. Points are those with a reprojection error of at most 2 pixels
    that at least 3 images see. Images are undistorted.

    Args:
        folders: Captures, each with `images/` (or `images_2/`, ...) and `sparse/0/` (binary or text).
        size: (H, W) of the samples, in pixels.
        training: Whether samples are random crops and pairs.
        points: Number of sparse points in a sample.
        seed: Seed of training samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each source.
        targets: Target views of each source view.
        root: Folder from which captures are named, if in it; else they are named by their own folder's name.

    Raises:
        InputError: A capture cannot be read or has no pairs.
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
        root: str | Path | None = None,
    ) -> None:
        super().__init__(size, training, points, targets=targets)
        if not folders:
            raise InputError("no captures given: name at least one folder with images/ and sparse/0")
        self.seed = seed
        cover = (round(size[0] / MIN_ZOOM), round(size[1] / MIN_ZOOM)) if training else size
        self.sources: list[tuple[PosedImage, list[PosedImage]]] = []
        for folder in folders:
            self.sources += self._sources(Path(folder), cover, capture_name(Path(folder), root))
        self.pairs = [(source, target) for source, targets in self.sources for target in targets[:2]]
        self.length = len(self.sources) * epochs if training else len(self.pairs)

    def __len__(self) -> int:
        return self.length

    def pair(self, index: int) -> Pair:
        if not self.training:
            # With one seed, both pairs of a source have the same points, scale and calibration.
            return Pair(*self.pairs[index], np.random.default_rng(self.seed))
        rng = np.random.default_rng([self.seed, index])
        source, targets = self.sources[index % len(self.sources)]
        target = targets[rng.integers(len(targets))]
        return Pair(source, target, rng, tuple(other_targets(target, targets, self.targets - 1, rng)))

    def row(self, index: int) -> str:
        return self.pairs[index][0].scene

    def source_of(self, index: int) -> object:
        return self.pairs[index][0]

    def _sources(self, folder: Path, cover: Size, scene: str) -> list[tuple[PosedImage, list[PosedImage]]]:
        """The usable images of a capture, each with its possible targets, nearest first."""
        views = read_capture(folder, cover, scene)
        useful = [view for view in views if self.count_points(view, self.largest_window(view)) >= MIN_POINTS]
        if not useful:
            most = max(len(view.ids) for view in views)
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


def open_captures(
    root: str, scenes: Sequence[str], size: Size, training: bool = True, seed: int = 0, targets: int = 1
) -> Colmap:
    """Image pairs from the captures in the folder `root`, as a `mine.data.sources.ColmapSource` names them.

    Args:
        root: Folder of captures, or a capture itself.
        scenes: Names of captures in `root`; all if none is named.
        size: (H, W) of the samples, in pixels.
        training: Whether samples are random crops and pairs.
        seed: Seed of training samples.
        targets: Target views of each source view.
    """
    folders = [Path(root) / scene for scene in scenes] or captures_in(root)
    return Colmap(folders, size, training, seed=seed, targets=targets, root=root)


def near_targets(source: PosedImage, views: Sequence[PosedImage]) -> list[PosedImage]:
    """Images that can be targets of a source, nearest first."""
    max_baseline = MAX_BASELINE * float(np.median(source.in_camera(source.points)[2]))
    found = []
    for other in views:
        baseline = float(np.linalg.norm(other.centre - source.centre))
        cosine = float(source.pose[2, :3] @ other.pose[2, :3])
        shared = shared_points(source, other).shape[1]
        close = baseline < max_baseline and cosine > np.cos(np.radians(MAX_ANGLE)) and shared >= MIN_POINTS
        if other is not source and close:
            found.append((baseline, other.path.name, other))
    return [other for _, _, other in sorted(found, key=lambda entry: entry[:2])]
