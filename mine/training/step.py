"""All losses of one batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.camera import resize_intrinsics
from mine.data.sample import Sample
from mine.network.decoder import SCALES
from mine.network.network import Network
from mine.render import View, render
from mine.render.reference import blend_source, render_source
from mine.training.config import PRECISIONS, LossWeights, TrainConfig
from mine.training.losses import (
    occupancy,
    scale_factor,
    smoothness,
    smoothness_where_flat,
    sparse_disparity,
    ssim,
)


def losses(network: Network, batch: Sample, disparity: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """Each weighted loss by name (section 3.4); their sum under "total" is what training lowers.

    Planes are drawn at disparity (B, S) at scales `config.finest`..3; every scale has its own pictures, averaged.
    """
    weights = config.losses
    image = batch.source.contiguous(memory_format=torch.channels_last)
    features = network.encoder(image)
    with torch.autocast(image.device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32"):
        drawn = network.decoder(features, disparity, config.finest, recompute=config.recompute)
    parts: dict[str, list[Tensor]] = {}
    scale = torch.ones_like(batch.metric)
    for level, planes in enumerate(drawn, start=config.finest):
        size = planes.shape[-2], planes.shape[-1]
        K_src, K_tgt = (resize_intrinsics(K, image.shape[-2:], size) for K in (batch.K_src, batch.K_tgt))
        view = render_source(planes, disparity, K_src)
        if level == config.finest and config.calibrate:
            scale = torch.where(batch.metric > 0, 1.0, scale_factor(batch.points_src, view.depth, K_src).detach())
        found = _source_losses(planes, view, disparity, K_src, batch, scale, weights)
        if any((weights.photometric, weights.ssim, weights.smoothness, weights.smoothness_where_flat, weights.sparse)):
            planes = blend_source(planes, disparity, K_src, F.interpolate(image, size, mode="area"))
            pose = rescaled(batch.T_tgt_src, scale)
            target = render(planes, disparity, K_src, K_tgt, pose, size)  # in one kernel with its gradients on GPUs
            found |= _target_losses(target, batch, K_tgt, scale, weights, level)
        for name, value in found.items():
            parts.setdefault(name, []).append(value)
    result = {name: torch.stack(values).sum() / (SCALES - config.finest) for name, values in parts.items()}
    result["total"] = torch.stack(list(result.values())).sum()
    return result


def _source_losses(
    planes: Tensor, view: View, disparity: Tensor, K: Tensor, batch: Sample, scale: Tensor, weights: LossWeights
) -> dict[str, Tensor]:
    known = torch.where(batch.depth_src > 0, 1 / batch.depth_src.clamp(min=1e-6), 0) * scale[:, None, None, None]
    # The nearest surface in each cell: sparse points survive, and thin things in front do.
    known = F.adaptive_max_pool2d(known, planes.shape[-2:])
    found = {"occupancy": weights.occupancy * occupancy(planes[:, :, 3], disparity, known)}
    if weights.sparse:  # some data sets have no points
        found["sparse_source"] = weights.sparse * sparse_disparity(batch.points_src, view.depth, K, scale)
    return found


def _target_losses(
    view: View, batch: Sample, K: Tensor, scale: Tensor, weights: LossWeights, level: int
) -> dict[str, Tensor]:
    size = view.rgb.shape[-2:]
    target = F.interpolate(batch.target, size, mode="area")
    covered = (view.mask >= 2).to(view.rgb)
    found = {
        "photometric": weights.photometric * (covered * (view.rgb - target).abs()).mean(),
        "ssim": weights.ssim * (1 - ssim(view.rgb * covered, target * covered)),
    }
    if weights.sparse:
        depth = view.depth.clamp(min=1e-3)
        found["sparse_target"] = weights.sparse * sparse_disparity(batch.points_tgt, depth, K, scale)
    if level < 2 and (weights.smoothness or weights.smoothness_where_flat):
        disparity = 1 / view.depth.clamp(min=1e-3)
        found["smoothness"] = weights.smoothness * smoothness(target, disparity)
        found["smoothness_where_flat"] = weights.smoothness_where_flat * smoothness_where_flat(target, disparity)
    return found


def rescaled(pose: Tensor, scale: Tensor) -> Tensor:
    """Poses (B, 4, 4) with translations divided by scale (B,)."""
    factors = torch.ones_like(pose)
    factors[:, :3, 3] = (1 / scale)[:, None]
    return pose * factors
