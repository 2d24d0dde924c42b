"""The published decoder as it is written down: what `PlaneDecoder` must equal, and what it is measured against."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.network.planes.decoder import SCALES, Block, PlaneDecoder
from mine.network.planes.embedding import embed_disparity


def reference_decoder(decoder: PlaneDecoder, features: list[Tensor], disparity: Tensor) -> list[Tensor]:
    """`decoder(features, disparity)`: features repeated for every plane, the embedding as constant channels."""
    embedding = embed_disparity(disparity).flatten(0, 1)[:, :, None, None]

    def embedded(feature: Tensor) -> Tensor:
        repeated = feature.repeat_interleave(disparity.shape[1], dim=0)
        return torch.cat([repeated, embedding.expand(-1, -1, *feature.shape[-2:])], dim=1)

    x = embedded(decoder.bottleneck(features[-1]))
    planes = []
    for level in reversed(range(len(features))):
        x = _plain_block(decoder.before[level], x)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        if level > 0:
            x = torch.cat([x, embedded(features[level - 1])], dim=1)
        x = _plain_block(decoder.after[level], x)
        if level < SCALES:
            out = decoder.head(level)(_padded(x)).unflatten(0, disparity.shape)
            planes.append(torch.cat([torch.sigmoid(out[:, :, :3]), out[:, :, 3:].abs() + 1e-4], dim=2))
    return planes[::-1]


def _plain_block(block: Block, x: Tensor) -> Tensor:
    return F.elu(block.norm(block.conv(_padded(x))))


def _padded(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect")
