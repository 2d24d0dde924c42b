"""Dense depth of a capture by plane sweep (Collins 1996; Gallup et al. 2007) between posed images.

Each image is compared with its neighbours as they look when warped over fronto-parallel planes at many disparities. The
similarity is zero-normalised cross-correlation of windows; the depth of a pixel is that of the plane with the greatest.
Depths are kept where neighbours, whose depth comes from other images, confirm them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from mine.data.arrays import Float32s

PLANES = 96
"""Planes of a sweep, evenly spaced in disparity."""

WINDOWS = (5, 11)
"""Sides of the correlated windows in pixels: small ones keep edges, large ones recognise more; their mean counts."""

MIN_SIMILARITY = 0.6
"""Least similarity at which a depth is kept."""

MAX_DIFFERENCE = 0.015
"""Largest relative difference of depth at which a neighbour confirms a pixel."""

MIN_CONFIRMED = 2
"""Neighbours that must confirm a depth; with fewer neighbours, all of them."""

VARIANCE = 4e-5
"""Least variance of a window, of greys in [0, 1], in which anything can be recognised."""

OUTSIDE = -8.0
"""Value of pixels that a warped image does not show: even next to white it stays negative."""


class View(NamedTuple):
    """One image of a capture as a sweep needs it."""

    grey: Float[Tensor, "H W"]
    """Greys in [0, 1]"""
    K: Float[Tensor, "3 3"]
    """intrinsics, in pixels"""
    pose: Float[Tensor, "4 4"]
    """camera-from-world"""
    depth_range: tuple[float, float]
    """nearest and farthest plane"""
    neighbours: tuple[int, ...]
    """indices of the images to compare with, the best first"""


def dense_depth(views: list[View], done: Callable[[], object] = lambda: None) -> Iterator[Float[Tensor, "H W"]]:
    """Depth of every image of a capture.

    Args:
        views: The images, of any sizes.
        done: Called twice for each image, as the work goes on.

    Yields:
        Depth z (H, W) in the unit of the poses, 0 where it is not known, in the order of `views`.
    """
    swept = []
    for view in views:
        swept.append(sweep(view, [views[index] for index in view.neighbours]))
        done()
    for view, depth in zip(views, swept, strict=True):
        count = torch.zeros_like(depth, dtype=torch.long)
        for index in view.neighbours:
            count += confirmed(view, depth, views[index], swept[index])
        done()
        enough = min(MIN_CONFIRMED, max(1, len(view.neighbours)))
        yield torch.where(count >= enough, depth, 0)


def sweep(view: View, neighbours: list[View]) -> Float[Tensor, "H W"]:
    """Depth of one image by plane sweep.

    Args:
        view: The image.
        neighbours: The images that it is compared with.

    Returns:
        Depth z (H, W), 0 where the similarity is below `MIN_SIMILARITY` or nothing is to be recognised.
    """
    if not neighbours:
        return torch.zeros_like(view.grey)
    near, far = view.depth_range
    disparity = torch.linspace(1 / far, 1 / near, PLANES)
    # A surface that some neighbours cannot see is found by the others: the two most similar count.
    first = similarity(view, neighbours[0], disparity)
    second = first if len(neighbours) == 1 else torch.full_like(first, -1)
    for other in neighbours[1:]:
        found = similarity(view, other, disparity)
        second = torch.maximum(second, torch.minimum(first, found))
        first = torch.maximum(first, found)
    similar = (first + second) / 2
    best, index = similar.max(0)
    inner = index.clamp(1, PLANES - 2)
    before, at, after = (similar.gather(0, (inner + step)[None])[0] for step in (-1, 0, 1))
    bend = (2 * at - before - after).clamp(min=1e-6)
    offset = torch.where(inner == index, (after - before) / (2 * bend), 0).clamp(-0.5, 0.5)
    chosen = disparity[0] + (index + offset) * (disparity[1] - disparity[0])
    edge = (index == 0) | (index == PLANES - 1)
    return torch.where((best >= MIN_SIMILARITY) & ~edge, 1 / chosen, 0)


def similarity(view: View, other: View, disparity: Float[Tensor, " D"]) -> Float[Tensor, "D H W"]:
    """Zero-normalised cross-correlation of an image with another one warped over planes.

    Args:
        view: The image.
        other: The image that is warped.
        disparity: Of the planes, in the camera of `view`.

    Returns:
        (D, H, W) in [-1, 1]; -1 where the other image does not show the plane.
    """
    relative = (other.pose @ torch.linalg.inv(view.pose)).double()
    rotation = other.K.double() @ relative[:3, :3] @ torch.linalg.inv(view.K.double())
    shift = other.K.double() @ relative[:3, 3]
    homographies = rotation.repeat(len(disparity), 1, 1)
    homographies[:, :, 2] += shift * disparity[:, None]
    grey, other_grey = view.grey.numpy(), other.grey.numpy()
    windows = [_window(grey, side) for side in WINDOWS]

    def of_plane(homography: Float32s) -> Float32s:
        warped, outside = _warp(other_grey, homography, grey.shape)
        found: Float32s = np.mean([_correlation(grey, warped, *window) for window in windows], axis=0)
        return np.where(outside, np.float32(-1), found)

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # OpenCV and numpy leave Python's lock alone
        return torch.from_numpy(np.stack(list(threads.map(of_plane, homographies.numpy()))))


def confirmed(view: View, depth: Float[Tensor, "H W"], other: View, other_depth: Tensor) -> Bool[Tensor, "H W"]:
    """Pixels whose depth another image's depth confirms.

    Args:
        view: The image.
        depth: Its depth (H, W), 0 where unknown.
        other: The other image.
        other_depth: Its depth (h, w), 0 where unknown.

    Returns:
        Mask (H, W): the point of the pixel, seen by the other camera, has the depth that was found there.
    """
    relative = other.pose @ torch.linalg.inv(view.pose)
    points = torch.linalg.inv(view.K) @ (_pixels(view).flatten(0, 1).T * depth.flatten())
    moved = relative[:3, :3] @ points + relative[:3, 3:]
    at = (other.K @ moved)[:2] / moved[2].clamp(min=1e-6)
    height, width = other_depth.shape
    u, v = at.round().long()
    inside = (moved[2] > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height) & (depth.flatten() > 0)
    found = other_depth[v.clamp(0, height - 1), u.clamp(0, width - 1)]
    return (inside & ((found - moved[2]).abs() < MAX_DIFFERENCE * moved[2])).view_as(depth)


def _pixels(view: View) -> Float[Tensor, "H W 3"]:
    """Homogeneous coordinates of an image's pixels."""
    height, width = view.grey.shape
    y, x = (torch.arange(side) for side in (height, width))
    v, u = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([u, v, torch.ones_like(u)], dim=-1).to(view.grey)


