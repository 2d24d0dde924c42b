"""Scalar functions of the kernels against numpy's and torch's."""

import numba
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mine.kernels.arrays import as_array
from mine.kernels.numerics import elu, exp_minus, store, to_float32


@numba.njit  # type: ignore[untyped-decorator]
def exponentials(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    exp, activated = np.empty_like(x), np.empty_like(x)
    for i in range(len(x)):
        exp[i], activated[i] = exp_minus(abs(x[i])), elu(x[i])
    return exp, activated


@numba.njit  # type: ignore[untyped-decorator]
def round_trip(x: NDArray[np.float32], rounded: NDArray[np.uint16]) -> NDArray[np.float32]:
    widened = np.empty_like(x)
    for i in range(len(x)):
        store(rounded, i, x[i])
        widened[i] = to_float32(rounded[i])
    return widened


def test_exp_and_elu_are_exact_to_float32_rounding() -> None:
    """The exponent x / ln 2 is rounded to float32, so the relative error of exp grows with x."""
    x = np.linspace(-87, 87, 10_001, dtype=np.float32)
    exp, activated = exponentials(x)
    error = np.abs(exp * np.exp(np.abs(x.astype(np.float64))) - 1)
    assert (error <= 2e-7 + 1.2e-7 * np.abs(x)).all()
    np.testing.assert_allclose(activated, F.elu(torch.from_numpy(x).double()), rtol=1e-6, atol=3e-7)


def test_bfloat16_rounds_as_torch_does() -> None:
    """To the nearest, ties to even."""
    x = torch.cat([torch.randn(1000, generator=torch.Generator().manual_seed(0)), torch.arange(250, 300) + 0.5])
    rounded = np.empty(len(x), np.uint16)
    widened = round_trip(x.numpy(), rounded)
    np.testing.assert_array_equal(rounded, as_array(x.bfloat16()))
    np.testing.assert_array_equal(widened, x.bfloat16().float().numpy())
