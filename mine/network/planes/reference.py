"""The plane decoder as published: tests require `PlaneDecoder` to equal it, and `mine bench` compares their times."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.network.architecture import SCALES
from mine.network.planes.decoder import Block, PlaneDecoder
from mine.network.planes.embedding import embed_disparity


def reference_decoder(
    decoder: PlaneDecoder, features: list[Float[Tensor, "B _ _ _"]], disparity: Float[Tensor, "B S"]
) -> list[Float[Tensor, "B S 4 _ _"]]:
    """Computes `decoder(features, disparity)` with features repeated for every plane (Li et al. 2021, section 3.1).

    Args:
        decoder: Whose weights are used, and whose batch norms are updated in training mode.
        features: The encoder's five maps, finest first.
        disparity: Disparities of the planes.

    Returns:
        Planes at four scales, finest first; RGB in [0, 1], then density σ ≥ 0.
    """
    embedding = embed_disparity(disparity).flatten(0, 1)[:, :, None, None]

    def embedded(feature: Tensor) -> Tensor:
        """Features (B, C, H, W) with the embedding as constant channels: (B S, C + 21, H, W)."""
        repeated = feature.repeat_interleave(disparity.shape[1], dim=0)
        return torch.cat([repeated, embedding.expand(-1, -1, *feature.shape[-2:])], dim=1)

    x = embedded(decoder.bottleneck(features[-1]))
    planes = []
    for level in reversed(range(len(features))):
        x = _block(decoder.before[level], x)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        if level > 0:
            x = torch.cat([x, embedded(features[level - 1])], dim=1)
        x = _block(decoder.after[level], x)
        if level < SCALES:
            out = decoder.head(level)(_padded(x)).unflatten(0, disparity.shape)
            planes.append(torch.cat([torch.sigmoid(out[:, :, :3]), out[:, :, 3:].abs() + 1e-4], dim=2))
    return planes[::-1]


def _block(block: Block, x: Tensor) -> Tensor:
    """Reflection-padded convolution, batch norm and ELU of x (N, C, H, W)."""
    return F.elu(block.norm(block.conv(_padded(x))))


def _padded(x: Tensor) -> Tensor:
    """x (N, C, H, W) with one pixel of reflection padding."""
    return F.pad(x, (1, 1, 1, 1), mode="reflect")
