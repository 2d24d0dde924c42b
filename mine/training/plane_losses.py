"""The losses of plane networks on a batch: all terms, at all scales (Li et al. 2021, section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.config import PRECISIONS, PlaneLossWeights, TrainConfig
from mine.data.base.sample import Sample
from mine.network.architecture import SCALES
from mine.network.planes.network import PlaneNetwork
from mine.render import blend_source, render
from mine.render.reference import source_depth
from mine.render.view import MIN_COVERAGE
from mine.scene.camera import resize_intrinsics
from mine.scene.points import disparity_at, pixels_of, scale_between
from mine.training.importance_sampling import add_fine_planes
from mine.training.losses import occupancy, smoothness, smoothness_where_flat, sparse_disparity, ssim


def plane_losses(
    network: PlaneNetwork, batch: Sample, disparity: Tensor, config: TrainConfig, uniform: Tensor | None = None
) -> dict[str, Tensor]:
    """The weighted losses of a batch, averaged over the scales `config.finest`..3.

    Args:
        network: The network in training.
        batch: B sources with `config.targets` rows each, those of one source side by side. Losses on targets are means
            over all of them.
        disparity: Disparities (B, S) of the coarse planes, descending.
        config: Precision, scales and weights (`plane_losses`).
        uniform: Uniform random numbers (B, F) in [0, 1) for F fine planes, sampled by the coarse planes' rendering
            weights; None for no fine planes.

    Returns:
        Scalars by name, and their sum `total`.
    """
    sources = Sample(*(field[:: config.targets] for field in batch))
    image = sources.source.contiguous(memory_format=torch.channels_last)
    features = network.encoder(image)
    if uniform is not None:
        disparity = _coarse_to_fine(network, features, disparity, sources, config, uniform)
    scales = _decode(network, features, disparity, config, config.finest)
    by_name: dict[str, list[Tensor]] = {}
    scale_factor = torch.ones_like(sources.metric)
    for level, planes in enumerate(scales, start=config.finest):
        found, scale_factor = _level_losses(planes, disparity, batch, sources, scale_factor, config, level)
        for name, value in found.items():
            by_name.setdefault(name, []).append(value)
    result = {name: torch.stack(values).sum() / (SCALES - config.finest) for name, values in by_name.items()}
    result["total"] = torch.stack(list(result.values())).sum()
    return result


def _level_losses(
    planes: Tensor,
    disparity: Tensor,
    batch: Sample,
    sources: Sample,
    scale_factor: Tensor,
    config: TrainConfig,
    level: int,
) -> tuple[dict[str, Tensor], Tensor]:
    """Losses of the planes (B, S, 4, H, W) of one scale, and the scale factors (B,), fitted at the finest scale."""
    weights, image, size = config.plane_losses, sources.source, (planes.shape[-2], planes.shape[-1])
    K_src = resize_intrinsics(sources.K_src, image.shape[-2:], size)
    pixels = pixels_of(sources.points_src, K_src, size)
    at_points = 1 / source_depth(planes[:, :, 3], disparity, K_src, pixels)
    if level == config.finest and config.calibrate:
        fitted = scale_between(at_points, sources.points_src).detach()
        scale_factor = torch.where(sources.metric > 0, 1.0, fitted)
    found = _source_losses(planes, at_points, disparity, sources, scale_factor, weights)
    if any((weights.photometric, weights.ssim, weights.smoothness, weights.smoothness_where_flat, weights.sparse)):
        planes = blend_source(planes, disparity, K_src, F.interpolate(image, size, mode="area"))
        found |= _target_losses(planes, disparity, K_src, batch, scale_factor, config, level)
    return found, scale_factor


def _decode(
    network: PlaneNetwork, features: list[Tensor], disparity: Tensor, config: TrainConfig, finest: int
) -> list[Tensor]:
    """Planes of the scales `finest`..3, decoded in the configuration's precision."""
    dtype: torch.dtype = getattr(torch, PRECISIONS[config.precision])
    with torch.autocast(disparity.device.type, dtype, enabled=dtype != torch.float32):
        return network.decoder(features, disparity, finest)


