"""The positional encoding of a plane's disparity (Li et al. 2021, section 3.1, after Mildenhall et al. 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor

FREQUENCIES = 10
"""Number of octaves L of the encoding."""

CHANNELS = 1 + 2 * FREQUENCIES
"""Channels of an encoded disparity."""


def embed_disparity(disparity: Float[Tensor, "*B"]) -> Float[Tensor, "*B 21"]:
    """Encodes disparities d as [d, sin(2^0 d), cos(2^0 d), ..., sin(2^9 d), cos(2^9 d)].

    Args:
        disparity: Of any shape.

    Returns:
        The encodings, along a new last dimension.
    """
    angles = disparity[..., None] * 2.0 ** torch.arange(FREQUENCIES, dtype=disparity.dtype, device=disparity.device)
    waves = torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(-2)
    return torch.cat([disparity[..., None], waves], dim=-1)
