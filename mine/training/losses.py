"""The paper's losses, and dense supervision where a generated scene knows its depth."""

import torch
import torch.nn.functional as F
from kornia.filters import spatial_gradient
from torch import Tensor

SSIM_WINDOW = 11
SSIM_DEVIATION = 1.5
PLANES = 32
"""Number of planes a scene usually has: fixes what counts as opaque."""
FARTHEST = 1 / 32
"""Disparity below which planes are all "far": a sky must be opaque within the last interval."""


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean structural similarity of images (B, C, H, W) in [0, 1]: Gaussian window 11, σ 1.5, zero padding.

    Wang et al., "Image quality assessment", 2004. Zero padding is the published training code's choice.
    """
    offset = torch.arange(SSIM_WINDOW, dtype=first.dtype, device=first.device) - SSIM_WINDOW // 2
    gauss = torch.exp(-(offset**2) / (2 * SSIM_DEVIATION**2))
    gauss = (gauss / gauss.sum()).expand(first.shape[1], 1, 1, -1)

    def blur(x: Tensor) -> Tensor:
        rows = F.conv2d(x, gauss, padding=(0, SSIM_WINDOW // 2), groups=x.shape[1])
        return F.conv2d(rows, gauss.mT, padding=(SSIM_WINDOW // 2, 0), groups=x.shape[1])

    mean1, mean2 = blur(first), blur(second)
    var1, var2 = blur(first**2) - mean1**2, blur(second**2) - mean2**2
    covariance = blur(first * second) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    return (likeness / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))).mean()


def smoothness_where_flat(image: Tensor, disparity: Tensor, allowed: float = 2.0, edge: float = 0.1) -> Tensor:
    """Edge-aware smoothness, first form: gradients of disparity above `allowed` count where the image has no edge.

    Per axis, E = min(|∇I| / (edge · max |∇I|), 1) marks the image's edges and G = instance_norm(|∇D|); the loss is
    mean(max(G - allowed, 0) (1 - E)) (after Tucker and Snavely 2020, section 3.4). Image (B, 3, H, W), disparity
    (B, 1, H, W).
    """
    image_gradient = spatial_gradient(image, normalized=False).abs().sum(1)
    edges = (image_gradient / (edge * image_gradient.amax((2, 3), keepdim=True)).clamp(min=1e-6)).clamp(max=1)
    gradient = F.instance_norm(spatial_gradient(disparity, normalized=False)[:, 0].abs())
    return (F.relu(gradient - allowed) * (1 - edges)).mean((0, 2, 3)).sum()


def smoothness(image: Tensor, disparity: Tensor) -> Tensor:
    """Edge-aware smoothness, second form: |∂D*| exp(-|∂I|), D* = D / mean(D) (after Godard et al. 2017 and 2019)."""
    relative = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    loss = image.new_zeros(())
    for axis in (2, 3):
        weight = torch.exp(-torch.diff(image, dim=axis).abs().mean(1, keepdim=True))
        loss = loss + (torch.diff(relative, dim=axis).abs() * weight).mean()
    return loss


def sparse_disparity(disparity: Tensor, points: Tensor, scale: Tensor) -> Tensor:
    """Mean |log d_syn(p) - log(s d_sfm(p))| over points (B, 3, P), for scale (B,) (section 3.4); 0 for no points.

    disparity (B, P): what is rendered where the points are seen.
    """
    if not points.numel():
        return points.new_zeros(())
    return (torch.log(disparity) + torch.log(points[:, 2]) - torch.log(scale)[:, None]).abs().mean()


def occupancy(sigma: Tensor, disparity: Tensor, true_disparity: Tensor) -> Tensor:
    """Cross-entropy of "this point of the plane is opaque" against "the true surface is in front of it".

    A plane should be opaque from half a plane before the surface onwards; what lies behind cannot be seen, so calling
    it opaque costs nothing and makes the target independent of how many planes there are and where. Odds of opacity
    are the optical depth σ Δz of one of `PLANES` even steps in disparity, Δz = 1 / (PLANES d²).

    sigma (B, S, H, W); disparity (B, S); true_disparity (B, 1, H, W), 0 where unknown.
    """
    disparity = disparity[:, :, None, None]
    # Planes beyond 1 / FARTHEST count as if they lay there: the interval behind the last plane is not infinite.
    odds = torch.log(sigma / (PLANES * disparity.clamp(min=FARTHEST) ** 2))
    behind = (disparity <= true_disparity + 0.5 / PLANES).to(odds)
    known = (true_disparity > 0).expand_as(odds)
    loss = F.binary_cross_entropy_with_logits(odds, behind, reduction="none")
    return known_mean(loss, known)


def known_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of values (B, C, H, W) where known (B, C, H, W), over samples that count the same, however sparse each is.

    A sample of which nothing is known counts as 0.
    """
    count = known.sum((1, 2, 3)).clamp(min=1)
    return ((values * known).sum((1, 2, 3)) / count).mean()
