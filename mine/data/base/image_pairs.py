"""Samples from pairs of posed images: the base class of data sets of real scenes."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.data.arrays import Float64s, Size
from mine.data.base.crop_window import Window, fit_window
from mine.data.base.resilient import ResilientDataset
from mine.data.base.sample import Sample
from mine.data.sfm.capture import PosedImage

MIN_POINTS = 16
"""Sparse points that a source must see in its crop, enough to fix the scale, and that a target must share."""

NEAR_DEPTH = (1.0, 1.25)
"""Depth to which the nearest surface is scaled: random in this range in training, its middle in evaluation."""

NEAR_QUANTILE = 0.02
"""Quantile of the source's depths that counts as its nearest surface."""

MIN_ZOOM = 0.7
"""Size of the smallest training crop, as a fraction of the largest."""

CACHED_PIXELS = 100_000_000
"""Decoded images that each process keeps in memory, in pixels of three bytes."""


Item = TypeVar("Item")


class Pair(NamedTuple):
    """Two posed images, and the random generator of their crops and points."""

    source: PosedImage
    target: PosedImage
    rng: np.random.Generator
    others: tuple[PosedImage, ...] = ()
    """further target views, if several are requested"""


class ImagePairs(ResilientDataset):
    """Base class of data sets of image pairs; derived classes choose the pairs in `pair`.

    Pixels stay square. Training takes random crops of the size's aspect ratio, 0.7 to 1 times the largest, around the
    same random point in source and target; evaluation takes the largest centre crop. An image that cannot be decoded
    is skipped, see `ResilientDataset`.

    Args:
        size: (H, W) of the samples, in pixels.
        training: Whether samples are random crops.
        points: Number of sparse points in a sample, repeated evenly if there are fewer in its crop.
        metric: Whether lengths stay in the data set's unit; images may then have no points, and `points_src` and
            `points_tgt` are (3, 0). Otherwise samples are scaled so that the nearest surface lies at 1 to 1.25.
        targets: Target views T of each source view in training; if several, fields of a sample are (T, ...).
    """

    border = 0.0
    """Fraction of each side of the target that the evaluation protocol leaves out."""

    def __init__(self, size: Size, training: bool, points: int, metric: bool = False, targets: int = 1) -> None:
        super().__init__()
        self.size, self.training, self.points, self.metric, self.targets = size, training, points, metric, targets
        self._decoded: dict[Path, Image.Image] = {}

    def pair(self, index: int) -> Pair:
        """The pair of sample `index`, the same at every call.

        Raises:
            OSError: A file cannot be read.
        """
        raise NotImplementedError

    def row(self, index: int) -> str:
        """The row of an evaluation report for pair `index`: the name of its scene or protocol."""
        raise NotImplementedError

    def source_of(self, index: int) -> object:
        """A key that is equal for successive evaluation pairs with the same source, which is then predicted once."""
        return index

    def by_source(self) -> list[list[int]]:
        """Indices of the evaluation pairs, grouped by source."""
        return [list(indices) for _, indices in groupby(range(len(self)), key=self.source_of)]

    def make(self, index: int) -> Sample:
        """The sample of pair `index`; with several targets, its fields have a leading dimension of targets."""
        pair = self.pair(index)
        rows = self._make(pair.source, (pair.target, *pair.others), pair.rng)
        return rows[0] if len(rows) == 1 else Sample(*map(torch.stack, zip(*rows, strict=True)))

    def largest_window(self, view: PosedImage) -> Window:
        """The largest centred window of the samples' aspect ratio."""
        return fit_window(view.size, self.size, 1.0, ((view.size[1] - 1) / 2, (view.size[0] - 1) / 2))

    def count_points(self, view: PosedImage, window: Window) -> int:
        """Number of an image's points within a window of it."""
        return int(window.contains(view.project(view.in_camera(view.points))).sum())

    def _make(self, source: PosedImage, targets: Sequence[PosedImage], rng: np.random.Generator) -> list[Sample]:
        """A sample for each target, all with the same crop of the source."""
        views = [source, *targets]
        windows = self._windows(views, rng) if self.training else [self.largest_window(view) for view in views]
        near = rng.uniform(*NEAR_DEPTH) if self.training else sum(NEAR_DEPTH) / 2
        crops = [self._crop(view, window) for view, window in zip(views, windows, strict=True)]
        scale = 1.0 if self.metric else near / np.quantile(crops[0][2][2], NEAR_QUANTILE)
        known = [points * scale for _, _, points in crops]
        sampled = [_sample_points(points, self.points, rng) for points in known]
        depths = [splat(points, K, self.size) for points, (_, K, _) in zip(known, crops, strict=True)]
        K = [torch.from_numpy(K).float() for _, K, _ in crops]
        poses = [view.pose @ np.linalg.inv(source.pose) for view in views]
        for pose in poses:
            pose[:3, 3] *= scale
        return [
            Sample(
                source=crops[0][0],
                target=crops[i][0],
                K_src=K[0],
                K_tgt=K[i],
                T_tgt_src=torch.from_numpy(poses[i]).float(),
                points_src=sampled[0],
                points_tgt=sampled[i],
                depth_src=depths[0],
                depth_tgt=depths[i],
                metric=torch.tensor(float(self.metric)),
            )
            for i in range(1, len(views))
        ]

    def _crop(self, view: PosedImage, window: Window) -> tuple[Tensor, Float64s, Float64s]:
        """The crop (3, H, W), its intrinsics (3, 3), and the points in it (3, N), camera coordinates."""
        height, width = self.size
        image = self._decode(view).resize((width, height), Image.Resampling.BICUBIC, box=window.box)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        points = view.in_camera(view.points)
        return pixels, window.intrinsics(view.K, self.size), points[:, window.contains(view.project(points))]

    def _decode(self, view: PosedImage) -> Image.Image:
        """The decoded image, from memory if it was used lately."""
        image = self._decoded.pop(view.path, None) or view.load()
        self._decoded[view.path] = image  # dicts keep their order: the first is the one unused for longest
        while sum(kept.width * kept.height for kept in self._decoded.values()) > CACHED_PIXELS:
            del self._decoded[next(iter(self._decoded))]
        return image

    def _windows(self, views: Sequence[PosedImage], rng: np.random.Generator) -> list[Window]:
        """Windows of a source and its targets, around a random point that the source and the first target share.

        Without points, they are around the same relative position. With too few points in one, they are the largest.
        """
        zoom, shared = rng.uniform(MIN_ZOOM, 1), shared_points(*views[:2])
        if not shared.size:
            position = rng.uniform(0, 1, 2)
            centres = [position * view.size[::-1] - 0.5 for view in views]
        else:
            point = shared[:, [rng.integers(shared.shape[1])]]
            centres = [view.project(view.in_camera(point))[:, 0] for view in views]
        windows = [fit_window(view.size, self.size, zoom, centre) for view, centre in zip(views, centres, strict=True)]
        inside = [self.count_points(view, window) for view, window in zip(views, windows, strict=True)]
        if shared.size and min(inside) < MIN_POINTS:
            return [self.largest_window(view) for view in views]
        return windows


