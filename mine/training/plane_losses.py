"""All losses of one batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.config import PRECISIONS, PlaneLossWeights, TrainConfig
from mine.data.base.sample import Sample
from mine.network.planes.decoder import SCALES
from mine.network.planes.network import PlaneNetwork
from mine.render import blend_source, render
from mine.render.reference import source_depth
from mine.scene.camera import resize_intrinsics
from mine.scene.points import disparity_at, pixels_of, scale_between
from mine.training.importance_sampling import refined
from mine.training.losses import occupancy, smoothness, smoothness_where_flat, sparse_disparity, ssim


def losses(
    network: PlaneNetwork, batch: Sample, disparity: Tensor, config: TrainConfig, places: Tensor | None = None
) -> dict[str, Tensor]:
    """Each weighted loss by name (section 3.4); their sum under "total" is what training lowers.

    batch: B sources with `config.targets` rows each, side by side; losses on targets are means over all of them. Planes
    are drawn at disparity (B, S), and where `places` (B, F), uniform random numbers, say (see `placement`), at scales
    `config.finest`..3; every scale has its own pictures, averaged.
    """
    sources = Sample(*(field[:: config.targets] for field in batch))
    image = sources.source.contiguous(memory_format=torch.channels_last)
    features = network.encoder(image)
    if places is not None:
        disparity = _more_places(network, features, disparity, sources, config, places)
    drawn = _draw(network, features, disparity, config, config.finest)
    parts: dict[str, list[Tensor]] = {}
    scale = torch.ones_like(sources.metric)
    for level, planes in enumerate(drawn, start=config.finest):
        found, scale = _level_losses(planes, disparity, batch, sources, scale, config, level)
        for name, value in found.items():
            parts.setdefault(name, []).append(value)
    result = {name: torch.stack(values).sum() / (SCALES - config.finest) for name, values in parts.items()}
    result["total"] = torch.stack(list(result.values())).sum()
    return result


def _level_losses(
    planes: Tensor, disparity: Tensor, batch: Sample, sources: Sample, scale: Tensor, config: TrainConfig, level: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Losses of the planes (B, S, 4, H, W) of one scale, and the scale factors (B,), which the finest one fits."""
    weights, image, size = config.plane_losses, sources.source, (planes.shape[-2], planes.shape[-1])
    K_src = resize_intrinsics(sources.K_src, image.shape[-2:], size)
    pixels = pixels_of(sources.points_src, K_src, size)
    seen = 1 / source_depth(planes[:, :, 3], disparity, K_src, pixels)
    if level == config.finest and config.calibrate:
        scale = torch.where(sources.metric > 0, 1.0, scale_between(seen, sources.points_src).detach())
    found = _source_losses(planes, seen, disparity, sources, scale, weights)
    if any((weights.photometric, weights.ssim, weights.smoothness, weights.smoothness_where_flat, weights.sparse)):
        planes = blend_source(planes, disparity, K_src, F.interpolate(image, size, mode="area"))
        found |= _target_losses(planes, disparity, K_src, batch, scale, config, level)
    return found, scale


def _draw(
    network: PlaneNetwork, features: list[Tensor], disparity: Tensor, config: TrainConfig, finest: int
) -> list[Tensor]:
    dtype = PRECISIONS[config.precision]
    with torch.autocast(disparity.device.type, dtype, enabled=dtype != torch.float32):
        return network.decoder(features, disparity, finest)


@torch.no_grad()
def _more_places(
    network: PlaneNetwork,
    features: list[Tensor],
    disparity: Tensor,
    sources: Sample,
    config: TrainConfig,
    places: Tensor,
) -> Tensor:
    """disparity (B, S) with more, by what the coarsest planes there show; running statistics are used, not changed."""
    training = network.decoder.training
    network.decoder.eval()
    (planes,) = _draw(network, features, disparity, config, SCALES - 1)
    network.decoder.train(training)
    K = resize_intrinsics(sources.K_src, sources.source.shape[-2:], planes.shape[-2:])
    return refined(planes, disparity, K, places)


def _source_losses(
    planes: Tensor, seen: Tensor, disparity: Tensor, batch: Sample, scale: Tensor, weights: PlaneLossWeights
) -> dict[str, Tensor]:
    """Losses of what the sources' own cameras see, `seen` (B, P) being the disparity drawn where the points are."""
    known = torch.where(batch.depth_src > 0, 1 / batch.depth_src.clamp(min=1e-6), 0) * scale[:, None, None, None]
    # The nearest surface in each cell: sparse points survive, and thin things in front do.
    known = F.adaptive_max_pool2d(known, planes.shape[-2:])
    found = {"occupancy": weights.occupancy * occupancy(planes[:, :, 3], disparity, known)}
    if weights.sparse:  # some data sets have no points
        found["sparse_source"] = weights.sparse * sparse_disparity(seen, batch.points_src, scale)
    return found


def _target_losses(
    planes: Tensor, disparity: Tensor, K_src: Tensor, batch: Sample, scale: Tensor, config: TrainConfig, level: int
) -> dict[str, Tensor]:
    """Losses of what the targets' cameras see of each source's planes (B, S, 4, H, W)."""
    weights, size = config.plane_losses, (planes.shape[-2], planes.shape[-1])
    K = resize_intrinsics(batch.K_tgt, batch.target.shape[-2:], size)
    planes, disparity, K_src, scale = (
        x.repeat_interleave(config.targets, 0) for x in (planes, disparity, K_src, scale)
    )
    pose = rescaled(batch.T_tgt_src, scale)
    view = render(planes, disparity, K_src, K, pose, size)
    target = F.interpolate(batch.target, size, mode="area")
    covered = (view.mask >= 2).to(view.rgb)
    found = {
        "photometric": weights.photometric * (covered * (view.rgb - target).abs()).mean(),
        "ssim": weights.ssim * (1 - ssim(view.rgb * covered, target * covered)),
    }
    if weights.sparse:
        drawn = disparity_at(batch.points_tgt, view.depth.clamp(min=1e-3), K)
        found["sparse_target"] = weights.sparse * sparse_disparity(drawn, batch.points_tgt, scale)
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
