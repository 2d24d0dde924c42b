"""Data augmentation that is consistent between source and target view."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample


def augment(batch: Sample, rng: BatchRng) -> Sample:
    """Augments a batch: mirrors half of all batches, and varies gamma, gain, tint, saturation and blur.

    Args:
        batch: Samples with a leading B in every field.
        rng: Random numbers of these samples.
    """
    if rng.common() < 0.5:
        batch = mirror(batch)
    images = blur(torch.stack([batch.source, batch.target]), rng)  # alike in both views
    gamma = torch.exp(0.3 * rng.normal(1, 1, 1))
    gain = torch.exp(0.15 * rng.normal(1, 1, 1))
    tint = torch.exp(0.08 * rng.normal(3, 1, 1))
    colour = (1.5 * rng.uniform(1, 1, 1) - 0.1).clamp(min=0)  # 0 is grey, now and then
    grey = images.mean(2, keepdim=True)
    varied = (grey + colour.to(grey) * (images - grey)).clamp(min=1e-4) ** gamma.to(grey)
    varied = ((gain * tint).to(grey) * varied).clamp(0, 1)
    return batch._replace(source=varied[0], target=varied[1])


def blur(images: Tensor, rng: BatchRng) -> Tensor:
    """Blurs a third of all batches (..., H, W), by resampling at down to 1/2.5 of the resolution."""
    chance, strength = rng.common(), rng.common()
    if chance > 1 / 3:
        return images
    size = images.shape[-2:]
    fewer = [round(side / (1 + 1.5 * strength)) for side in size]
    flat = images.flatten(0, -4)
    small = F.interpolate(flat, fewer, mode="bilinear", antialias=True)
    return F.interpolate(small, size, mode="bilinear").view_as(images)


def mirror(batch: Sample) -> Sample:
    """Mirrors a batch left to right: images, intrinsics, poses, points and depth maps."""
    flip = batch.T_tgt_src.new_tensor([-1.0, 1.0, 1.0])
    pose_flip = torch.diag(torch.cat([flip, flip.new_ones(1)]))
    width = batch.source.shape[-1]
    return batch._replace(
        source=batch.source.flip(-1),
        target=batch.target.flip(-1),
        K_src=_mirror_intrinsics(batch.K_src, width),
        K_tgt=_mirror_intrinsics(batch.K_tgt, batch.target.shape[-1]),
        T_tgt_src=pose_flip @ batch.T_tgt_src @ pose_flip,
        points_src=batch.points_src * flip[:, None],
        points_tgt=batch.points_tgt * flip[:, None],
        depth_src=batch.depth_src.flip(-1),
        depth_tgt=batch.depth_tgt.flip(-1),
    )


def _mirror_intrinsics(K: Tensor, width: int) -> Tensor:
    """Intrinsics (B, 3, 3) of mirrored images."""
    K = K.clone()
    K[..., 0, 2] = width - 1 - K[..., 0, 2]
    return K
