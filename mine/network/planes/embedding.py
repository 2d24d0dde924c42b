"""How the decoder is told which disparity to draw."""

import torch
from torch import Tensor

FREQUENCIES = 10
CHANNELS = 1 + 2 * FREQUENCIES


def embed_disparity(disparity: Tensor) -> Tensor:
    """[d, sin(2^0 d), cos(2^0 d), ..., sin(2^9 d), cos(2^9 d)]: disparity (...,) to (..., 21) (section 3.1)."""
    angles = disparity[..., None] * 2.0 ** torch.arange(FREQUENCIES, dtype=disparity.dtype, device=disparity.device)
    waves = torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(-2)
    return torch.cat([disparity[..., None], waves], dim=-1)
