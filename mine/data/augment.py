"""Random changes to a batch that keep it true to one scene."""

import torch
from torch import Tensor

from mine.data.sample import Sample


def augment(batch: Sample, generator: torch.Generator) -> Sample:
    """Mirrors half of all batches left to right and varies brightness, contrast and colour, source and target alike."""
    if torch.rand((), generator=generator) < 0.5:
        batch = mirror(batch)
    shape = (len(batch.source), 1, 1, 1)
    gamma = torch.exp(0.25 * torch.randn(shape, generator=generator))
    gain = torch.exp(0.1 * torch.randn(shape, generator=generator))
    tint = torch.exp(0.05 * torch.randn((shape[0], 3, 1, 1), generator=generator))

    def vary(image: Tensor) -> Tensor:
        varied = (gain * tint).to(image) * image.clamp(min=1e-4) ** gamma.to(image)
        return varied.clamp(0, 1)

    return batch._replace(source=vary(batch.source), target=vary(batch.target))


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
