"""The sampling intrinsics against the same in numpy."""

import numba
import numpy as np
from numba import uint64
from numpy.typing import NDArray

from mine.render.cpu.sampling import (
    LANES,
    add_weighted_texels,
    any_positive,
    sample_at_most,
    sample_scalars,
    sample_texels,
)

WIDTH = 40

Floats = NDArray[np.float32]


@numba.njit  # type: ignore[untyped-decorator]
def samples(image: Floats, offsets: NDArray[np.int32], weights: Floats) -> Floats:
    out = np.empty(LANES, np.float32)
    at, down, row = uint64(weights[0].ctypes.data), uint64(weights[1].ctypes.data), uint64(4 * image.shape[1])
    sample_scalars(uint64(image.ctypes.data), row, uint64(offsets.ctypes.data), at, down, uint64(out.ctypes.data))
    return out


@numba.njit  # type: ignore[untyped-decorator]
def shares_at_most(image: Floats, offsets: NDArray[np.int32], weights: Floats, limit: np.float32) -> Floats:
    out = np.empty(LANES, np.float32)
    at, down, row = uint64(weights[0].ctypes.data), uint64(weights[1].ctypes.data), uint64(4 * image.shape[1])
    start, into = uint64(image.ctypes.data), uint64(out.ctypes.data)
    sample_at_most(start, row, uint64(offsets.ctypes.data), at, down, into, limit)
    return out


@numba.njit  # type: ignore[untyped-decorator]
def texels(image: Floats, offsets: NDArray[np.int32], weights: Floats) -> tuple[Floats, Floats]:
    out, fourth = np.empty((LANES, 4), np.float32), np.empty(LANES, np.float32)
    at, down, row = uint64(weights[0].ctypes.data), uint64(weights[1].ctypes.data), uint64(16 * image.shape[1])
    start, into = uint64(image.ctypes.data), (uint64(out.ctypes.data), uint64(fourth.ctypes.data))
    sample_texels(start, row, uint64(offsets.ctypes.data), at, down, *into)
    return out, fourth


@numba.njit  # type: ignore[untyped-decorator]
def add(weights: Floats, colours: Floats, sums: Floats) -> None:
    add_weighted_texels(uint64(weights.ctypes.data), uint64(colours.ctypes.data), uint64(sums.ctypes.data))


@numba.njit  # type: ignore[untyped-decorator]
def has_positive(values: Floats) -> bool:
    found: bool = any_positive(uint64(values.ctypes.data))
    return found


def random_positions() -> tuple[NDArray[np.int64], Floats]:
    """Top-left texels (2, LANES), x and y, in an image of (9, WIDTH), and bilinear weights (2, LANES)."""
    generator = np.random.default_rng(0)
    corner = np.stack([generator.integers(0, WIDTH - 1, LANES), generator.integers(0, 8, LANES)])
    return corner, generator.random((2, LANES), np.float32)


def bilinear(image: Floats, corner: NDArray[np.int64], weights: Floats) -> Floats:
    x, y = corner
    across, down = weights.reshape(2, LANES, *[1] * (image.ndim - 2))
    top = image[y, x] * (1 - across) + image[y, x + 1] * across
    bottom = image[y + 1, x] * (1 - across) + image[y + 1, x + 1] * across
    return top * (1 - down) + bottom * down


def byte_offsets(corner: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    """Byte offsets of pixels of `size` bytes."""
    return (size * (corner[1] * WIDTH + corner[0])).astype(np.int32)


def test_samples_of_one_channel_are_bilinear() -> None:
    image = np.random.default_rng(1).random((9, WIDTH), np.float32)
    corner, weights = random_positions()
    found = samples(image, byte_offsets(corner, 4), weights)
    np.testing.assert_allclose(found, bilinear(image, corner, weights), rtol=1e-6)


def test_comparisons_are_sampled_after_they_are_made() -> None:
    image = np.random.default_rng(1).random((9, WIDTH), np.float32)
    corner, weights = random_positions()
    limit = image[corner[1][0], corner[0][0]]  # equal counts
    found = shares_at_most(image, byte_offsets(corner, 4), weights, limit)
    np.testing.assert_allclose(found, bilinear((image <= limit).astype(np.float32), corner, weights), rtol=1e-6)


def test_samples_of_four_channels_are_bilinear() -> None:
    image = np.random.default_rng(1).random((9, WIDTH, 4), np.float32)
    corner, weights = random_positions()
    found, fourth = texels(image, byte_offsets(corner, 16), weights)
    np.testing.assert_allclose(found, bilinear(image, corner, weights), rtol=1e-6)
    np.testing.assert_array_equal(fourth, found[:, 3])


def test_weighted_texels_are_added() -> None:
    weights, colours, sums = np.split(np.random.default_rng(0).random((LANES, 9), np.float32), [1, 5], axis=1)
    expected = sums + weights * colours
    weights, colours, sums = (np.ascontiguousarray(part) for part in (weights, colours, sums))
    add(weights, colours, sums)
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def test_any_positive_sees_each_lane() -> None:
    for lane in range(LANES):
        values = np.zeros(LANES, np.float32)
        values[(lane + 1) % LANES] = -1
        assert not has_positive(values)
        values[lane] = 1e-30
        assert has_positive(values)
