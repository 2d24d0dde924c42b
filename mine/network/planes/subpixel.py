"""Nearest x2 and a convolution after it as one convolution of the small image (Shi et al. 2016).

conv3x3(reflection_pad(nearest_x2(x))) takes 4/9 of the multiplications so: an output row 2i sees the small rows i-1 and
i through kernel rows (w0, w1+w2); a row 2i+1 sees i and i+1 through (w0+w1, w2); columns alike. The four phases share
one 2x2 convolution, with 4 C' outputs, over the small image padded by replication.
"""

import torch
from torch import Tensor


def phase_kernel(weight: Tensor) -> Tensor:
    """Kernel (4 C', C, 2, 2) of the phases, one after the other, from that of the 3x3 convolution (C', C, 3, 3)."""
    phases = _two_taps(_two_taps(weight, 2), 4)  # (C', C, 2 taps, 2 phases, 2 taps, 2 phases)
    return phases.permute(3, 5, 0, 1, 2, 4).flatten(0, 2)


def _two_taps(weight: Tensor, dim: int) -> Tensor:
    """Three kernel taps along `dim` as two taps for each of two phases: (.., 3, ..) to (.., taps 2, phases 2, ..)."""
    w0, w1, w2 = weight.unbind(dim)
    even, odd = torch.stack([w0, w1 + w2], dim), torch.stack([w0 + w1, w2], dim)
    return torch.stack([even, odd], dim + 1)


def interleave(phases: Tensor, out: Tensor, shared: Tensor | None = None, own: Tensor | None = None) -> None:
    """out[2i + a, 2j + b] = phases[(a, b), i + a, j + b] + shared + own.

    phases (N, 4 C, H + 1, W + 1), out (N, C, 2H, 2W), shared (C, 2H, 2W), own (N, C).
    """
    for part, pixels in zip(_phases(phases), _pixels(out), strict=True):
        pixels.copy_(part)
    if shared is not None:
        out += shared
    if own is not None:
        out += own[:, :, None, None]


def separate(gradient: Tensor) -> Tensor:
    """Gradient (N, 4 C, H + 1, W + 1) of the phases from that of the interleaved pixels (N, C, 2H, 2W)."""
    count, channels, height, width = gradient.shape
    size = count, 4 * channels, height // 2 + 1, width // 2 + 1
    phases = gradient.new_zeros(size).to(memory_format=torch.channels_last)
    for part, pixels in zip(_phases(phases), _pixels(gradient), strict=True):
        part.copy_(pixels)
    return phases


def _phases(phases: Tensor) -> list[Tensor]:
    """What is used of each phase, (N, C, H, W)."""
    height, width = phases.shape[-2] - 1, phases.shape[-1] - 1
    split = phases.unflatten(1, (2, 2, -1))
    return [split[:, a, b, :, a : a + height, b : b + width] for a in (0, 1) for b in (0, 1)]


def _pixels(image: Tensor) -> list[Tensor]:
    """Every second pixel, in the order of the phases."""
    return [image[..., a::2, b::2] for a in (0, 1) for b in (0, 1)]
