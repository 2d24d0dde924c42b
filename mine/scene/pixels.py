"""Pictures in 8 bits."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_uint8(values: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Values in [0, 1] as 0 to 255, rounded to nearest; those beyond are clamped."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def to_pixels(image: Float[Tensor, "*N C H W"]) -> UInt8[np.ndarray, "*N H W C"]:
    """Images in [0, 1] with their channels last, as Pillow and encoders take them."""
    return to_uint8(image).movedim(-3, -1).contiguous().cpu().numpy()
