"""Preview images of a run for TensorBoard."""

import torch
from torch import Tensor

from mine.data.base.sample import Sample
from mine.network.disparity.network import DisparityNetwork, focal_contrast
from mine.network.protocol import Network
from mine.render import blend_source, render
from mine.render.reference import render_source
from mine.scene.points import scale_factor
from mine.training.plane_losses import rescale_pose

PLANES = 32


@torch.no_grad()
def preview_images(network: Network, batch: Sample) -> dict[str, Tensor]:
    """Renders the first sample of a batch.

    Args:
        network: The network, in evaluation mode.
        batch: The batch.

    Returns:
        Images (3 or 1, H, W) in [0, 1] by name: `source`, `target`, the rendered `view` of the target's camera, its
        absolute `error`, and the rendered `disparity` of the source relative to the nearest.
    """
    sample = Sample(*(field[:1] for field in batch))
    image, K = sample.source, sample.K_src
    size = image.shape[-2], image.shape[-1]
    if isinstance(network, DisparityNetwork):  # as `Model.predict` does where the camera is known
        contrast = focal_contrast(K, size)[:, None, None, None]
        planes, disparity = network.predict_planes(image, PLANES, contrast)
    else:
        planes, disparity = network.predict_planes(image, PLANES)
    disparity = disparity[None]
    if not network.kind.photo_colours:
        planes = blend_source(planes, disparity, K, image)
    depth = render_source(planes, disparity, K).depth
    scale = torch.where(sample.metric > 0, 1.0, scale_factor(sample.points_src, depth, K))
    view = render(planes, disparity, K, sample.K_tgt, rescale_pose(sample.T_tgt_src, scale), size)
    rgb = view.rgb.clamp(0, 1)
    disparity_map = 1 / depth
    images = {
        "source": image,
        "view": rgb,
        "target": sample.target,
        "error": (rgb - sample.target).abs().mean(1, keepdim=True) * (view.mask > 0),
        "disparity": disparity_map / disparity_map.amax(),
    }
    return {name: value[0].float().cpu().nan_to_num() for name, value in images.items()}