@torch.no_grad()
def _coarse_to_fine(
    network: PlaneNetwork,
    features: list[Tensor],
    disparity: Tensor,
    sources: Sample,
    config: TrainConfig,
    uniform: Tensor,
) -> Tensor:
    """Coarse and fine disparities (B, S + F), by the coarse planes decoded at the coarsest scale.

    That pass runs with batch norm's running statistics and does not update them.
    """
    training = network.decoder.training
    network.decoder.eval()
    (planes,) = _decode(network, features, disparity, config, SCALES - 1)
    network.decoder.train(training)
    K = resize_intrinsics(sources.K_src, sources.source.shape[-2:], planes.shape[-2:])
    return add_fine_planes(planes, disparity, K, uniform)


def _source_losses(
    planes: Tensor,
    at_points: Tensor,
    disparity: Tensor,
    batch: Sample,
    scale_factor: Tensor,
    weights: PlaneLossWeights,
) -> dict[str, Tensor]:
    """Losses in the sources' own cameras; `at_points` (B, P) is the rendered disparity at the SfM points."""
    known = torch.where(batch.depth_src > 0, 1 / batch.depth_src.clamp(min=1e-6), 0) * scale_factor[:, None, None, None]
    # The nearest surface in each cell: sparse points survive, and thin structures in front do.
    known = F.adaptive_max_pool2d(known, planes.shape[-2:])
    found = {"occupancy": weights.occupancy * occupancy(planes[:, :, 3], disparity, known)}
    if weights.sparse:  # some data sets have no points
        found["sparse_source"] = weights.sparse * sparse_disparity(at_points, batch.points_src, scale_factor)
    return found


def _target_losses(
    planes: Tensor,
    disparity: Tensor,
    K_src: Tensor,
    batch: Sample,
    scale_factor: Tensor,
    config: TrainConfig,
    level: int,
) -> dict[str, Tensor]:
    """Losses in the targets' cameras of each source's planes (B, S, 4, H, W)."""
    weights, size = config.plane_losses, (planes.shape[-2], planes.shape[-1])
    K = resize_intrinsics(batch.K_tgt, batch.target.shape[-2:], size)
    planes, disparity, K_src, scale_factor = (
        x.repeat_interleave(config.targets, 0) for x in (planes, disparity, K_src, scale_factor)
    )
    pose = rescale_pose(batch.T_tgt_src, scale_factor)
    view = render(planes, disparity, K_src, K, pose, size)
    target = F.interpolate(batch.target, size, mode="area")
    covered = (view.mask >= MIN_COVERAGE).to(view.rgb)
    found = {
        "photometric": weights.photometric * (covered * (view.rgb - target).abs()).mean(),
        "ssim": weights.ssim * (1 - ssim(view.rgb * covered, target * covered)),
    }
    if weights.sparse:
        at_points = disparity_at(batch.points_tgt, view.depth.clamp(min=1e-3), K)
        found["sparse_target"] = weights.sparse * sparse_disparity(at_points, batch.points_tgt, scale_factor)
    if level < 2 and (weights.smoothness or weights.smoothness_where_flat):
        disparity = 1 / view.depth.clamp(min=1e-3)
        found["smoothness"] = weights.smoothness * smoothness(target, disparity)
        found["smoothness_where_flat"] = weights.smoothness_where_flat * smoothness_where_flat(target, disparity)
    return found


def rescale_pose(pose: Tensor, scale_factor: Tensor) -> Tensor:
    """Poses (B, 4, 4) with their translations divided by scale factors (B,)."""
    factors = torch.ones_like(pose)
    factors[:, :3, 3] = (1 / scale_factor)[:, None]
    return pose * factors
