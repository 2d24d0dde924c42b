"""A photo seen from elsewhere: its pixels moved by their depth, what comes into view filled in."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Floats = NDArray[np.float32]

FINER = 2
"""Each pixel moves as this many by this many, so that stretched surfaces have no cracks."""

LAYER = 1.03
"""What lies behind the nearest surface in a pixel by less than this factor shows in it too."""

EDGE = 1.1
"""A pixel whose neighbour is nearer by this factor may hold some of its colour."""

NEAR = 0.05
"""Share of the median depth below which nothing is drawn: it would fill the whole picture."""


def forward_warp(image: Floats, depth: Floats, K: Floats, T: Floats) -> tuple[Floats, Floats]:
    """What a camera at pose T (4, 4), target-from-source, sees of an image (H, W, 3) with depth (H, W), all above 0.

    Both cameras have intrinsics K (3, 3). Returns an image and its depth of the same shapes; depth is 0, and the image
    black, where nothing arrives. Pixels right behind an edge are left out, because cameras blend colours there.
    """
    height, width = depth.shape
    kept = depth <= EDGE * cv2.erode(depth, np.ones((3, 3), np.uint8))
    fine = np.repeat(np.repeat(np.where(kept, depth, 0), FINER, 0), FINER, 1)
    y, x = np.nonzero(fine)
    place = np.stack([x, y, np.ones_like(x)]).astype(np.float32)
    place[:2] = (place[:2] + 0.5) / FINER - 0.5
    moved = (T[:3, :3] @ np.linalg.inv(K)).astype(np.float32) @ (place * fine[y, x]) + T[:3, 3:].astype(np.float32)
    z = moved[2]
    front = z > NEAR * np.median(depth)
    u, v = np.rint((K.astype(np.float32) @ moved[:, front])[:2] / z[front]).astype(np.int64)
    colour = cv2.resize(image, (FINER * width, FINER * height), interpolation=cv2.INTER_LINEAR)[y[front], x[front]]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    return _nearest(v[inside] * width + u[inside], z[front][inside], colour[inside], (height, width))


def fill_holes(image: Floats, depth: Floats) -> Floats:
    """The image (H, W, 3) with colours where depth (H, W) is 0: of the first pixels left, right, above and below.

    Of these four only the farthest count, by the inverse of their distance: holes open behind what stands in front, so
    what fills them belongs to the farther side. A depth of 0 everywhere leaves the image as it is.
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
            place = np.swapaxes(first[order], 0, axis)[holes]
            found.append(np.stack([place, holes[1]] if axis == 0 else [holes[0], place]))
    places = np.stack(found)  # (4, 2, N)
    reach = np.where((places >= 0).all(1), depth[places[:, 0], places[:, 1]], 0)
    none = reach.max(0) == 0
    places[:, :, none], reach[:, none] = near[:, holes[0][none], holes[1][none]], 1
    distance = np.abs(places - np.stack(holes)).sum(1)
    weight = np.where(reach * LAYER >= reach.max(0), 1 / np.maximum(distance, 1), 0)[..., None]
    filled = image.copy()
    filled[holes] = (image[places[:, 0], places[:, 1]] * weight).sum(0) / weight.sum(0)
    return filled


def _last_known(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each pixel of a mask (N, M), the row of the last True at or above it, -1 where there is none."""
    rows = np.where(known, np.arange(len(known))[:, None], -1)
    return np.maximum.accumulate(rows, axis=0)


def _nearest(pixel: NDArray[np.int64], z: Floats, colour: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Mean colour and depth of the nearest points in each pixel, of points with pixel numbers, depths and colours."""
    count = size[0] * size[1]
    nearest = np.full(count, np.inf, np.float32)
    np.minimum.at(nearest, pixel, z)
    first = z <= LAYER * nearest[pixel]
    pixel, z, colour = pixel[first], z[first], colour[first]
    number = np.bincount(pixel, minlength=count)
    sums = [np.bincount(pixel, values, minlength=count) for values in (*colour.T, z)]
    means = (np.stack(sums, axis=-1) / np.maximum(number, 1)[:, None]).reshape(*size, 4).astype(np.float32)
    return means[..., :3], means[..., 3]