def other_targets(first: Item, candidates: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` random candidates other than the first, without repetition if there are enough."""
    rest = [item for item in candidates if item != first] or [first]
    return [rest[i] for i in np.resize(rng.permutation(len(rest)), count)] if count else []


def shared_points(source: PosedImage, target: PosedImage) -> Float64s:
    """World points (3, N) that both images see."""
    return source.points[:, np.isin(source.ids, target.ids, assume_unique=True)]


def splat(points: Float64s, K: Float64s, size: Size) -> Tensor:
    """Depth map (1, H, W) of points (3, N), camera coordinates: the least depth at each pixel, 0 without a point."""
    depth: Float64s = np.full(size, np.inf)
    pixel = np.rint((K @ points)[:2] / points[2]).astype(int)
    inside = ((pixel >= 0) & (pixel < np.array([[size[1]], [size[0]]]))).all(0)
    np.minimum.at(depth, (pixel[1, inside], pixel[0, inside]), points[2, inside])
    return torch.from_numpy(np.where(np.isfinite(depth), depth, 0)).float()[None]


def _sample_points(points: Float64s, count: int, rng: np.random.Generator) -> Tensor:
    """`count` of the points (3, N) in random order, repeated evenly if there are fewer; (3, 0) if there are none."""
    chosen = np.resize(rng.permutation(points.shape[1]), count if points.size else 0)
    return torch.from_numpy(points[:, chosen]).float()
