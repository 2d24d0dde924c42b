"""Metrics of depth maps: global errors (Eigen et al. 2014), planarity and depth boundaries (Koch et al. 2018)."""

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mine.render.reference import pixel_grid

Mask = NDArray[np.bool_]

MIN_PLANE_PIXELS = 10
"""Pixels of a planar region below which no plane is fitted to it."""

CANNY_SIGMA = math.sqrt(2)
"""Standard deviation in pixels of the Gaussian before Canny's edge detector."""

CANNY_THRESHOLDS = (0.15, 0.3)
"""Canny's hysteresis thresholds on the Sobel gradient of a depth map scaled to [0, 1]."""

MAX_EDGE_DISTANCE = 10.0
"""Distance in pixels beyond which two edges do not match."""

FIXED_POINT = 8000
"""1.0 in the 16-bit integers that OpenCV's Canny takes as gradients; Sobel's response is at most 4."""


def depth_errors(predicted: Tensor, true: Tensor) -> dict[str, float]:
    """Global depth errors (Eigen et al. 2014).

    Args:
        predicted: Predicted depth (N,), above 0.
        true: True depth (N,), above 0, in the same unit.

    Returns:
        `rel` = mean |d - d*| / d*; `log10` = mean |log10 d - log10 d*|; `rms` = sqrt(mean (d - d*)²) in the unit of
        depth; `delta1` to `delta3`: fraction of pixels with max(d / d*, d* / d) below 1.25, 1.25², 1.25³.
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
    """Planarity errors of annotated planar regions (Koch et al. 2018, eq. 2 and 3), means over the regions.

    Args:
        predicted: Predicted depth (H, W) in metres.
        true: True depth (H, W) in metres, 0 where unknown.
        regions: Labels (H, W) of the planar regions, 0 elsewhere.
        K: Intrinsics (3, 3) in pixels of the depth maps.

    Returns:
        `plan`: standard deviation in centimetres of the predicted points from the plane fitted to them; `orie`: angle
        in degrees between the normals of the planes fitted to predicted and to true points. NaN without a region.
    """
    rays = torch.linalg.inv(K.double()) @ pixel_grid((true.shape[0], true.shape[1]), K.double()).flatten(1)
    errors = []
    for label in regions.unique():
        inside = ((regions == label) & (true > 0)).flatten()
        if label == 0 or inside.sum() < MIN_PLANE_PIXELS:
            continue
        fits = [_plane(rays[:, inside] * depth.flatten()[inside]) for depth in (predicted, true)]
        (normal, deviation), (true_normal, _) = fits
        cosine = float((normal @ true_normal).abs().clamp(max=1))
        errors.append((100 * deviation, math.degrees(math.acos(cosine))))
    plan, orie = np.mean(errors, axis=0).tolist() if errors else (math.nan, math.nan)
    return {"plan": plan, "orie": orie}


def _plane(points: Tensor) -> tuple[Tensor, float]:
    """Normal (3,) of the least-squares plane of points (3, N), and their standard deviation from it."""
    centred = points - points.mean(1, keepdim=True)
    variances, axes = torch.linalg.eigh(centred @ centred.T / points.shape[1])
    return axes[:, 0], float(variances[0].clamp(min=0).sqrt())


def boundary_errors(predicted: Tensor, edges: Tensor) -> dict[str, float]:
    """Depth boundary errors in pixels (Koch et al. 2018, eq. 4 and 5).

    Args:
        predicted: Predicted depth (H, W); its edges are those of `depth_edges`.
        edges: True depth edges, a mask (H, W).

    Returns:
        `dbe_acc`: mean distance of predicted edges to the nearest true one, over those within 10 pixels of one; NaN
        without such edges. `dbe_comp`: mean distance of true edges to the nearest predicted one, clipped at 10.
    """
    predicted_edges, true_edges = depth_edges(predicted), edges.numpy()
    to_true, to_predicted = _distance(true_edges), _distance(predicted_edges)
    matched = predicted_edges & (to_true <= MAX_EDGE_DISTANCE)
    completeness = np.minimum(to_predicted[true_edges], MAX_EDGE_DISTANCE)
    return {
        "dbe_acc": float(to_true[matched].mean()) if matched.any() else math.nan,
        "dbe_comp": float(completeness.mean()) if true_edges.any() else math.nan,
    }


def depth_edges(depth: Tensor) -> Mask:
    """Depth discontinuities by Canny's edge detector, on depth scaled to [0, 1].

    Args:
        depth: (H, W).

    Returns:
        Mask (H, W).
    """
    values = depth.numpy().astype(np.float32)
    values = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    smooth = cv2.GaussianBlur(values, (0, 0), CANNY_SIGMA)
    dx, dy = (np.rint(FIXED_POINT * cv2.Sobel(smooth, cv2.CV_32F, *axis)).astype(np.int16) for axis in ((1, 0), (0, 1)))
    return (
        np.asarray(
            cv2.Canny(dx, dy, FIXED_POINT * CANNY_THRESHOLDS[0], FIXED_POINT * CANNY_THRESHOLDS[1], L2gradient=True)
        )
        > 0
    )


def _distance(mask: Mask) -> NDArray[np.float64]:
    """Distance transform: distance in pixels of each pixel to the nearest True, infinite without any."""
    distance: NDArray[np.float64] = distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    return distance
