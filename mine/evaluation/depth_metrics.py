"""Figures of merit of depth maps: global errors (Eigen et al. 2014) and those of geometry (Koch et al. 2018)."""

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mine.render.reference import pixel_grid

Mask = NDArray[np.bool_]

FEWEST = 10
"""Pixels that a plane is fitted to, at least."""

BLUR = math.sqrt(2)
EDGE = (0.15, 0.3)
"""Canny's thresholds, of Sobel's response to a depth map that ranges from 0 to 1."""

REACH = 10.0
"""Pixels beyond which an edge counts as another one, or as missing."""

WHOLE = 8000
"""What 1 is in Canny's whole numbers; Sobel responds with 4 at most."""


def depth_errors(predicted: Tensor, true: Tensor) -> dict[str, float]:
    """Errors of depth (N,) against true depth (N,), all above 0, in its unit.

    `rel` = mean |d - d*| / d*; `log10` = mean |log10 d - log10 d*|; `rms` = sqrt(mean (d - d*)²); `delta1` to `delta3`:
    share of pixels with max(d / d*, d* / d) below 1.25, 1.25², 1.25³.
    """
    ratio = torch.maximum(predicted / true, true / predicted)
    difference = predicted - true
    return {
        "rel": float((difference.abs() / true).mean()),
        "log10": float((predicted / true).log10().abs().mean()),
        "rms": float(difference.square().mean().sqrt()),
        **{f"delta{power}": float((ratio < 1.25**power).float().mean()) for power in (1, 2, 3)},
    }


def planarity_errors(predicted: Tensor, true: Tensor, regions: Tensor, K: Tensor) -> dict[str, float]:
    """How flat flat regions are, and how well they are turned: means over the regions; NaN when there is none.

    `plan`: standard deviation of the predicted points from the plane fitted to them, in centimetres when depth is in
    metres; `orie`: degrees between that plane's normal and the one of the true points (Koch et al. 2018, eq. 2 and 3).

    predicted, true: depth (H, W), true 0 where unknown; regions (H, W) numbers, 0 elsewhere; K (3, 3) in pixels.
    """
    rays = torch.linalg.inv(K.double()) @ pixel_grid((true.shape[0], true.shape[1]), K.double()).flatten(1)
    found = []
    for number in regions.unique():
        inside = ((regions == number) & (true > 0)).flatten()
        if number == 0 or inside.sum() < FEWEST:
            continue
        fits = [_plane(rays[:, inside] * depth.flatten()[inside]) for depth in (predicted, true)]
        (normal, deviation), (true_normal, _) = fits
        cosine = float((normal @ true_normal).abs().clamp(max=1))
        found.append((100 * deviation, math.degrees(math.acos(cosine))))
    plan, orie = np.mean(found, axis=0).tolist() if found else (math.nan, math.nan)
    return {"plan": plan, "orie": orie}


def _plane(points: Tensor) -> tuple[Tensor, float]:
    """Normal (3,) of the plane that fits points (3, N) best, and their standard deviation from it."""
    centred = points - points.mean(1, keepdim=True)
    variances, axes = torch.linalg.eigh(centred @ centred.T / points.shape[1])
    return axes[:, 0], float(variances[0].clamp(min=0).sqrt())


def boundary_errors(predicted: Tensor, edges: Tensor) -> dict[str, float]:
    """How well depth jumps where it should, in pixels (Koch et al. 2018, eq. 4 and 5).

    `dbe_acc`: mean distance of predicted edges to the nearest true one, of those within 10 pixels of one; NaN when
    there is none. `dbe_comp`: mean distance of true edges to the nearest predicted one, 10 where that is farther.
    Predicted edges are Canny's on the depth map (H, W), scaled to range from 0 to 1; edges (H, W) the true ones.
    """
    drawn, true = depth_edges(predicted), edges.numpy()
    to_true, to_drawn = _distance(true), _distance(drawn)
    near = drawn & (to_true <= REACH)
    return {
        "dbe_acc": float(to_true[near].mean()) if near.any() else math.nan,
        "dbe_comp": float(np.minimum(to_drawn[true], REACH).mean()) if true.any() else math.nan,
    }


def depth_edges(depth: Tensor) -> Mask:
    """Whether depth (H, W) jumps at each pixel, (H, W)."""
    values = depth.numpy().astype(np.float32)
    values = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    smooth = cv2.GaussianBlur(values, (0, 0), BLUR)
    dx, dy = (np.rint(WHOLE * cv2.Sobel(smooth, cv2.CV_32F, *axis)).astype(np.int16) for axis in ((1, 0), (0, 1)))
    return np.asarray(cv2.Canny(dx, dy, WHOLE * EDGE[0], WHOLE * EDGE[1], L2gradient=True)) > 0


def _distance(mask: Mask) -> NDArray[np.float64]:
    """Distance in pixels of each pixel to the nearest True; infinite when there is none."""
    found: NDArray[np.float64] = distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    return found
