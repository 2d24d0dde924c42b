"""Image and ordinal metrics against values worked out by hand."""

import math
import pickle
from urllib.error import URLError

import lpips
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mine.errors import InputError
from mine.evaluation import metrics
from mine.evaluation.metrics import masked_mean, ordinal_accuracy, psnr, spearman, ssim

original = lpips.LPIPS


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(st.floats(0.01, 0.5))
def test_psnr_of_a_constant_difference(difference: float) -> None:
    image = torch.full((2, 3, 4, 5), 0.4)
    found = psnr(image + difference, image)
    assert found.tolist() == pytest.approx([-20 * math.log10(difference)] * 2, abs=1e-3)


def test_psnr_counts_masked_pixels_alone() -> None:
    true = torch.zeros(1, 3, 2, 2)
    image = true.clone()
    image[..., 0, 0], image[..., 1, 1] = 0.1, 1.0
    mask = torch.tensor([[[[True, True], [False, False]]]])
    assert psnr(image, true, mask).item() == pytest.approx(-10 * math.log10(0.01 / 2), abs=1e-4)
    assert psnr(true, true).item() == math.inf


def test_empty_mask_has_no_mean() -> None:
    assert masked_mean(torch.ones(1, 3, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.bool)).isnan().all()


def test_ssim_of_constant_images() -> None:
    """Without variance, SSIM is (2ab + c1) / (a² + b² + c1) with c1 = 1e-4."""
    a, b = 0.3, 0.6
    found = ssim(torch.full((1, 3, 16, 16), a), torch.full((1, 3, 16, 16), b))
    assert found.item() == pytest.approx((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), abs=1e-3)


def test_ssim_is_one_for_equal_images_and_symmetric() -> None:
    first, second = noise(1, 3, 24, 24), noise(1, 3, 24, 24, seed=1)
    assert ssim(first, first).item() == pytest.approx(1, abs=1e-5)
    assert ssim(first, second).item() == pytest.approx(ssim(second, first).item(), abs=1e-5)
    assert ssim(first, second).item() < 0.2


def test_ssim_counts_masked_pixels_alone() -> None:
    true = noise(1, 3, 32, 48)
    image = true.clone()
    image[..., 24:] = noise(1, 3, 32, 24, seed=1)
    left = torch.zeros(1, 1, 32, 48, dtype=torch.bool)
    left[..., :18] = True  # windows reach 5 pixels: these centres see nothing of the right half
    assert ssim(image, true, left).item() == pytest.approx(1, abs=1e-5)
    assert ssim(image, true).item() < 0.8


def test_spearman_by_hand() -> None:
    """1 - 6 Σd² / (n (n² - 1)) with rank differences 1, 1, 0, 0."""
    assert spearman(torch.tensor([2.0, 1.0, 5.0, 9.0]), torch.arange(4.0)) == pytest.approx(1 - 12 / 60, abs=1e-5)


@given(st.lists(st.integers(1, 100), min_size=3, max_size=20, unique=True))
def test_order_is_all_that_counts(values: list[int]) -> None:
    true = torch.tensor(values, dtype=torch.double) / 10
    assert spearman(torch.exp(true), true) == pytest.approx(1, abs=1e-4)
    assert spearman(-true, true) == pytest.approx(-1, abs=1e-4)


def test_ordinal_accuracy_by_hand() -> None:
    """Of the pairs of 1, 1.05, 2, 4, all but the first two differ by more than 10%; two of those five are reversed."""
    true = torch.tensor([1.0, 1.05, 2.0, 4.0])
    assert ordinal_accuracy(torch.tensor([5.0, 1.0, 2.0, 7.0]), true) == pytest.approx(4 / 5)
    assert ordinal_accuracy(torch.tensor([5.0, 1.0, 2.0, 4.0]), true) == pytest.approx(3 / 5)
    assert ordinal_accuracy(true, true) == 1
    assert ordinal_accuracy(-true, true) == 0
    assert ordinal_accuracy(torch.ones(4), true) == 0, "ties are wrong"
    assert math.isnan(ordinal_accuracy(true[:2], true[:2]))


def test_ordinal_accuracy_samples_large_sets() -> None:
    true = noise(3000)
    assert ordinal_accuracy(true, true, pairs=5000) == 1
    assert 0.45 < ordinal_accuracy(noise(3000, seed=1), true, pairs=5000) < 0.55


def test_lpips_compares_pictures_in_unit_range_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the network's weights at hand; here random ones, so that nothing is downloaded."""
    monkeypatch.setattr(lpips, "LPIPS", lambda net, verbose: original(net=net, verbose=False, pnet_rand=True))
    distance = metrics.perceptual_distance()
    assert distance is not None
    image = noise(2, 3, 32, 32)
    assert distance(image, image).tolist() == [0, 0]
    other = image.clone()
    other[1] = 1 - other[1]
    first, second = distance(image, other).tolist()
    assert first == 0 < second


def test_lpips_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**options: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(lpips, "LPIPS", offline)
    assert metrics.perceptual_distance() is None


@pytest.mark.parametrize("error", [RuntimeError("invalid hash value"), EOFError(), pickle.UnpicklingError("half")])
def test_lpips_with_damaged_weights(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def read(**options: object) -> None:
        raise error

    monkeypatch.setattr(lpips, "LPIPS", read)
    with pytest.raises(InputError, match=r"VGG-16, for LPIPS, cannot be read .*: remove the file from .* lpips=false"):
        metrics.perceptual_distance()
