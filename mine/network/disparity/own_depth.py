"""From a given depth map to the disparity map of a scene: what is unknown is filled, edges are refined.

A map by a person, a sensor or another network has another resolution than the planes, holes, and edges beside the
photo's. It goes the way of a predicted map: `refine` snaps its edges to the photo's, then `lift` makes planes of it.
What it does not know takes the shape that the network predicts, fitted to what is known around.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mine.errors import warn
from mine.network.disparity.refine import dilate_foreground, snap_edges
from mine.scene.depth_maps.depth_map import DepthMap, Kind

SURE = 0.4
"""Rank correlation with the network's disparity from which on a map of unknown kind is what it seems: below, users are
told what it is taken for."""

COMPARED = 96
"""Longest side in pixels at which a map of unknown kind is compared with the network's."""

PARTLY = 0.25
"""Share of a pixel that must be known for the pixel to be known, when a map is shrunk."""


class OwnDepth(NamedTuple):
    """A given depth map at the size of the planes."""

    disparity: Float[Tensor, "1 1 H W"]
    """Relative disparity in (0, 1], the nearest surface at 1"""
    unit: float
    """1 / metres that relative disparity 1 stands for; 1 where the scene has no unit"""


def find_kind(depth_map: DepthMap, predicted: Float[Tensor, "1 1 H W"]) -> DepthMap:
    """Decides what the values of a map mean whose kind is not known: which of its ends the network takes for near.

    Args:
        depth_map: Of any kind.
        predicted: The disparity that the network predicts for the photo.

    Returns:
        The map, its kind known.
    """
    if depth_map.kind != "auto":
        return depth_map
    values = torch.from_numpy(depth_map.values)[None, None]
    scale = min(1.0, COMPARED / max(depth_map.size))
    size = [max(2, round(side * scale)) for side in depth_map.size]
    values = F.interpolate(values, size, mode="nearest").flatten()
    expected = F.interpolate(predicted.cpu(), size, mode="area").flatten()
    known = values.isfinite() & ((values != 0) | (depth_map.offset > 0))
    if known.sum() < 2:
        return depth_map.of_kind("disparity")
    covariance = torch.cov(torch.stack([_ranks(x[known]) for x in (values, expected)]))
    # Over the variance of the map's own ranks, it is 1 at best however few its levels are.
    correlation = float(covariance[0, 1] / covariance[0, 0])
    kind: Kind = "depth" if correlation < 0 else "disparity"
    if not abs(correlation) >= SURE:
        near, other = ("small", "disparity") if kind == "depth" else ("large", "depth")
        warn(
            f"{depth_map.name} is taken for {kind}, {near} values near, which the photo does not show clearly: "
            f"give the depth kind {other} if it is wrong"
        )
    return depth_map.of_kind(kind)


def _ranks(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Rank of each value; equal ones, of which maps of few levels are made, share the mean of theirs."""
    _, index, count = values.unique(return_inverse=True, return_counts=True)
    return (count.cumsum(0) - count / 2).double()[index]


def fit_to_photo(
    depth_map: DepthMap, image: Float[Tensor, "1 3 H W"], predicted: Float[Tensor, "1 1 H W"] | None = None
) -> OwnDepth:
    """Brings a map to the size of a photo, fills what it does not know, and refines its edges by the photo.

    Args:
        depth_map: Its kind is known; "auto" counts as disparity.
        image: The photo at the size of the planes, in [0, 1].
        predicted: The disparity that the network predicts, for what is unknown; without it, this is interpolated.

    Returns:
        The map, on the device of the image.

    Raises:
        InputError: As `DepthMap.disparity`.
    """
    relative, nearest = depth_map.relative_disparity()
    values = torch.from_numpy(relative)[None, None].log().to(image.device)
    log_disparity, known = _resize(values, (image.shape[-2], image.shape[-1]))
    if not known.all():
        log_disparity = _fill(log_disparity, known, None if predicted is None else predicted.log())
    refined = dilate_foreground(snap_edges(log_disparity, image))
    return OwnDepth(refined.exp().clamp(max=1), _unit(depth_map, nearest))


def _unit(depth_map: DepthMap, nearest: float) -> float:
    """1 / metres of the nearest surface."""
    if depth_map.scale is None:
        return 1.0
    return nearest * depth_map.scale if depth_map.kind == "disparity" else nearest / depth_map.scale


def _resize(values: Tensor, size: tuple[int, int]) -> tuple[Tensor, Bool[Tensor, "1 1 H W"]]:
    """Values (1, 1, h, w) at `size` (H, W), and which of them are known; values that are NaN do not count."""
    known = values.isfinite()
    shrinks = values.shape[-2] > size[0] or values.shape[-1] > size[1]
    weighted = torch.cat([torch.where(known, values, 0), known.to(values)], dim=1)
    mode = {"mode": "area"} if shrinks else {"mode": "bilinear", "align_corners": False}
    total, weight = F.interpolate(weighted, size, **mode).chunk(2, dim=1)
    return total / weight.clamp(min=1e-6), weight >= PARTLY


def _fill(values: Tensor, known: Tensor, predicted: Tensor | None) -> Tensor:
    """Values (1, 1, H, W) everywhere: a prediction, scaled and shifted, plus what it lacks in known pixels around."""
    base = torch.zeros_like(values) if predicted is None else _fit(predicted, values, known)
    return torch.where(known, values, base + _spread(torch.where(known, values - base, 0), known.to(values)))


def _fit(predicted: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """a + b times a prediction, with the least squares in the known pixels and b in [0, 2]."""
    x, y = predicted[known], values[known]
    variance = (x - x.mean()).square().mean()
    slope = (((x - x.mean()) * (y - y.mean())).mean() / variance.clamp(min=1e-6)).clamp(0, 2)
    return y.mean() + slope * (predicted - x.mean())


def _spread(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted means of ever larger windows, each where the smaller ones know nothing (pull and push)."""
    if min(values.shape[-2:]) <= 1 or bool((weight > 0).all()):
        return torch.where(weight > 0, values, (values * weight).sum() / weight.sum().clamp(min=1e-6))
    size = [math.ceil(side / 2) for side in values.shape[-2:]]
    total, coarse = F.interpolate(torch.cat([values * weight, weight], 1), size, mode="area").chunk(2, dim=1)
    spread = _spread(total / coarse.clamp(min=1e-6), (coarse > 0).to(values))
    magnified = F.interpolate(spread, values.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(weight > 0, values, magnified)
