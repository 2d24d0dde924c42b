"""Figures of merit: how like the true view a view is, and how well depths are ordered."""

from collections.abc import Callable
from urllib.error import URLError

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.functional.regression import spearman_corrcoef


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean (B,) of values (B, C, H, W) over the pixels of mask (B, 1, H, W), all by default; NaN where it is empty."""
    if mask is None:
        return values.flatten(1).mean(1)
    weight = mask.to(values).expand_as(values)
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)


def psnr(image: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio (B,) in dB, -10 log10 of the mean squared difference over the masked pixels.

    image, true: (B, 3, H, W) in [0, 1]; mask: (B, 1, H, W), all pixels by default. Equal images give infinity.
    """
    return -10 * torch.log10(masked_mean((image - true) ** 2, mask))


def ssim(image: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity (B,) (Wang et al. 2004, Gaussian window of σ = 1.5), its map averaged over masked pixels.

    Windows reach beyond the mask: only their centres must be in it. Shapes are those of `psnr`.
    """
    _, similarity = structural_similarity_index_measure(image, true, data_range=1.0, return_full_image=True)
    return masked_mean(similarity, mask)


def spearman(predicted: Tensor, true: Tensor) -> float:
    """Spearman's rank correlation, -1 to 1, of two sets of values (N,)."""
    return float(spearman_corrcoef(predicted.double().cpu(), true.double().cpu()))


def ordered_share(predicted: Tensor, true: Tensor, min_ratio: float = 1.1, pairs: int = 100_000) -> float:
    """Share of point pairs that a prediction puts in the right order of depth; chance is 1/2.

    predicted, true: (N,) disparities. Only pairs whose true disparities differ by more than the factor `min_ratio`
    count; predicted ties are wrong. All pairs are compared, or `pairs` fixed random ones where there are more. NaN when
    no pair differs enough.
    """
    first, second = _pairs(len(true), pairs)
    nearer = true[first] > min_ratio * true[second]
    farther = true[second] > min_ratio * true[first]
    right = torch.where(nearer, predicted[first] > predicted[second], predicted[first] < predicted[second])
    return float(right[nearer | farther].double().mean())


def _pairs(count: int, limit: int) -> tuple[Tensor, Tensor]:
    if count * (count - 1) // 2 <= limit:
        first, second = torch.triu_indices(count, count, offset=1)
        return first, second
    first, second = torch.randint(count, (2, limit), generator=torch.Generator().manual_seed(0))
    return first, second


def perceptual_distance() -> Callable[[Tensor, Tensor], Tensor] | None:
    """LPIPS (Zhang et al. 2018, VGG-16) as a function of two images (B, 3, H, W) in [0, 1] to (B,), lower is better.

    None when its weights are not on this machine and cannot be downloaded.
    """
    import lpips

    try:
        network = lpips.LPIPS(net="vgg", verbose=False).eval()
    except (URLError, OSError):
        return None

    @torch.no_grad()
    def distance(image: Tensor, true: Tensor) -> Tensor:
        found: Tensor = network.to(image.device)(image, true, normalize=True).flatten()
        return found

    return distance
