"""Random changes to a batch that keep it true to one scene."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample


def augment(batch: Sample, rng: BatchRng) -> Sample:
    """Mirrors half of all batches left to right and varies light, colour and sharpness of the pictures."""
    if rng.common() < 0.5:
        batch = mirror(batch)
    pictures = blur(torch.stack([batch.source, batch.target]), rng)  # alike in both views
    gamma = torch.exp(0.3 * rng.normal(1, 1, 1))
    gain = torch.exp(0.15 * rng.normal(1, 1, 1))
    tint = torch.exp(0.08 * rng.normal(3, 1, 1))
    colour = (1.5 * rng.uniform(1, 1, 1) - 0.1).clamp(min=0)  # 0 is grey, now and then
    grey = pictures.mean(2, keepdim=True)
    varied = (grey + colour.to(grey) * (pictures - grey)).clamp(min=1e-4) ** gamma.to(grey)
    varied = ((gain * tint).to(grey) * varied).clamp(0, 1)
    return batch._replace(source=varied[0], target=varied[1])


def blur(pictures: Tensor, rng: BatchRng) -> Tensor:
    """A third of all batches (..., H, W) as if taken with up to 2.5 times fewer pixels."""
    chance, share = rng.common(), rng.common()
    if chance > 1 / 3:
        return pictures
    size = pictures.shape[-2:]
    fewer = [round(side / (1 + 1.5 * share)) for side in size]
    flat = pictures.flatten(0, -4)
    small = F.interpolate(flat, fewer, mode="bilinear", antialias=True)
    return F.interpolate(small, size, mode="bilinear").view_as(pictures)


def mirror(batch: Sample) -> Sample:
    """The mirror image of a batch: pictures, cameras, poses and points are flipped left to right together."""
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
    K = K.clone()
    K[..., 0, 2] = width - 1 - K[..., 0, 2]
    return K
