"""Forward warping of a photo by its depth map, and filling of the disoccluded pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mine.data.arrays import Float32s, Size

SUBPIXELS = 2
"""Points in each direction that a pixel is split into, so that stretched surfaces have no cracks."""

SAME_SURFACE = 1.03
"""Points in one pixel whose depths differ by less than this factor lie on one surface and are averaged."""

DISCONTINUITY = 1.1
"""Ratio of neighbouring depths that counts as a discontinuity, at which colours may be mixed."""

NEAR_FRACTION = 0.05
"""Nearest depth that is warped, as a fraction of the median: nearer points would fill the whole image."""


def forward_warp(image: Float32s, depth: Float32s, K: Float32s, T: Float32s) -> tuple[Float32s, Float32s]:
    """Warps an image to another view by its depth, with a depth buffer.

    Pixels right behind a depth discontinuity are left out, because their colours are mixed.

    Args:
        image: (H, W, 3) colours.
        depth: (H, W) depth z, above 0 everywhere.
        K: (3, 3) intrinsics of both views.
        T: (4, 4) pose, target-from-source.

    Returns:
        The warped image (H, W, 3) and its depth (H, W), both 0 where disoccluded.
    """
    height, width = depth.shape
    kept = depth <= DISCONTINUITY * cv2.erode(depth, np.ones((3, 3), np.uint8))
    fine = np.repeat(np.repeat(np.where(kept, depth, 0), SUBPIXELS, 0), SUBPIXELS, 1)
    y, x = np.nonzero(fine)
    pixel = np.stack([x, y, np.ones_like(x)]).astype(np.float32)
    pixel[:2] = (pixel[:2] + 0.5) / SUBPIXELS - 0.5
    moved = (T[:3, :3] @ np.linalg.inv(K)).astype(np.float32) @ (pixel * fine[y, x]) + T[:3, 3:].astype(np.float32)
    z = moved[2]
    front = z > NEAR_FRACTION * np.median(depth)
    u, v = np.rint((K.astype(np.float32) @ moved[:, front])[:2] / z[front]).astype(np.int64)
    colour = cv2.resize(image, (SUBPIXELS * width, SUBPIXELS * height), interpolation=cv2.INTER_LINEAR)[
        y[front], x[front]
    ]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    return _z_buffer(v[inside] * width + u[inside], z[front][inside], colour[inside], (height, width))


def fill_holes(image: Float32s, depth: Float32s) -> Float32s:
    """Fills the pixels of an image (H, W, 3) whose depth (H, W) is 0.

    A pixel gets the colours of the first known pixels to its left, right, top and bottom, weighted by the inverse of
    their distance. Only those at the largest depth count, because disoccluded pixels belong to the background.
    """
    known = depth > 0
    holes = np.nonzero(~known)
    if not known.any():
        return image
    near = np.stack(distance_transform_edt(~known, return_distances=False, return_indices=True))
    found = []
    for axis in (0, 1):
        for order in (slice(None), slice(None, None, -1)):
            first = _last_known(np.swapaxes(known, 0, axis)[order])
            first = first if order == slice(None) else np.where(first >= 0, len(first) - 1 - first, -1)
            pixel = np.swapaxes(first[order], 0, axis)[holes]
            found.append(np.stack([pixel, holes[1]] if axis == 0 else [holes[0], pixel]))
    positions = np.stack(found)  # (4, 2, N)
    depths = np.where((positions >= 0).all(1), depth[positions[:, 0], positions[:, 1]], 0)
    none = depths.max(0) == 0
    positions[:, :, none], depths[:, none] = near[:, holes[0][none], holes[1][none]], 1
    distance = np.abs(positions - np.stack(holes)).sum(1)
    weight = np.where(depths * SAME_SURFACE >= depths.max(0), 1 / np.maximum(distance, 1), 0)[..., None]
    filled = image.copy()
    filled[holes] = (image[positions[:, 0], positions[:, 1]] * weight).sum(0) / weight.sum(0)
    return filled


def _last_known(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each pixel of a mask (N, M), the row of the last True at or above it, -1 if there is none."""
    rows = np.where(known, np.arange(len(known))[:, None], -1)
    return np.maximum.accumulate(rows, axis=0)


def _z_buffer(pixel: NDArray[np.int64], z: Float32s, colour: Float32s, size: Size) -> tuple[Float32s, Float32s]:
    """Depth buffer: mean colour and depth of the nearest surface's points in each pixel (pixel indices are flat)."""
    count = size[0] * size[1]
    nearest = np.full(count, np.inf, np.float32)
    np.minimum.at(nearest, pixel, z)
    first = z <= SAME_SURFACE * nearest[pixel]
    pixel, z, colour = pixel[first], z[first], colour[first]
    number = np.bincount(pixel, minlength=count)
    sums = [np.bincount(pixel, values, minlength=count) for values in (*colour.T, z)]
    means = (np.stack(sums, axis=-1) / np.maximum(number, 1)[:, None]).reshape(*size, 4).astype(np.float32)
    return means[..., :3], means[..., 3]
