"""Pictures of how far a run has come."""

import torch
from torch import Tensor

from mine.data.base.sample import Sample
from mine.network.protocol import Network
from mine.render import blend_source, render
from mine.render.reference import render_source
from mine.scene.points import scale_factor
from mine.training.plane_losses import rescaled

PLANES = 32


@torch.no_grad()
def pictures(network: Network, batch: Sample) -> dict[str, Tensor]:
    """The first sample of a batch as the network shows it: pictures (3 or 1, H, W) in [0, 1] by name.

    `source` and `target` as they are, `view` from the target's camera, its `error`, and `disparity` at the source.
    """
    sample = Sample(*(field[:1] for field in batch))
    image, K = sample.source, sample.K_src
    size = image.shape[-2], image.shape[-1]
    planes, disparity = network.predict_planes(image, PLANES)
    disparity = disparity[None]
    if not network.kind.photo_colours:
        planes = blend_source(planes, disparity, K, image)
    depth = render_source(planes, disparity, K).depth
    scale = torch.where(sample.metric > 0, 1.0, scale_factor(sample.points_src, depth, K))
    view = render(planes, disparity, K, sample.K_tgt, rescaled(sample.T_tgt_src, scale), size)
    rgb = view.rgb.clamp(0, 1)
    near = 1 / depth
    shown = {
        "source": image,
        "view": rgb,
        "target": sample.target,
        "error": (rgb - sample.target).abs().mean(1, keepdim=True) * (view.mask > 0),
        "disparity": near / near.amax(),
    }
    return {name: picture[0].float().cpu().nan_to_num() for name, picture in shown.items()}
