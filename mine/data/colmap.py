"""Training and evaluation pairs from captures in COLMAP's layout."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.capture import Floats, Picture, Size, read_capture
from mine.data.sample import Sample
from mine.data.window import Window, fit_window
from mine.errors import InputError

MAX_ANGLE = 25.0
"""Degrees between the view directions of source and target."""

MAX_BASELINE = 0.35
"""Distance of source and target cameras, over the median depth of the source's points."""

MIN_POINTS = 16
"""Points a source must see inside its crop, enough to fix the scale, and a target must see of them."""

NEAREST = (1.0, 1.25)
"""Depth given to the nearest surface: training draws from this range, evaluation takes its middle."""

NEAREST_QUANTILE = 0.02

MIN_ZOOM = 0.7
"""Smallest training crop, as a share of the largest."""

CACHED_PIXELS = 100_000_000
"""Decoded pictures kept in memory by each process, in pixels of three bytes."""

log = logging.getLogger(__name__)


class Colmap(Dataset[Sample]):
    """Pairs of pictures from captures: every picture as source, with targets taken from nearby.

    folders: captures, each with `images/` (or `images_2/`, ...) and `sparse/0/` (binary or text). size: (H, W) of the
    samples. Pixels stay square: training takes random crops of the size's aspect, 0.7 to 1 times the largest, source
    and target around the same random point; evaluation takes the largest CENTRE CROP of that aspect. Pictures of
    cameras with lens distortion are undistorted.

    Targets look within 25 degrees of the source's direction from less than 0.35 times its median depth away. Training
    draws one; index i and i + n (n sources) are the same source drawn anew, `epochs` times over, and a sample depends
    on (seed, index) alone. Evaluation pairs each source with its nearest two, in order.

    Samples are scaled so that the nearest surface (2% quantile of the source's depths) lies at 1 to 1.25. `points_src`
    and `points_tgt` (3, `points`) are reliable points inside the crops (reprojection error up to 2 px, seen by 3
    pictures or more), repeated evenly where there are fewer; depth maps hold all of them at their nearest pixels.
    `metric` is 0.

    A picture that cannot be decoded is logged, counted in `skipped`, and the next index taken instead.
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
    ) -> None:
        if not folders:
            raise InputError("no captures given: name at least one folder with images/ and sparse/0")
        self.size, self.training, self.points, self.seed = size, training, points, seed
        cover = (round(size[0] / MIN_ZOOM), round(size[1] / MIN_ZOOM)) if training else size
        self.sources: list[tuple[Picture, list[Picture]]] = []
        for folder in folders:
            self.sources += self._sources(Path(folder), cover)
        self.pairs = [(source, target) for source, targets in self.sources for target in targets[:2]]
        self.length = len(self.sources) * epochs if training else len(self.pairs)
        self.skipped = torch.zeros((), dtype=torch.long).share_memory_()
        self._decoded: dict[Path, Image.Image] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(index)
        for attempt in range(len(self.pairs)):
            try:
                return self._sample((index + attempt) % self.length)
            except OSError as error:
                self.skipped += 1
                log.warning("skipped a pair: %s", error)
        raise InputError(
            f"none of {len(self.pairs)} pairs can be decoded: check the pictures of {self.pairs[0][0].scene}"
        )

    def _sources(self, folder: Path, cover: Size) -> list[tuple[Picture, list[Picture]]]:
        pictures = read_capture(folder, cover)
        useful = [picture for picture in pictures if self._points_in(picture, self._widest(picture)) >= MIN_POINTS]
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

    def _sample(self, index: int) -> Sample:
        if not self.training:
            source, target = self.pairs[index]
            windows = self._widest(source), self._widest(target)
            # The same draw everywhere: both pairs of a source then have the same points, scale and calibration.
            return self._make(source, target, windows, sum(NEAREST) / 2, np.random.default_rng(self.seed))
        rng = np.random.default_rng([self.seed, index])
        source, targets = self.sources[index % len(self.sources)]
        target = targets[rng.integers(len(targets))]
        windows = self._windows(source, target, rng)
        return self._make(source, target, windows, rng.uniform(*NEAREST), rng)

    def _make(
        self, source: Picture, target: Picture, windows: tuple[Window, Window], nearest: float, rng: np.random.Generator
    ) -> Sample:
        views = [self._view(picture, window) for picture, window in zip((source, target), windows, strict=True)]
        (image_src, K_src, points_src), (image_tgt, K_tgt, points_tgt) = views
        scale = nearest / np.quantile(points_src[2], NEAREST_QUANTILE)
        points_src, points_tgt = points_src * scale, points_tgt * scale
        T_tgt_src = target.pose @ np.linalg.inv(source.pose)
        T_tgt_src[:3, 3] *= scale
        return Sample(
            source=image_src,
            target=image_tgt,
            K_src=torch.from_numpy(K_src).float(),
            K_tgt=torch.from_numpy(K_tgt).float(),
            T_tgt_src=torch.from_numpy(T_tgt_src).float(),
            points_src=_spread(points_src, self.points, rng),
            points_tgt=_spread(points_tgt, self.points, rng),
            depth_src=splat(points_src, K_src, self.size),
            depth_tgt=splat(points_tgt, K_tgt, self.size),
            metric=torch.tensor(0.0),
        )

    def _view(self, picture: Picture, window: Window) -> tuple[Tensor, Floats, Floats]:
        """The window as an image (3, H, W), its intrinsics (3, 3), and the points in it (3, N), camera coordinates."""
        height, width = self.size
        image = self._decode(picture).resize((width, height), Image.Resampling.BICUBIC, box=window.box)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        points = picture.in_camera(picture.points)
        return pixels, window.intrinsics(picture.K, self.size), points[:, window.contains(picture.project(points))]

    def _decode(self, picture: Picture) -> Image.Image:
        image = self._decoded.pop(picture.path, None) or picture.load()
        self._decoded[picture.path] = image  # dicts keep their order: the first is the one unused for longest
        while sum(kept.width * kept.height for kept in self._decoded.values()) > CACHED_PIXELS:
            del self._decoded[next(iter(self._decoded))]
        return image

    def _widest(self, picture: Picture) -> Window:
        return fit_window(picture.size, self.size, 1.0, ((picture.size[1] - 1) / 2, (picture.size[0] - 1) / 2))

    def _points_in(self, picture: Picture, window: Window) -> int:
        return int(window.contains(picture.project(picture.in_camera(picture.points))).sum())

    def _windows(self, source: Picture, target: Picture, rng: np.random.Generator) -> tuple[Window, Window]:
        """Windows of both pictures around one random point that both see; the widest when points are too few in it."""
        shared = source.points[:, np.isin(source.ids, target.ids, assume_unique=True)]
        zoom, point = rng.uniform(MIN_ZOOM, 1), shared[:, [rng.integers(shared.shape[1])]]
        windows = [
            fit_window(picture.size, self.size, zoom, picture.project(picture.in_camera(point))[:, 0])
            for picture in (source, target)
        ]
        if min(self._points_in(*view) for view in zip((source, target), windows, strict=True)) < MIN_POINTS:
            windows = [self._widest(source), self._widest(target)]
        return windows[0], windows[1]


def near_targets(source: Picture, pictures: Sequence[Picture]) -> list[Picture]:
    """Pictures whose cameras can be targets of `source`, nearest first."""
    reach = MAX_BASELINE * float(np.median(source.in_camera(source.points)[2]))
    found = []
    for other in pictures:
        baseline = float(np.linalg.norm(other.centre - source.centre))
        cosine = float(source.pose[2, :3] @ other.pose[2, :3])
        shared = np.isin(source.ids, other.ids, assume_unique=True).sum()
        close = baseline < reach and cosine > np.cos(np.radians(MAX_ANGLE)) and shared >= MIN_POINTS
        if other is not source and close:
            found.append((baseline, other.path.name, other))
    return [other for _, _, other in sorted(found, key=lambda entry: entry[:2])]


def splat(points: Floats, K: Floats, size: Size) -> Tensor:
    """Depth map (1, H, W) with each point (3, N) at its nearest pixel, the nearest where several meet, 0 elsewhere."""
    depth: Floats = np.full(size, np.inf)
    pixel = np.rint((K @ points)[:2] / points[2]).astype(int)
    inside = ((pixel >= 0) & (pixel < np.array([[size[1]], [size[0]]]))).all(0)
    np.minimum.at(depth, (pixel[1, inside], pixel[0, inside]), points[2, inside])
    return torch.from_numpy(np.where(np.isfinite(depth), depth, 0)).float()[None]


def _spread(points: Floats, count: int, rng: np.random.Generator) -> Tensor:
    """`count` of the points (3, N) in random order, each as often as the others where there are fewer."""
    chosen = np.resize(rng.permutation(points.shape[1]), count)
    return torch.from_numpy(points[:, chosen]).float()
