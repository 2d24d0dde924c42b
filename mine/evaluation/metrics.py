"""Image metrics (PSNR, SSIM, LPIPS) over masked pixels, and ordinal metrics of disparity."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.hub import get_dir
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.functional.regression import spearman_corrcoef

from mine.errors import InputError
from mine.inputs.files import parsing


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean per image over masked pixels.

    Args:
        values: (B, C, H, W).
        mask: (B, 1, H, W); all pixels by default.

    Returns:
        Means (B,); NaN where the mask is empty.
    """
    if mask is None:
        return values.flatten(1).mean(1)
    weight = mask.to(values).expand_as(values)
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)


def psnr(image: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB: -10 log10 of the mean squared difference over masked pixels.

    Args:
        image: Images (B, 3, H, W) in [0, 1].
        true: The true images, of the same shape.
        mask: (B, 1, H, W); all pixels by default.

    Returns:
        PSNR (B,); infinity for equal images.
    """
    return -10 * torch.log10(masked_mean((image - true) ** 2, mask))


def ssim(image: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity (Wang et al. 2004, Gaussian window of σ = 1.5), its map averaged over masked pixels.

    Only the centre of a window must lie in the mask. Borders are padded by reflection, as torchmetrics does;
    `mine.training.losses.ssim` pads with zeros, as the published training code does.

    Args:
        image: Images (B, 3, H, W) in [0, 1].
        true: The true images, of the same shape.
        mask: (B, 1, H, W); all pixels by default.

    Returns:
        SSIM (B,), 1 for equal images.
    """
    _, similarity = structural_similarity_index_measure(image, true, data_range=1.0, return_full_image=True)
    return masked_mean(similarity, mask)


def spearman(predicted: Tensor, true: Tensor) -> float:
    """Spearman's rank correlation of two sets of values (N,), in [-1, 1]."""
    return float(spearman_corrcoef(predicted.double().cpu(), true.double().cpu()))


def ordinal_accuracy(predicted: Tensor, true: Tensor, min_ratio: float = 1.1, pairs: int = 100_000) -> float:
    """Fraction of point pairs whose ordinal depth relation is predicted right; chance is 1/2.

    Reported as `ordered`. Predicted ties are wrong.

    Args:
        predicted: Predicted disparities (N,), of any scale.
        true: True disparities (N,).
        min_ratio: Only pairs whose true disparities differ by more than this factor count.
        pairs: Where there are more pairs than this, so many random ones (of a fixed seed) are compared.

    Returns:
        The fraction, in [0, 1]; NaN when no pair differs enough.
    """
    first, second = _pairs(len(true), pairs)
    nearer = true[first] > min_ratio * true[second]
    farther = true[second] > min_ratio * true[first]
    right = torch.where(nearer, predicted[first] > predicted[second], predicted[first] < predicted[second])
    return float(right[nearer | farther].double().mean())


def _pairs(count: int, limit: int) -> tuple[Tensor, Tensor]:
    """Indices of all pairs of `count` points, or of `limit` random ones where there are more."""
    if count * (count - 1) // 2 <= limit:
        first, second = torch.triu_indices(count, count, offset=1)
        return first, second
    first, second = torch.randint(count, (2, limit), generator=torch.Generator().manual_seed(0))
    return first, second


def perceptual_distance() -> Callable[[Tensor, Tensor], Tensor] | None:
    """LPIPS (Zhang et al. 2018) with VGG-16.

    Returns:
        A function from two images (B, 3, H, W) in [0, 1] to distances (B,), lower is better; None when the weights of
        VGG-16 are not on this machine and cannot be downloaded.

    Raises:
        InputError: They are on this machine, but damaged.
    """
    import lpips

    remedy = f"remove the file from {Path(get_dir(), 'checkpoints')}, or give lpips=false"
    try:
        with parsing("the weights of VGG-16, for LPIPS, cannot be read", remedy):
            network = lpips.LPIPS(net="vgg", verbose=False).eval()
    except InputError as error:
        if isinstance(error.__cause__, OSError):  # URLError is one
            return None
        raise

    @torch.no_grad()
    def distance(image: Tensor, true: Tensor) -> Tensor:
        distances: Tensor = network.to(image.device)(image, true, normalize=True).flatten()
        return distances

    return distance
