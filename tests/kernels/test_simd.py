"""What is written in LLVM's language, against the same in numpy."""

import numba
import numpy as np
from numba import uint64
from numpy.typing import NDArray

from mine.kernels.simd import LANES, add_texels, any_positive, borrowed, prefetch, sample, sample_texels

ACROSS = 40


@numba.njit  # type: ignore[untyped-decorator]
def samples(image: NDArray[np.float32], offsets: NDArray[np.int32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty(LANES, np.float32)
    at, down, row = uint64(shares[0].ctypes.data), uint64(shares[1].ctypes.data), uint64(4 * image.shape[1])
    prefetch(uint64(image.ctypes.data))
    sample(uint64(image.ctypes.data), row, uint64(offsets.ctypes.data), at, down, uint64(out.ctypes.data))
    return out


@numba.njit  # type: ignore[untyped-decorator]
def texels(
    image: NDArray[np.float32], offsets: NDArray[np.int32], shares: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    out, fourth = np.empty((LANES, 4), np.float32), np.empty(LANES, np.float32)
    at, down, row = uint64(shares[0].ctypes.data), uint64(shares[1].ctypes.data), uint64(16 * image.shape[1])
    start, into = uint64(image.ctypes.data), (uint64(out.ctypes.data), uint64(fourth.ctypes.data))
    sample_texels(start, row, uint64(offsets.ctypes.data), at, down, *into)
    return out, fourth


@numba.njit  # type: ignore[untyped-decorator]
def add(weights: NDArray[np.float32], colours: NDArray[np.float32], sums: NDArray[np.float32]) -> None:
    add_texels(uint64(weights.ctypes.data), uint64(colours.ctypes.data), uint64(sums.ctypes.data))


@numba.njit  # type: ignore[untyped-decorator]
def total(values: NDArray[np.float32]) -> float:
    seen = borrowed(values)
    found: float = seen[1:].sum()
    return found


@numba.njit  # type: ignore[untyped-decorator]
def has_positive(values: NDArray[np.float32]) -> bool:
    found: bool = any_positive(uint64(values.ctypes.data))
    return found


def places() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pixels (2, LANES), x and y, of an image 9 high and ACROSS wide, and shares (2, LANES) to the right and below."""
    generator = np.random.default_rng(0)
    corner = np.stack([generator.integers(0, ACROSS - 1, LANES), generator.integers(0, 8, LANES)])
    return corner, generator.random((2, LANES), np.float32)


def bilinear(image: NDArray[np.float32], corner: NDArray[np.int64], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = corner
    across, down = shares.reshape(2, LANES, *[1] * (image.ndim - 2))
    top = image[y, x] * (1 - across) + image[y, x + 1] * across
    bottom = image[y + 1, x] * (1 - across) + image[y + 1, x + 1] * across
    return top * (1 - down) + bottom * down


def offsets(corner: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    """Bytes to pixels of so many bytes."""
    return (size * (corner[1] * ACROSS + corner[0])).astype(np.int32)


def test_samples_are_bilinear() -> None:
    image = np.random.default_rng(1).random((9, ACROSS), np.float32)
    corner, shares = places()
    found = samples(image, offsets(corner, 4), shares)
    np.testing.assert_allclose(found, bilinear(image, corner, shares), rtol=1e-6)


def test_samples_of_four_numbers_are_those_of_each() -> None:
    image = np.random.default_rng(1).random((9, ACROSS, 4), np.float32)
    corner, shares = places()
    found, fourth = texels(image, offsets(corner, 16), shares)
    np.testing.assert_allclose(found, bilinear(image, corner, shares), rtol=1e-6)
    np.testing.assert_array_equal(fourth, found[:, 3])


def test_texels_are_added_by_their_weights() -> None:
    weights, colours, sums = np.split(np.random.default_rng(0).random((LANES, 9), np.float32), [1, 5], axis=1)
    expected = sums + weights * colours
    weights, colours, sums = (np.ascontiguousarray(part) for part in (weights, colours, sums))
    add(weights, colours, sums)
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def test_a_borrowed_array_is_the_same_one_and_stays_with_its_owner() -> None:
    values = np.arange(5, dtype=np.float32)
    assert [total(values) for _ in range(3)] == [10.0] * 3
    np.testing.assert_array_equal(values, np.arange(5))


def test_any_positive_sees_each_lane() -> None:
    for lane in range(LANES):
        values = np.zeros(LANES, np.float32)
        values[(lane + 1) % LANES] = -1
        assert not has_positive(values)
        values[lane] = 1e-30
        assert has_positive(values)
