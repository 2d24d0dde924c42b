"""The losses of disparity networks, scale-invariant: dense or sparse depth is known up to one factor per image.

Disparities are compared in logarithms, less the median difference (after Eigen et al. 2014, with the median in place of
the mean), at every known pixel, in their multi-scale gradients (Li and Snavely 2018) and in their order (Chen et al.
2016). True log-disparity is divided by the contrast of its camera's focal length, by which `DisparityNetwork`
multiplies its predictions: the network learns what a camera with a field of view of 53° would see. Both images of a
sample, source and target, are training examples. Members of an ensemble learn side by side, each by losses of its own.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.config import PRECISIONS, DisparityLossWeights, TrainConfig
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.network.disparity.network import DisparityNetwork, contrast_by_focal
from mine.scene.depth_maps.depth_map import FARTHEST
from mine.training.losses import known_mean
from mine.training.virtual_cameras import VirtualCameras

PORTRAIT_PROBABILITY = 0.3
"""Fraction of batches whose virtual cameras are in portrait format."""

RESOLUTIONS = (1 / 2, 1 / 2, 3 / 4, 1)
"""Resolutions of the virtual cameras relative to the images', equally likely: for large shapes and for fine edges."""

PAIRS = 512
"""Pixel pairs per image that the ordinal loss compares."""

MIN_LOG_RATIO = 0.1
"""Log-ratio of disparities above which the order of two pixels is known."""

ORDINAL_TEMPERATURE = 0.08
"""Log-ratio of predicted disparities that is one unit of the logistic ordinal loss."""


def disparity_losses(network: DisparityNetwork, batch: Sample, config: TrainConfig, rng: BatchRng) -> dict[str, Tensor]:
    """The weighted losses of a batch, seen by random virtual cameras.

    Args:
        network: The network in training.
        batch: A batch of B samples.
        config: Precision and weights (`disparity_losses`).
        rng: Random numbers of the batch.

    Returns:
        Scalars by name, means over the members of an ensemble: `likeness` (mean absolute difference), `gradient`,
        `order`, and their sum `total`.
    """
    image = torch.cat([batch.source, batch.target])
    depth = torch.cat([batch.depth_src, batch.depth_tgt])
    dense = torch.cat([batch.metric, batch.metric]) > 0
    image_size = image.shape[-2], image.shape[-1]
    rng = rng.pairs()
    K = torch.cat([batch.K_src, batch.K_tgt])
    cameras = VirtualCameras.sample(K, image_size, virtual_size(image_size, rng), rng)
    features = network.encoder(cameras.warp(image).contiguous(memory_format=torch.channels_last))
    dtype: torch.dtype = getattr(torch, PRECISIONS[config.precision])
    with torch.autocast(image.device.type, dtype, enabled=config.precision != "fp32"):
        prediction = network.decoder(features)
    prediction, inside = cameras.unwarp(F.interpolate(prediction, cameras.size, mode="bilinear"))
    known = (depth > 0) & inside
    depth = depth * cameras.depth_ratio().to(depth)
    true = torch.where(known, -torch.log(depth.clamp(min=1e-3)), 0).clamp(min=math.log(FARTHEST))
    true = true / contrast_by_focal(cameras.focal).to(true)[:, None, None, None]
    members = prediction.split(1, dim=1)
    each = [map_losses(own, true, known, dense, config.disparity_losses, rng) for own in members]
    found = {name: torch.stack([losses[name] for losses in each]).mean() for name in each[0]}
    return found | {"total": torch.stack(list(found.values())).sum()}


def map_losses(
    prediction: Tensor, true: Tensor, known: Tensor, dense: Tensor, weights: DisparityLossWeights, rng: BatchRng
) -> dict[str, Tensor]:
    """The weighted losses of predicted log-disparity (B, 1, H, W), by name; `dense` (B,) is where all is known."""
    difference = scale_invariant_difference(prediction, true, known)
    return {
        "likeness": weights.likeness * known_mean(difference.abs(), known),
        "gradient": weights.gradient * multi_scale_gradient_loss(difference, known & dense[:, None, None, None]),
        "order": weights.order * ordinal_loss(prediction, true, known, rng),
    }


def virtual_size(image_size: tuple[int, int], rng: BatchRng) -> tuple[int, int]:
    """A random image size (H, W) for virtual cameras, in multiples of 32, for landscape images of `image_size`."""
    resolution = RESOLUTIONS[int(rng.common() * len(RESOLUTIONS))]
    height, width = (max(32, round(side * resolution / 32) * 32) for side in image_size)
    return (width, height) if rng.common() < PORTRAIT_PROBABILITY else (height, width)


def scale_invariant_difference(prediction: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Difference of log-disparities, less its median over the known pixels of each image.

    Args:
        prediction: Predicted log-disparity (B, 1, H, W).
        true: True log-disparity, of the same shape.
        known: Mask (B, 1, H, W) of the pixels whose true disparity is known.

    Returns:
        (B, 1, H, W); the median carries no gradient.
    """
    difference = prediction - true
    values = torch.where(known, difference.detach(), torch.nan).flatten(1)
    return difference - torch.nan_to_num(values.nanmedian(1).values)[:, None, None, None]


def multi_scale_gradient_loss(difference: Tensor, known: Tensor) -> Tensor:
    """Multi-scale gradient matching (Li and Snavely 2018): mean |∂ difference| over four scales, summed.

    Args:
        difference: Difference of log-disparities (B, 1, H, W).
        known: Mask (B, 1, H, W); a step counts where both of its pixels are known.

    Returns:
        A scalar.
    """
    total = difference.new_zeros(())
    for scale in range(4):
        x, mask = (tensor[..., :: 2**scale, :: 2**scale] for tensor in (difference, known.to(difference)))
        for axis in (2, 3):
            both = mask.narrow(axis, 1, mask.shape[axis] - 1) * mask.narrow(axis, 0, mask.shape[axis] - 1)
            total = total + (torch.diff(x, dim=axis).abs() * both).mean()
    return total


def ordinal_loss(prediction: Tensor, true: Tensor, known: Tensor, rng: BatchRng) -> Tensor:
    """Pairwise ranking loss (Chen et al. 2016): softplus of the predicted difference, signed by the true order.

    Args:
        prediction: Predicted log-disparity (B, 1, H, W).
        true: True log-disparity, of the same shape.
        known: Mask (B, 1, H, W) of the pixels that pairs are sampled from.
        rng: Random numbers of the batch.

    Returns:
        A scalar: the mean over the pairs of each image that differ by more than `MIN_LOG_RATIO`.
    """
    # The nth known pixel of an image is where its count of known pixels reaches n.
    count = known.flatten(1).cumsum(1)
    nth = (rng.uniform(2 * PAIRS).to(prediction.device) * count[:, -1:]).long() + 1
    pixels = torch.searchsorted(count, nth).clamp(max=count.shape[1] - 1)
    pairs = [values.flatten(1).gather(1, pixels).unflatten(1, (2, PAIRS)) for values in (prediction, true)]
    step, true_step = (values[:, 0] - values[:, 1] for values in pairs)
    differ = true_step.abs() > MIN_LOG_RATIO
    loss = F.softplus(-true_step.sign() * step / ORDINAL_TEMPERATURE) * differ
    return (loss.sum(1) / differ.sum(1).clamp(min=1)).mean()
