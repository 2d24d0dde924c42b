"""The compiled recomputing operations against `recompute.reference`, forward and backward."""

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from mine.network.planes.recompute import compiled, reference
from mine.network.planes.recompute.autograd import batch_moments
from mine.network.planes.recompute.reference import BatchMoments, Padding

PRECISION = {torch.float32: 1e-5, torch.float16: 3e-3, torch.bfloat16: 2e-2}
both = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def assert_near(actual: Tensor | None, expected: Tensor | None, dtype: torch.dtype) -> None:
    """To the rounding of the type that feature maps are stored in."""
    assert actual is not None and expected is not None and actual.shape == expected.shape
    error = (actual.double() - expected.double()).abs().max()
    assert error <= PRECISION[dtype] * expected.double().abs().max()


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


@pytest.mark.parametrize(
    ("module", "dtype"),
    [(compiled, torch.float32), (compiled, torch.bfloat16)] + [(reference, dtype) for dtype in PRECISION],
)
@pytest.mark.parametrize("padding", ["reflect", "replicate"])
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("size", [(2, 2), (3, 5), (40, 7)])
def test_activations(
    module: ModuleType, dtype: torch.dtype, padding: Padding, normed: bool, size: tuple[int, int]
) -> None:
    """Against the reference in double precision."""
    z = 3 * noise(4, 6, *size, dtype=dtype) + 1
    affine = (noise(6), noise(6, seed=1)) if normed else (None, None)
    found = BatchMoments(noise(6, seed=2), 0.5 + noise(6, seed=3).abs(), z.numel() // 6) if normed else None
    gradient = noise(4, 6, size[0] + 2, size[1] + 2, dtype=dtype, seed=4)
    results = []
    for tried, own in ((module, z), (reference, z.double())):
        wide = torch.promote_types(own.dtype, torch.float32)
        activation = tried.NormEluPad(own, *(x if x is None else x.to(wide) for x in affine), found, padding)
        padded = [activation.forward(group) for group in (slice(0, 3), slice(3, 4))]
        for group in (slice(0, 3), slice(3, 4)):
            activation.backward(group, gradient[group].to(own.dtype, copy=True))
        results.append((torch.cat(padded), *activation.gradients()))
    for actual, expected in zip(*results, strict=True):
        if not normed and expected is None:
            assert actual is None
        else:
            assert_near(actual, expected, dtype)


@both
def test_sub_pixels(dtype: torch.dtype) -> None:
    phases, gradient = noise(3, 20, 5, 7, dtype=dtype), noise(3, 5, 8, 12, dtype=dtype)
    shared, own = noise(1, 5, 8, 12, dtype=dtype)[0], noise(3, 5, dtype=dtype)
    for common, constant in ((shared, own), (None, None)):
        found = []
        for module in (compiled, reference):
            out = torch.empty_like(gradient)
            module.interleave(phases, out, common, constant)
            found.append(out)
        assert_near(*found, dtype)
    assert torch.equal(compiled.separate(gradient), reference.separate(gradient))
    dot = (gradient.double() * found[0].double()).sum(), (reference.separate(gradient).double() * phases.double()).sum()
    torch.testing.assert_close(*dot, rtol=1e-2, atol=1e-2)  # each is the other's transpose


@both
def test_moments_far_from_zero(dtype: torch.dtype) -> None:
    z = noise(5, 3, 40, 6, dtype=dtype) + torch.tensor([0.0, 10.0, -100.0], dtype=dtype)[:, None, None]
    mean, variance = compiled.mean_and_variance(z)
    expected_variance, expected_mean = torch.var_mean(z.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(mean.double(), expected_mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(variance.double(), expected_variance, rtol=1e-4, atol=1e-6)


def test_running_statistics_take_part_of_each_batch_once() -> None:
    z, norm, plain = noise(4, 3, 6, 5), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    for _ in range(2):
        batch_moments(z, norm)
        plain(z)
    assert norm.num_batches_tracked == 2
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(norm, name), getattr(plain, name))
    assert batch_moments(z, norm.eval()) is None and norm.num_batches_tracked == 2
