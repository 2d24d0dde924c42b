"""The losses of surface networks: dense or sparse depth, known up to the scale of each picture.

Both pictures of a sample are examples. Disparities are compared in logarithms, less the median difference, so that the
scale of a picture does not count (after Eigen et al. 2014; gradients after Li and Snavely 2018; order after Chen et al.
2016).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.config import PRECISIONS, TrainConfig
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.network.disparity.network import FARTHEST, DisparityNetwork
from mine.training.losses import known_mean
from mine.training.reframe import Frame

PORTRAIT = 0.3
"""Share of batches whose frames are upright."""

SHARES = (1 / 2, 1 / 2, 3 / 4, 1)
"""Resolutions of the frames, relative to the pictures': large shapes and fine edges are learned side by side."""

PAIRS = 512
DIFFERENT = 0.1
"""Log-ratio of disparities from which on two points count as one nearer, one farther."""

DOUBT = 0.08
"""Log-ratio at which an order is as good as certain."""


def disparity_losses(network: DisparityNetwork, batch: Sample, config: TrainConfig, rng: BatchRng) -> dict[str, Tensor]:
    """Each weighted loss by name; their sum under "total" is what training lowers."""
    image = torch.cat([batch.source, batch.target])
    depth = torch.cat([batch.depth_src, batch.depth_tgt])
    dense = torch.cat([batch.metric, batch.metric]) > 0
    picture = image.shape[-2], image.shape[-1]
    rng = rng.pairs()
    K = torch.cat([batch.K_src, batch.K_tgt])
    frame = Frame.draw(K, picture, frame_size(picture, rng), rng)
    features = network.encoder(frame.cut(image).contiguous(memory_format=torch.channels_last))
    with torch.autocast(image.device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32"):
        drawn = network.decoder(features)
    drawn, inside = frame.spread(F.interpolate(drawn, frame.size, mode="bilinear"))
    known = (depth > 0) & inside
    depth = depth * frame.depth_ratio().to(depth)
    true = torch.where(known, -torch.log(depth.clamp(min=1e-3)), 0).clamp(min=math.log(FARTHEST))
    weights = config.disparity_losses
    difference = unscaled(drawn - true, known)
    found = {
        "likeness": weights.likeness * known_mean(difference.abs(), known),
        "gradient": weights.gradient * gradient(difference, known & dense[:, None, None, None]),
        "order": weights.order * order(drawn, true, known, rng),
    }
    return found | {"total": torch.stack(list(found.values())).sum()}


def frame_size(picture: tuple[int, int], rng: BatchRng) -> tuple[int, int]:
    """A random size (H, W) for the frames of landscape pictures: multiples of 32, upright at times."""
    share = SHARES[int(rng.common() * len(SHARES))]
    height, width = (max(32, round(side * share / 32) * 32) for side in picture)
    return (width, height) if rng.common() < PORTRAIT else (height, width)


def unscaled(difference: Tensor, known: Tensor) -> Tensor:
    """Differences of logarithms (B, 1, H, W) less their median over the known pixels of each picture."""
    values = torch.where(known, difference.detach(), torch.nan).flatten(1)
    return difference - torch.nan_to_num(values.nanmedian(1).values)[:, None, None, None]


def gradient(difference: Tensor, known: Tensor) -> Tensor:
    """Mean step between neighbours of a difference (B, 1, H, W), where both are known, over four scales."""
    total = difference.new_zeros(())
    for scale in range(4):
        x, mask = (tensor[..., :: 2**scale, :: 2**scale] for tensor in (difference, known.to(difference)))
        for axis in (2, 3):
            both = mask.narrow(axis, 1, mask.shape[axis] - 1) * mask.narrow(axis, 0, mask.shape[axis] - 1)
            total = total + (torch.diff(x, dim=axis).abs() * both).mean()
    return total


def order(drawn: Tensor, true: Tensor, known: Tensor, rng: BatchRng) -> Tensor:
    """How far random pairs of known pixels are from being put in their order of depth, in units of DOUBT."""
    # The nth known pixel of a picture is where its count of known pixels reaches n.
    count = known.flatten(1).cumsum(1)
    wanted = (rng.uniform(2 * PAIRS).to(drawn.device) * count[:, -1:]).long() + 1
    chosen = torch.searchsorted(count, wanted).clamp(max=count.shape[1] - 1)
    pairs = [values.flatten(1).gather(1, chosen).unflatten(1, (2, PAIRS)) for values in (drawn, true)]
    step, true_step = (values[:, 0] - values[:, 1] for values in pairs)
    differ = true_step.abs() > DIFFERENT
    loss = F.softplus(-true_step.sign() * step / DOUBT) * differ
    return (loss.sum(1) / differ.sum(1).clamp(min=1)).mean()
