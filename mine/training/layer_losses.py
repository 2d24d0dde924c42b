"""The losses of networks with a learned background and learned opacities.

Both images of a sample are sources, each seen from the camera of the other. Where the depth of both is known, what one
hides and the other shows is known too, and the background is compared with it. The views rendered from the planes are
compared with the images, as for MINE (Li et al. 2021, section 3.4). The disparity map is the true one for a part of the
images, and the network's own prediction for the others: it need not be good for the planes behind it to be learned.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.config import LayerLossWeights, TrainConfig
from mine.data.base.disocclusion import uncovered
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.network.disparity.lift import FARTHEST_MAXIMUM, FARTHEST_QUANTILE
from mine.network.disparity.network import NEAREST_QUANTILE, focal_contrast
from mine.network.disparity.refine import dilate_foreground
from mine.network.layers.network import LayeredNetwork
from mine.render import blend_source, render
from mine.render.view import MIN_COVERAGE
from mine.scene.depth_maps.depth_map import FARTHEST
from mine.scene.inpaint import Background, is_behind
from mine.scene.points import pixels_of
from mine.training.losses import known_mean, ssim, ssim_map

TRUE_DEPTH = 0.5
"""Fraction of the images of known depth whose disparity map is the true one."""


def layer_losses(network: LayeredNetwork, batch: Sample, config: TrainConfig, rng: BatchRng) -> dict[str, Tensor]:
    """The weighted losses of a batch.

    Args:
        network: The network in training.
        batch: A batch of B samples.
        config: Number of planes and weights (`layer_losses`).
        rng: Random numbers of the batch.

    Returns:
        Scalars by name: `colour`, `disparity` and `structure` of the background, `photometric` and `ssim` of the views,
        and their sum `total`.
    """
    views, rng = both_ways(batch), rng.pairs()
    image = views.source
    with torch.no_grad():
        disparity_map, scale = choose_map(network, views, rng)
        planes_at = spread_planes(disparity_map, config.planes, rng)
    planes, background = network.lift(image, disparity_map, planes_at)
    assert background is not None
    losses = background_losses(views, disparity_map, background, scale, config.layer_losses)
    if config.layer_losses.photometric or config.layer_losses.ssim:
        losses |= view_losses(views, planes, planes_at, scale, config.layer_losses)
    return losses | {"total": torch.stack(list(losses.values())).sum()}


def both_ways(batch: Sample) -> Sample:
    """The samples of a batch, then the same with source and target exchanged."""
    pose = torch.linalg.inv(batch.T_tgt_src.double()).to(batch.T_tgt_src)
    swapped = Sample(
        batch.target,
        batch.source,
        batch.K_tgt,
        batch.K_src,
        pose,
        batch.points_tgt,
        batch.points_src,
        batch.depth_tgt,
        batch.depth_src,
        batch.metric,
    )
    return Sample(*(torch.cat(pair) for pair in zip(batch, swapped, strict=True)))


def choose_map(network: LayeredNetwork, views: Sample, rng: BatchRng) -> tuple[Tensor, Tensor]:
    """The relative disparity map of each source, predicted or true: as in use, where the camera is known.

    Returns:
        Maps (B, 1, H, W), and the factors (B,) from the sample's disparities to theirs.
    """
    known = views.depth_src > 0
    true = torch.where(known, 1 / views.depth_src.clamp(min=1e-6), 0)
    nearest = torch.quantile(true.flatten(1), NEAREST_QUANTILE, dim=1).clamp(min=1e-6)
    maps = dilate_foreground((true / nearest[:, None, None, None]).clamp(FARTHEST, 1).log()).exp()
    scale = 1 / nearest
    predicted = (rng.uniform().to(true) >= TRUE_DEPTH) | (views.metric <= 0)
    if predicted.any():  # predictions take longer than the rest of a step
        images = views.source[predicted].contiguous(memory_format=torch.channels_last)
        contrast = focal_contrast(views.K_src[predicted], (images.shape[-2], images.shape[-1]))
        maps[predicted] = network(images, contrast[:, None, None, None])
        scale[predicted] = _fitted_scale(maps, views)[predicted]
    return maps, scale


def _fitted_scale(predicted: Tensor, views: Sample) -> Tensor:
    """Factors (B,) from the sample's disparities to predicted ones: the median ratio at the points of each source."""
    size = (predicted.shape[-2], predicted.shape[-1])
    x, y = pixels_of(views.points_src, views.K_src, size).unbind(-1)
    ratio = predicted.flatten(1).gather(1, y * size[1] + x) * views.points_src[:, 2]
    return ratio.median(1).values


