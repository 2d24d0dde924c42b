"""Nearest x2 and the 3x3 convolution after it as one sub-pixel convolution (Shi et al. 2016).

conv3x3(reflection_pad(nearest_x2(x))) equals four convolutions, one for each phase of the pixels of a 2x2 block. Output
row 2i depends on the rows i-1 and i of x with kernel rows (w0, w1+w2), output row 2i+1 on rows i and i+1 with (w0+w1,
w2); columns likewise. The four are computed as one 2x2 convolution with 4 C' outputs of x padded by replication, which
takes 4/9 of the multiplications.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def phase_kernel(weight: Float[Tensor, "C_out C 3 3"]) -> Float[Tensor, "4*C_out C 2 2"]:
    """Converts the kernel of a 3x3 convolution to that of its four phases.

    Args:
        weight: Of the convolution after nearest x2.

    Returns:
        The kernels of phases (row, column) = (0, 0), (0, 1), (1, 0), (1, 1), one after the other.
    """
    phases = _two_taps(_two_taps(weight, 2), 4)  # (C', C, 2 taps, 2 phases, 2 taps, 2 phases)
    return phases.permute(3, 5, 0, 1, 2, 4).flatten(0, 2)


def _two_taps(weight: Tensor, dim: int) -> Tensor:
    """Three kernel taps along `dim` as two taps for each of two phases: (.., 3, ..) to (.., taps 2, phases 2, ..)."""
    w0, w1, w2 = weight.unbind(dim)
    even, odd = torch.stack([w0, w1 + w2], dim), torch.stack([w0 + w1, w2], dim)
    return torch.stack([even, odd], dim + 1)


def interleave(
    phases: Float[Tensor, "N C4 H_phase W_phase"],
    out: Float[Tensor, "N C H W"],
    shared: Float[Tensor, "C H W"] | None = None,
    own: Float[Tensor, "N C"] | None = None,
) -> None:
    """Writes out[2i + a, 2j + b] = phases[(a, b), i + a, j + b] + shared + own.

    Args:
        phases: Outputs (N, 4 C, H/2 + 1, W/2 + 1) of the 2x2 convolution; of each phase one row and one column are not
            used.
        out: Result, overwritten.
        shared: Added to all N planes.
        own: Added to all pixels of a plane.
    """
    for part, pixels in zip(_phases(phases), _pixels(out), strict=True):
        pixels.copy_(part)
    if shared is not None:
        out += shared
    if own is not None:
        out += own[:, :, None, None]


def separate(gradient: Float[Tensor, "N C H W"]) -> Float[Tensor, "N 4*C H//2+1 W//2+1"]:
    """Computes the gradient of the phases: the adjoint of `interleave`.

    Args:
        gradient: Of the interleaved pixels; H and W are even.

    Returns:
        Of the phases, zero where `interleave` does not use them.
    """
    count, channels, height, width = gradient.shape
    size = count, 4 * channels, height // 2 + 1, width // 2 + 1
    phases = gradient.new_zeros(size).to(memory_format=torch.channels_last)
    for part, pixels in zip(_phases(phases), _pixels(gradient), strict=True):
        part.copy_(pixels)
    return phases


def _phases(phases: Tensor) -> list[Tensor]:
    """The part of each phase that is used: four views (N, C, H, W)."""
    height, width = phases.shape[-2] - 1, phases.shape[-1] - 1
    split = phases.unflatten(1, (2, 2, -1))
    return [split[:, a, b, :, a : a + height, b : b + width] for a in (0, 1) for b in (0, 1)]


def _pixels(image: Tensor) -> list[Tensor]:
    """Every second pixel in the order of the phases: four views (N, C, H, W)."""
    return [image[..., a::2, b::2] for a in (0, 1) for b in (0, 1)]
