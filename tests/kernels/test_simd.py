"""General intrinsics: what they do besides hints to the CPU."""

import numba
import numpy as np
from numba import uint64
from numpy.typing import NDArray

from mine.kernels.simd import borrowed, prefetch


@numba.njit  # type: ignore[untyped-decorator]
def total(values: NDArray[np.float32]) -> float:
    array = borrowed(values)
    prefetch(uint64(array.ctypes.data))
    found: float = array[1:].sum()
    return found


def test_a_borrowed_array_is_the_same_one_and_stays_with_its_owner() -> None:
    values = np.arange(5, dtype=np.float32)
    assert [total(values) for _ in range(3)] == [10.0] * 3
    np.testing.assert_array_equal(values, np.arange(5))
