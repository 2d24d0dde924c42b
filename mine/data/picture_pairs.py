"""Samples from pairs of pictures of real scenes: what data sets have in common, however they choose their pairs."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.data.capture import Floats, Picture, Size
from mine.data.sample import Sample
from mine.data.skipping import Skipping
from mine.data.window import Window, fit_window

MIN_POINTS = 16
"""Points a source must see inside its crop, enough to fix the scale, and a target must see of them."""

NEAREST = (1.0, 1.25)
"""Depth given to the nearest surface: training draws from this range, evaluation takes its middle."""

NEAREST_QUANTILE = 0.02

MIN_ZOOM = 0.7
"""Smallest training crop, as a share of the largest."""

CACHED_PIXELS = 100_000_000
"""Decoded pictures kept in memory by each process, in pixels of three bytes."""


class Pair(NamedTuple):
    """What a sample is to show: two pictures, and the random numbers its crops and points are drawn from."""

    source: Picture
    target: Picture
    rng: np.random.Generator


class PicturePairs(Skipping):
    """Samples of `size` (H, W) from pairs of pictures; data sets derive from it and say which pairs in `pair`.

    Pixels stay square: training takes random crops of the size's aspect, 0.7 to 1 times the largest, source and target
    around the same random point; evaluation takes the largest CENTRE CROP of that aspect.

    With `metric` False samples are scaled so that the nearest surface (2% quantile of the source's depths) lies at 1 to
    1.25. `points_src` and `points_tgt` (3, `points`) are those of the pictures inside the crops, repeated evenly where
    there are fewer; depth maps hold all of them at their nearest pixels. With `metric` True lengths stay in the data
    set's own unit, and pictures may have no points: `points_src` and `points_tgt` are then (3, 0), depth maps 0.

    A picture that cannot be decoded is skipped, see `Skipping`.
    """

    border = 0.0
    """Share of each side of a target that its protocol leaves out of the figures."""

    def __init__(self, size: Size, training: bool, points: int, metric: bool = False) -> None:
        super().__init__()
        self.size, self.training, self.points, self.metric = size, training, points, metric
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
        return self._make(*self.pair(index))

    def widest(self, picture: Picture) -> Window:
        """The largest centred window of the samples' shape."""
        return fit_window(picture.size, self.size, 1.0, ((picture.size[1] - 1) / 2, (picture.size[0] - 1) / 2))

    def points_in(self, picture: Picture, window: Window) -> int:
        """Number of the picture's points within a window of it."""
        return int(window.contains(picture.project(picture.in_camera(picture.points))).sum())

    def _make(self, source: Picture, target: Picture, rng: np.random.Generator) -> Sample:
        windows = self.widest(source), self.widest(target)
        if self.training:
            windows = self._windows(source, target, rng)
        nearest = rng.uniform(*NEAREST) if self.training else sum(NEAREST) / 2
        views = [self._view(picture, window) for picture, window in zip((source, target), windows, strict=True)]
        (image_src, K_src, points_src), (image_tgt, K_tgt, points_tgt) = views
        scale = 1.0 if self.metric else nearest / np.quantile(points_src[2], NEAREST_QUANTILE)
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
            metric=torch.tensor(float(self.metric)),
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

    def _windows(self, source: Picture, target: Picture, rng: np.random.Generator) -> tuple[Window, Window]:
        """Windows of both pictures around one random point that both see; the widest when points are too few in it.

        Around the same random place in both where the pictures have no points.
        """
        zoom, shared = rng.uniform(MIN_ZOOM, 1), shared_points(source, target)
        if not shared.size:
            place = rng.uniform(0, 1, 2)
            first, second = (
                fit_window(picture.size, self.size, zoom, place * picture.size[::-1] - 0.5)
                for picture in (source, target)
            )
            return first, second
        point = shared[:, [rng.integers(shared.shape[1])]]
        first, second = (
            fit_window(picture.size, self.size, zoom, picture.project(picture.in_camera(point))[:, 0])
            for picture in (source, target)
        )
        if min(self.points_in(source, first), self.points_in(target, second)) < MIN_POINTS:
            return self.widest(source), self.widest(target)
        return first, second


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