def spread_planes(disparity_map: Tensor, planes: int, rng: BatchRng) -> Tensor:
    """Disparities (B, S) of planes over the range of maps, at even steps, each moved by up to half a step."""
    farthest = torch.quantile(disparity_map.flatten(1), FARTHEST_QUANTILE, dim=1).clamp(max=FARTHEST_MAXIMUM)
    share = torch.linspace(0, 1, planes).expand(len(farthest), -1).clone()
    share[:, 1:-1] += (rng.uniform(planes - 2) - 0.5) * 0.98 / (planes - 1)
    return 1 + share.to(farthest) * (farthest[:, None] - 1)


def background_losses(
    views: Sample, disparity_map: Tensor, background: Background, scale: Tensor, weights: LayerLossWeights
) -> dict[str, Tensor]:
    """Errors of backgrounds (B, C, H, W) in the pixels of the other images that uncover them.

    They are means over the pixels of each sample, then over samples: a batch has the gradients of its parts. Samples
    without dense depth, or without uncovered pixels, count as 0. `scale` (B,) is that of `choose_map`.
    """
    seen = uncovered(views)
    size = (disparity_map.shape[-2], disparity_map.shape[-1])
    grid = 2 * seen.pixel / seen.pixel.new_tensor([size[1] - 1, size[0] - 1]) - 1
    layers = torch.cat([background.disparity, background.rgb, is_behind(background.disparity, disparity_map)], 1)
    disparity, rgb, behind = _sample(layers, grid).split([1, 3, 1], dim=1)
    mask = seen.hidden & (behind > 0.5) & (views.metric > 0)[:, None, None, None]
    true = (scale[:, None, None, None] / seen.depth.clamp(min=1e-6)).clamp(FARTHEST, 1)
    error = (disparity.clamp(min=FARTHEST).log() - true.log()).abs()
    completed = torch.where(mask, rgb, views.target)
    # Its windows reach beyond the uncovered pixels, by which it is divided all the same.
    unlike = (1 - ssim_map(completed, views.target)).mean(1).sum((1, 2)) / mask.sum((1, 2, 3)).clamp(min=1)
    return {
        "colour": weights.colour * known_mean((rgb - views.target).abs(), mask.expand_as(rgb)),
        "disparity": weights.disparity * known_mean(error, mask),
        "structure": weights.structure * unlike.mean(),
    }


def _sample(maps: Tensor, grid: Tensor) -> Tensor:
    """Maps (B, C, H, W) at a grid (B, H, W, 2) of positions in [-1, 1]."""
    return F.grid_sample(maps, grid.clamp(-2, 2), padding_mode="border", align_corners=True)


def view_losses(
    views: Sample, planes: Tensor, disparity: Tensor, scale: Tensor, weights: LayerLossWeights
) -> dict[str, Tensor]:
    """Errors of the views that planes (B, S, 4, H, W) at disparities (B, S) show from the targets' cameras."""
    pose = views.T_tgt_src.clone()
    pose[:, :3, 3] /= scale[:, None]
    planes = blend_source(planes, disparity, views.K_src, views.source)
    size = (planes.shape[-2], planes.shape[-1])
    view = render(planes, disparity, views.K_src, views.K_tgt, pose, size)
    covered = (view.mask >= MIN_COVERAGE).to(view.rgb)
    return {
        "photometric": weights.photometric * (covered * (view.rgb - views.target).abs()).mean(),
        "ssim": weights.ssim * (1 - ssim(view.rgb * covered, views.target * covered)),
    }
