"""Samples from pairs of pictures of real scenes: what data sets have in common, however they choose their pairs."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.data.base.crop_window import Window, fit_window
from mine.data.base.resilient import ResilientDataset
from mine.data.base.sample import Sample
from mine.data.sfm.capture import Floats, Picture, Size

MIN_POINTS = 16
"""Points a source must see inside its crop, enough to fix the scale, and a target must see of them."""

NEAREST = (1.0, 1.25)
"""Depth given to the nearest surface: training draws from this range, evaluation takes its middle."""

NEAREST_QUANTILE = 0.02

MIN_ZOOM = 0.7
"""Smallest training crop, as a share of the largest."""

CACHED_PIXELS = 100_000_000
"""Decoded pictures kept in memory by each process, in pixels of three bytes."""


Item = TypeVar("Item")


class Pair(NamedTuple):
    """What a sample is to show: two pictures, and the random numbers its crops and points are drawn from."""

    source: Picture
    target: Picture
    rng: np.random.Generator
    others: tuple[Picture, ...] = ()
    """further targets, where a data set was asked for several"""


class ImagePairs(ResilientDataset):
    """Samples of `size` (H, W) from pairs of pictures; data sets derive from it and say which pairs in `pair`.

    Pixels stay square: training takes random crops of the size's aspect, 0.7 to 1 times the largest, source and target
    around the same random point; evaluation takes the largest CENTRE CROP of that aspect.

    With `metric` False samples are scaled so that the nearest surface (2% quantile of the source's depths) lies at 1 to
    1.25. `points_src` and `points_tgt` (3, `points`) are those of the pictures inside the crops, repeated evenly where
    there are fewer; depth maps hold all of them at their nearest pixels. With `metric` True lengths stay in the data
    set's own unit, and pictures may have no points: `points_src` and `points_tgt` are then (3, 0), depth maps 0.

    With several `targets` in training, a sample has so many rows, (T, ...) in every field, with the same source.

    A picture that cannot be decoded is skipped, see `ResilientDataset`.
    """

    border = 0.0
    """Share of each side of a target that its protocol leaves out of the figures."""

    def __init__(self, size: Size, training: bool, points: int, metric: bool = False, targets: int = 1) -> None:
        super().__init__()
        self.size, self.training, self.points, self.metric, self.targets = size, training, points, metric, targets
        self._decoded: dict[Path, Image.Image] = {}

    def pair(self, index: int) -> Pair:
        """The pair of sample `index`, the same at every call. Raises OSError when what it is made of is unreadable."""
        raise NotImplementedError

    def row(self, index: int) -> str:
        """The row of an evaluation report to which pair `index` belongs: the name of its scene or protocol."""
        raise NotImplementedError

    def source_of(self, index: int) -> object:
        """Equal for neighbouring pairs of an evaluation that have the same source: its scene is predicted once."""
        return index

    def by_source(self) -> list[list[int]]:
        """Indices of an evaluation's pairs, those of one source together."""
        return [list(indices) for _, indices in groupby(range(len(self)), key=self.source_of)]

    def make(self, index: int) -> Sample:
        """The sample of pair `index`; with several targets, its fields have a leading dimension of targets."""
        pair = self.pair(index)
        rows = self._make(pair.source, (pair.target, *pair.others), pair.rng)
        return rows[0] if len(rows) == 1 else Sample(*map(torch.stack, zip(*rows, strict=True)))

    def widest(self, picture: Picture) -> Window:
        """The largest centred window of the samples' shape."""
        return fit_window(picture.size, self.size, 1.0, ((picture.size[1] - 1) / 2, (picture.size[0] - 1) / 2))

    def points_in(self, picture: Picture, window: Window) -> int:
        """Number of the picture's points within a window of it."""
        return int(window.contains(picture.project(picture.in_camera(picture.points))).sum())

    def _make(self, source: Picture, targets: Sequence[Picture], rng: np.random.Generator) -> list[Sample]:
        """A sample for each target, all with the same window of the source."""
        pictures = [source, *targets]
        windows = self._windows(pictures, rng) if self.training else [self.widest(picture) for picture in pictures]
        nearest = rng.uniform(*NEAREST) if self.training else sum(NEAREST) / 2
        views = [self._view(picture, window) for picture, window in zip(pictures, windows, strict=True)]
        scale = 1.0 if self.metric else nearest / np.quantile(views[0][2][2], NEAREST_QUANTILE)
        known = [points * scale for _, _, points in views]
        spread = [_spread(points, self.points, rng) for points in known]
        depths = [splat(points, K, self.size) for points, (_, K, _) in zip(known, views, strict=True)]
        K = [torch.from_numpy(K).float() for _, K, _ in views]
        poses = [picture.pose @ np.linalg.inv(source.pose) for picture in pictures]
        for pose in poses:
            pose[:3, 3] *= scale
        return [
            Sample(
                source=views[0][0],
                target=views[i][0],
                K_src=K[0],
                K_tgt=K[i],
                T_tgt_src=torch.from_numpy(poses[i]).float(),
                points_src=spread[0],
                points_tgt=spread[i],
                depth_src=depths[0],
                depth_tgt=depths[i],
                metric=torch.tensor(float(self.metric)),
            )
            for i in range(1, len(pictures))
        ]

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

    def _windows(self, pictures: Sequence[Picture], rng: np.random.Generator) -> list[Window]:
        """Windows of a source and its targets around one random point that the source and the first of them see.

        The widest when points are too few in one; around the same random place in all where there are no points.
        """
        zoom, shared = rng.uniform(MIN_ZOOM, 1), shared_points(*pictures[:2])
        if not shared.size:
            place = rng.uniform(0, 1, 2)
            centres = [place * picture.size[::-1] - 0.5 for picture in pictures]
        else:
            point = shared[:, [rng.integers(shared.shape[1])]]
            centres = [picture.project(picture.in_camera(point))[:, 0] for picture in pictures]
        windows = [
            fit_window(picture.size, self.size, zoom, centre) for picture, centre in zip(pictures, centres, strict=True)
        ]
        inside = [self.points_in(picture, window) for picture, window in zip(pictures, windows, strict=True)]
        if shared.size and min(inside) < MIN_POINTS:
            return [self.widest(picture) for picture in pictures]
        return windows


def further(first: Item, candidates: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` of the candidates beside the first, different ones as far as there are enough."""
    rest = [item for item in candidates if item != first] or [first]
    return [rest[i] for i in np.resize(rng.permutation(len(rest)), count)] if count else []


def shared_points(source: Picture, target: Picture) -> Floats:
    """World points (3, N) that both pictures see."""
    return source.points[:, np.isin(source.ids, target.ids, assume_unique=True)]


def splat(points: Floats, K: Floats, size: Size) -> Tensor:
    """Depth map (1, H, W) with each point (3, N) at its nearest pixel, the nearest where several meet, 0 elsewhere."""
    depth: Floats = np.full(size, np.inf)
    pixel = np.rint((K @ points)[:2] / points[2]).astype(int)
    inside = ((pixel >= 0) & (pixel < np.array([[size[1]], [size[0]]]))).all(0)
    np.minimum.at(depth, (pixel[1, inside], pixel[0, inside]), points[2, inside])
    return torch.from_numpy(np.where(np.isfinite(depth), depth, 0)).float()[None]


def _spread(points: Floats, count: int, rng: np.random.Generator) -> Tensor:
    """`count` of the points (3, N) in random order, each as often as the others where there are fewer; none of none."""
    chosen = np.resize(rng.permutation(points.shape[1]), count if points.size else 0)
    return torch.from_numpy(points[:, chosen]).float()
