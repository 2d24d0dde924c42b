"""What is written in LLVM's language, against the same in numpy."""

import numba
import numpy as np
from numba import uint64
from numpy.typing import NDArray

from mine.vectors import LANES, any_positive, prefetch, sample

ACROSS = 40


@numba.njit  # type: ignore[untyped-decorator]
def samples(image: NDArray[np.float32], corners: NDArray[np.int32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty(LANES, np.float32)
    at, down, row = uint64(shares[0].ctypes.data), uint64(shares[1].ctypes.data), uint64(4 * image.shape[1])
    prefetch(uint64(image.ctypes.data))
    sample(uint64(image.ctypes.data), row, uint64(corners.ctypes.data), at, down, uint64(out.ctypes.data))
    return out


@numba.njit  # type: ignore[untyped-decorator]
def has_positive(values: NDArray[np.float32]) -> bool:
    found: bool = any_positive(uint64(values.ctypes.data))
    return found


def test_samples_are_bilinear() -> None:
    generator = np.random.default_rng(0)
    image = generator.random((9, ACROSS), np.float32)
    x, y = generator.integers(0, ACROSS - 1, LANES), generator.integers(0, 8, LANES)
    across, down = shares = generator.random((2, LANES), np.float32)
    top = image[y, x] * (1 - across) + image[y, x + 1] * across
    bottom = image[y + 1, x] * (1 - across) + image[y + 1, x + 1] * across
    found = samples(image, (y * ACROSS + x).astype(np.int32), shares)
    np.testing.assert_allclose(found, top * (1 - down) + bottom * down, rtol=1e-6)


def test_any_positive_sees_each_lane() -> None:
    for lane in range(LANES):
        values = np.zeros(LANES, np.float32)
        values[(lane + 1) % LANES] = -1
        assert not has_positive(values)
        values[lane] = 1e-30
        assert has_positive(values)
