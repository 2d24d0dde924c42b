"""The losses of MINE (Li et al. 2021, section 3.4), and an occupancy loss for scenes whose depth is known."""

import torch
import torch.nn.functional as F
from kornia.filters import spatial_gradient
from torch import Tensor

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
OCCUPANCY_PLANES = 32
"""Number of planes, uniform in disparity, whose spacing defines the opacity that the occupancy loss compares."""
MIN_DISPARITY = 1 / 32
"""Disparity below which planes count as equally far: a sky must be opaque within the last interval."""


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean structural similarity of images (B, C, H, W) in [0, 1], a scalar: 1 for equal images; see `ssim_map`."""
    return ssim_map(first, second).mean()


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004): Gaussian window of 11 pixels, σ = 1.5, zero padding.

    Written out since the published training code pads with zeros, and kornia's and torchmetrics' SSIM by reflection.

    Args:
        first: Images (B, C, H, W) in [0, 1].
        second: Images of the same shape.

    Returns:
        (B, C, H, W), the similarity around each pixel; 1 for equal images.
    """
    offset = torch.arange(SSIM_WINDOW, dtype=first.dtype, device=first.device) - SSIM_WINDOW // 2
    gauss = torch.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    gauss = (gauss / gauss.sum()).expand(first.shape[1], 1, 1, -1)

    def blur(x: Tensor) -> Tensor:
        rows = F.conv2d(x, gauss, padding=(0, SSIM_WINDOW // 2), groups=x.shape[1])
        return F.conv2d(rows, gauss.mT, padding=(SSIM_WINDOW // 2, 0), groups=x.shape[1])

    mean1, mean2 = blur(first), blur(second)
    var1, var2 = blur(first**2) - mean1**2, blur(second**2) - mean2**2
    covariance = blur(first * second) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    similarity: Tensor = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    return similarity / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))


def smoothness_where_flat(image: Tensor, disparity: Tensor, allowed: float = 2.0, edge: float = 0.1) -> Tensor:
    """Edge-aware smoothness, the published code's first form (after Tucker and Snavely 2020, section 3.4).

    Per axis, E = min(|∇I| / (edge · max |∇I|), 1) marks the image's edges and G = instance_norm(|∇D|); the loss is
    mean(max(G - allowed, 0) (1 - E)).

    Args:
        image: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W).
        allowed: Normalised disparity gradient above which a pixel is penalised.
        edge: Fraction of the largest image gradient that counts as a full edge.

    Returns:
        A scalar.
    """
    image_gradient = spatial_gradient(image, normalized=False).abs().sum(1)
    edges = (image_gradient / (edge * image_gradient.amax((2, 3), keepdim=True)).clamp(min=1e-6)).clamp(max=1)
    gradient = F.instance_norm(spatial_gradient(disparity, normalized=False)[:, 0].abs())
    return (F.relu(gradient - allowed) * (1 - edges)).mean((0, 2, 3)).sum()


def smoothness(image: Tensor, disparity: Tensor) -> Tensor:
    """Edge-aware smoothness, the published code's second form (Godard et al. 2017 and 2019).

    The loss is mean(|∂D*| exp(-|∂I|)) with D* = D / mean(D), summed over both axes.

    Args:
        image: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W).

    Returns:
        A scalar.
    """
    relative = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    loss = image.new_zeros(())
    for axis in (2, 3):
        weight = torch.exp(-torch.diff(image, dim=axis).abs().mean(1, keepdim=True))
        loss = loss + (torch.diff(relative, dim=axis).abs() * weight).mean()
    return loss


def sparse_disparity(disparity: Tensor, points: Tensor, scale: Tensor) -> Tensor:
    """Sparse disparity loss: mean |log d_syn(p) - log(s d_sfm(p))| over SfM points (Li et al. 2021, section 3.4).

    Args:
        disparity: Rendered disparity (B, P) at the pixels of the points.
        points: SfM points (B, 3, P) in camera coordinates.
        scale: Scale factors s (B,).

    Returns:
        A scalar; 0 without points.
    """
    if not points.numel():
        return points.new_zeros(())
    return (torch.log(disparity) + torch.log(points[:, 2]) - torch.log(scale)[:, None]).abs().mean()


def occupancy(sigma: Tensor, disparity: Tensor, true_disparity: Tensor) -> Tensor:
    """Cross-entropy of "this point of the plane is opaque" against "the true surface is in front of it".

    A plane should be opaque from half a plane before the surface onwards. What lies behind cannot be seen, so calling
    it opaque costs nothing and makes the target independent of the number of planes and of their disparities. The odds
    of opacity are the optical depth σ Δz of one of `OCCUPANCY_PLANES` uniform steps in disparity, Δz = 1 / (planes d²).

    Args:
        sigma: Densities (B, S, H, W).
        disparity: Disparities (B, S) of the planes.
        true_disparity: (B, 1, H, W), 0 where unknown.

    Returns:
        A scalar.
    """
    disparity = disparity[:, :, None, None]
    # Planes beyond 1 / MIN_DISPARITY count as if they lay there: the interval behind the last plane is not infinite.
    odds = torch.log(sigma / (OCCUPANCY_PLANES * disparity.clamp(min=MIN_DISPARITY) ** 2))
    behind = (disparity <= true_disparity + 0.5 / OCCUPANCY_PLANES).to(odds)
    known = (true_disparity > 0).expand_as(odds)
    loss = F.binary_cross_entropy_with_logits(odds, behind, reduction="none")
    return known_mean(loss, known)


def known_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels, first of each sample, then over samples: all have the same weight, however sparse.

    Args:
        values: (B, C, H, W).
        known: Mask (B, C, H, W).

    Returns:
        A scalar; a sample without known pixels counts as 0.
    """
    count = known.sum((1, 2, 3)).clamp(min=1)
    return ((values * known).sum((1, 2, 3)) / count).mean()