def _warp(image: Float32s, homography: Float32s, size: tuple[int, ...]) -> tuple[Float32s, NDArray[np.bool_]]:
    """An image (h, w) as a camera of another size (H, W) sees it over a plane, and the mask of what it does not show.

    Args:
        image: Values ≥ 0.
        homography: From pixels of the camera to pixels of the image.
        size: (H, W).
    """
    height, width = size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(image, homography, (width, height), flags=flags, borderValue=OUTSIDE)
    warped = seen.astype(np.float32, copy=False)
    behind = homography[2, 0] * np.arange(width) + homography[2, 1] * np.arange(height)[:, None] + homography[2, 2] <= 0
    outside = (warped < 0) | behind
    warped[outside] = 0
    return warped, outside


def _window(image: Float32s, side: int) -> tuple[int, Float32s, Float32s]:
    """A side of windows, and the mean and the variance (H, W) of an image's windows of it."""
    mean, square = (cv2.blur(x, (side, side)).astype(np.float32, copy=False) for x in (image, image * image))
    return side, mean, square - mean**2


def _correlation(one: Float32s, two: Float32s, side: int, mean: Float32s, variance: Float32s) -> Float32s:
    """Zero-normalised cross-correlation (H, W) of windows of two images; mean and variance are those of the first."""
    _, other_mean, other_variance = _window(two, side)
    covariance = cv2.blur(one * two, (side, side)) - mean * other_mean
    plain = (variance < VARIANCE) | (other_variance < VARIANCE)
    found: Float32s = covariance / np.sqrt(np.maximum(variance * other_variance, VARIANCE**2))
    found[plain] = -1
    return found
