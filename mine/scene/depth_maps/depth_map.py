"""`DepthMap`: what a person, a sensor or a phone knows of the depth of a photo, and how it becomes disparity."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Shaped

from mine.errors import InputError

Kind = Literal["auto", "disparity", "depth"]
"""What values mean: "disparity" grows towards the camera, "depth" grows away from it."""

FARTHEST = 1 / 32
"""Least disparity of a map, relative to the nearest: what is farther, such as the sky, has almost no parallax."""

NEAREST = 0.999
"""Quantile of the known disparities that is scaled to 1: the few larger ones of a sensor are flying pixels."""

NORMALISED_RANGE = 10.0
"""Ratio of farthest to nearest depth of normalised maps of depth, whose 0 is the nearest."""

NORMALISED = (0.01, 0.95)
"""Shares of its type's range that a normalised map's least value is below, and its largest value above."""

LEAST_KNOWN = 0.02
"""Least share of pixels whose depth must be known."""

LEAST_RANGE = 1e-3
"""Least relative difference of the largest and the smallest known value: a map that has less shows no depth."""

OVERSHOOT = 1e-3
"""Share of the largest depth by which resampling may have made depths negative: they are unknown."""

LARGEST = 1e30
"""Values beyond it are infinite: renderers give the sky the largest float, with which no sum is a number."""

MAX_PIXELS = 1 << 26
"""Most pixels of a depth map: 0.3 GB as floats."""

MIN_SIDE = 8
"""Smallest width and height of a depth map in pixels."""

ASPECT_TOLERANCE = 0.12
"""Largest relative difference of the aspects of map and photo: networks' sizes are multiples of 32 pixels, or of 14."""


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Depth or disparity of each pixel of a photo, at any resolution.

    Attributes:
        values: Floats, NaN where unknown. In maps of disparity, 0 is the sky, and infinity unknown; in maps of depth, 0
            is unknown unless `offset` is positive, and infinity is the sky.
        kind: What the values mean; "auto" where nobody has said it.
        scale: What a value of 1 is in 1 / metres (disparity) or metres (depth), or None where that is not known. A
            scene of a map with a scale is in metres.
        offset: Added to depths: what the nearest has in a map that is normalised, so that its value is 0.
        name: What messages call it.
    """

    values: Float32[np.ndarray, "H W"]
    kind: Kind = "auto"
    scale: float | None = None
    offset: float = 0.0
    name: str = "the depth map"

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def has_unknown(self) -> bool:
        """Whether the depth of any pixel is unknown."""
        zeros = self.kind != "disparity" and self.offset == 0 and bool((self.values == 0).any())
        return zeros or not bool(np.isfinite(self.values).all())

    def of_kind(self, kind: Kind) -> "DepthMap":
        """The same map, whose values mean `kind` if that has not been known."""
        return replace(self, kind=kind) if self.kind == "auto" else self

    def disparity(self) -> Float32[np.ndarray, "H W"]:
        """Disparity in proportion to 1 / depth, finite and at least 0; NaN where unknown.

        Values of depth are inverted; "auto" counts as disparity. Negative disparities, of maps that are known up to an
        offset, make all of them grow until the least one is 0.

        Raises:
            InputError: It has negative depths, or is the same everywhere.
        """
        if self.kind == "depth":
            _check_depths(self.values, self.name)
            depth = np.maximum(self.values, 0) + np.float32(self.offset)
            with np.errstate(divide="ignore", over="ignore"):
                disparity = np.float32(1) / np.where(depth == 0, np.float32(np.nan), depth)
            if np.isinf(disparity).any():
                least = float(depth[np.isinf(disparity)].min())
                raise InputError(f"{self.name} has depths of {least:g}: give distances above {1 / LARGEST:g}")
        else:
            disparity = np.where(np.isinf(self.values), np.float32(np.nan), self.values)
            disparity = disparity - np.float32(min(0.0, float(np.nanmin(disparity))))
        _check_range(disparity, self)
        return disparity

    def relative_disparity(self) -> tuple[Float32[np.ndarray, "H W"], float]:
        """Disparity in [`FARTHEST`, 1], NaN where unknown, and what 1 is of `disparity`: that of the nearest surface.

        Raises:
            InputError: As `disparity`.
        """
        disparity = self.disparity()
        nearest = float(np.nanquantile(disparity, NEAREST))
        nearest = nearest if nearest > 0 else float(np.nanmax(disparity))
        return np.clip(disparity / np.float32(nearest), np.float32(FARTHEST), np.float32(1)), nearest


def make_depth_map(
    array: Shaped[np.ndarray, "..."],
    name: str = "the depth map",
    kind: Kind = "auto",
    inverted: bool = False,
    scale: float | None = None,
) -> DepthMap:
    """Makes a depth map of an array of numbers.

    A map of depth counts as normalised if its values reach from 0 to the largest of their type (1 for floats): its
    farthest point is then taken to be `NORMALISED_RANGE` times as far as its nearest.

    Args:
        array: (H, W) integers or floats; see `DepthMap.values`.
        name: What messages call it.
        kind: What the values mean.
        inverted: Swap the ends: the largest value becomes the least.
        scale: See `DepthMap`.

    Raises:
        InputError: It is too small or too large, shows no depth, or has values that are not possible.
    """
    check_options(kind, inverted, scale)
    if array.ndim != 2:
        raise InputError(f"{name} has shape {array.shape}: give (H, W), one value for each pixel")
    check_size((array.shape[0], array.shape[1]), name)
    if array.dtype.kind not in "uif":
        raise InputError(f"{name} has values of type {array.dtype}: give whole numbers or floats")
    white = 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)
    with np.errstate(over="ignore"):
        values = np.array(array, np.float32)
    values[np.abs(values) > LARGEST] *= np.float32(np.inf)
    finite = np.isfinite(values)
    if int(finite.sum()) < LEAST_KNOWN * values.size:
        share = 100 * float(finite.mean())
        raise InputError(f"{name} has values for {share:.2g} % of its pixels: give one that knows more of the photo")
    least, most = float(values[finite].min()), float(values[finite].max())
    normalised = scale is None and 0 <= least <= NORMALISED[0] * white and NORMALISED[1] * white <= most <= white
    if inverted:
        values[finite] = np.float32(least + most) - values[finite]
    if scale is not None and kind == "disparity" and least < 0:
        raise InputError(f"{name} has disparities down to {least:g}: with a scale they are 1 / metres, at least 0")
    depth_map = DepthMap(values, kind, scale, white / (NORMALISED_RANGE - 1) if normalised else 0.0, name)
    _check_range(values, depth_map)
    if kind != "auto":
        depth_map.disparity()  # for what it checks
    return depth_map


def check_options(kind: object, inverted: bool, scale: float | None) -> None:
    """Checks what is said of a map.

    Raises:
        InputError: The kind is none, the scale not positive, or they do not go together.
    """
    if kind not in get_args(Kind):
        raise InputError(f"depth kind {kind!r} is not possible: choose {', '.join(get_args(Kind))}")
    if scale is None:
        return
    if not (isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0):
        raise InputError(f"depth scale is {scale!r}: give metres (or 1 / metres) for a value of 1, above 0")
    if kind == "auto":
        raise InputError("a depth scale says metres of depth or 1 / metres of disparity: give the depth kind with it")
    if inverted:
        raise InputError("an inverted depth map has no scale: leave out one of the two")


def check_size(size: tuple[int, int], name: str) -> None:
    """Raises InputError for a map whose size (H, W) is too small or too large."""
    if min(size) < MIN_SIDE:
        raise InputError(f"{name} has {size[1]}x{size[0]} pixels: at least {MIN_SIDE} a side are needed")
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"{name} has {size[1]}x{size[0]} pixels, more than {MAX_PIXELS // 10**6} million: shrink it")


def check_aspect(depth_map: DepthMap, size: tuple[int, int]) -> None:
    """Checks that a map can be one of a photo of `size` (H, W): resolutions may differ, shapes may not.

    Raises:
        InputError: The aspects differ by more than `ASPECT_TOLERANCE`.
    """
    height, width = depth_map.size
    ratio = (width / height) / (size[1] / size[0])
    if abs(math.log(ratio)) <= ASPECT_TOLERANCE:
        return
    turned = (height / width) / (size[1] / size[0])
    remedy = "turn it like the photo" if abs(math.log(turned)) <= ASPECT_TOLERANCE else "give one of the whole photo"
    raise InputError(
        f"{depth_map.name} has {width}x{height} pixels and the photo {size[1]}x{size[0]}, of another shape: {remedy}"
    )


def _check_depths(depths: np.ndarray, name: str) -> None:
    """Raises InputError for negative depths."""
    least, most = float(np.nanmin(depths)), float(np.nanmax(depths))
    if least < -OVERSHOOT * most:
        raise InputError(f"{name} has depths down to {least:g}: give distances above 0, and NaN where unknown")


def _check_range(values: np.ndarray, depth_map: DepthMap) -> None:
    """Raises InputError for values, or what became of them, that show no depth."""
    known = values[np.isfinite(values)]
    if known.size < LEAST_KNOWN * values.size:
        share = 100 * known.size / values.size
        raise InputError(f"{depth_map.name} knows {share:.2g} % of its pixels: give one that knows more of the photo")
    low, high = float(known.min()), float(known.max())
    if high - low <= LEAST_RANGE * max(abs(low), abs(high)):
        raise InputError(f"{depth_map.name} is {high:g} everywhere, which shows no depth: give another one, or none")
