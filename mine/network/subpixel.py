"""Nearest x2 and a convolution after it as one convolution of the small image (Shi et al. 2016)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def upsampled_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv3x3(reflection_pad(nearest_x2(x))) at 4/9 of the multiplications: x (N, C, H, W) to (N, C', 2H, 2W).

    An output row 2i sees the small rows i-1 and i through kernel rows (w0, w1+w2); a row 2i+1 sees i and i+1 through
    (w0+w1, w2); columns alike. The four phases share one 2x2 convolution over the padded image with 4 C' outputs.
    """
    bias = None if bias is None else bias.repeat(4)
    phases: Tensor = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), phase_kernel(weight), bias)
    upsampled: Tensor = _Interleave.apply(phases)
    return upsampled


def phase_kernel(weight: Tensor) -> Tensor:
    """Kernel (4 C', C, 2, 2) of `upsampled_conv`, phase by phase, from that of the 3x3 convolution (C', C, 3, 3)."""
    phases = _two_taps(_two_taps(weight, 2), 4)  # (C', C, 2 taps, 2 phases, 2 taps, 2 phases)
    return phases.permute(3, 5, 0, 1, 2, 4).flatten(0, 2)


def _two_taps(weight: Tensor, dim: int) -> Tensor:
    """Three kernel taps along `dim` as two taps for each of two phases: (.., 3, ..) to (.., taps 2, phases 2, ..)."""
    w0, w1, w2 = weight.unbind(dim)
    even, odd = torch.stack([w0, w1 + w2], dim), torch.stack([w0 + w1, w2], dim)
    return torch.stack([even, odd], dim + 1)


class _Interleave(torch.autograd.Function):
    """Pixel (2i + a, 2j + b) from phase (a, b) at (i + a, j + b): (N, 4 C, H + 1, W + 1) to (N, C, 2H, 2W).

    Every number moves once in each direction; what autograd makes of slices and stacks takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, phases: Tensor) -> Tensor:
        ctx.shape = phases.shape
        count, channels, height, width = phases.shape
        size = count, channels // 4, 2 * (height - 1), 2 * (width - 1)
        out = _empty(size, phases)
        for part, pixels in zip(_phases(phases), _pixels(out), strict=True):
            pixels.copy_(part)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        phases = _empty(ctx.shape, gradient).zero_()
        for part, pixels in zip(_phases(phases), _pixels(gradient), strict=True):
            part.copy_(pixels)
        return phases


def _empty(size: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _phases(phases: Tensor) -> list[Tensor]:
    """What is used of each phase, (N, C, H, W)."""
    height, width = phases.shape[-2] - 1, phases.shape[-1] - 1
    split = phases.unflatten(1, (2, 2, -1))
    return [split[:, a, b, :, a : a + height, b : b + width] for a in (0, 1) for b in (0, 1)]


def _pixels(image: Tensor) -> list[Tensor]:
    """Every second pixel, in the order of the phases."""
    return [image[..., a::2, b::2] for a in (0, 1) for b in (0, 1)]
