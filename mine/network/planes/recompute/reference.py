"""Batch norm, ELU and padding of feature maps, and their gradients, a group of planes at a time."""

from typing import Literal, NamedTuple

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor

from mine.network.planes.subpixel import interleave, separate

__all__ = ["Activation", "Moments", "Padding", "interleave", "mean_and_variance", "separate"]

Padding = Literal["reflect", "replicate"]


class Moments(NamedTuple):
    """Mean and deviation (C,), √(variance + ε), of a batch, over so many `numbers` each, those of all processes."""

    mean: Tensor
    deviation: Tensor
    numbers: int
    group: torch.distributed.ProcessGroup | None = None
    """the processes, where there are several"""


def mean_and_variance(z: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel of z (N, C, H, W): (C,) each."""
    variance, mean = torch.var_mean(z.to(torch.promote_types(z.dtype, torch.float32)), (0, 2, 3), correction=0)
    return mean, variance


class Activation:
    """ELU(weight (z - mean) / deviation + bias) of z (N, C, H, W), padded by a pixel; ELU(z) without weights."""

    def __init__(
        self, z: Tensor, weight: Tensor | None, bias: Tensor | None, found: Moments | None, padding: Padding
    ) -> None:
        self.z = z.contiguous(memory_format=torch.channels_last)
        self.weight, self.found, self.padding = weight, found, padding
        channels, wide = z.shape[1], torch.promote_types(z.dtype, torch.float32)
        if weight is None or bias is None or found is None:
            self.scale, self.shift, self.mean = (z.new_full((channels,), x, dtype=wide) for x in (1.0, 0.0, 0.0))
        else:
            self.scale = weight.detach() / found.deviation
            self.shift = bias.detach() - found.mean * self.scale
            self.mean = found.mean
        self.by_z: Tensor | None = None
        self.sums = z.new_zeros(2, channels, dtype=wide)

    def padded(self, group: slice) -> Tensor:
        """(n, C, H + 2, W + 2) of a group of n planes."""
        x = F.elu(self._normed(self.z[group])).to(self.z.dtype)
        return F.pad(x, (1, 1, 1, 1), mode=self.padding)

    def backward(self, group: slice, gradient: Tensor) -> None:
        """Takes the gradient of `padded(group)`, which is spoilt."""
        if self.by_z is None:
            self.by_z = torch.empty_like(self.z, memory_format=torch.channels_last)
        self.sums += self._take(group, gradient, self.by_z[group])

    def gradients(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Of z, weight and bias, once all groups have passed."""
        assert self.by_z is not None
        if self.weight is None or self.found is None:
            return self.by_z, None, None
        mean, deviation, numbers, group = self.found
        by_weight, by_bias = self.sums[1] / deviation, self.sums[0].clone()
        if group is not None:
            torch.distributed.all_reduce(self.sums, group=group)
        # Mean and deviation depend on z too: scale (g - Σ g / n - (z - mean) Σ g (z - mean) / (n deviation²)).
        slope = -self.scale * self.sums[1] / (numbers * deviation.square())
        self._combine(self.scale, slope, -self.scale * self.sums[0] / numbers - slope * mean)
        return self.by_z, by_weight.to(self.weight), by_bias.to(self.weight)

    def _take(self, group: slice, gradient: Tensor, out: Tensor) -> Tensor:
        """Puts the gradient g of batch norm's result out; sums (2, C) of g and of g (z - mean)."""
        z = self.z[group]
        slope = self._normed(z).clamp_(max=0).exp_()
        g = slope.mul_(unpadded(gradient, self.padding))
        out.copy_(g)
        return torch.stack([g.sum((0, 2, 3)), (g * (z - self.mean[:, None, None])).sum((0, 2, 3))])

    def _combine(self, *coefficients: Tensor) -> None:
        """by_z = a by_z + b z + c, for coefficients a, b and c (C,) each."""
        assert self.by_z is not None
        a, b, c = (x[:, None, None] for x in coefficients)
        # A few planes at a time, as this is done in full precision.
        for gradient, z in zip(self.by_z.split(16), self.z.split(16), strict=True):
            gradient.copy_(torch.addcmul(torch.addcmul(c, b, z), a, gradient))

    def _normed(self, z: Tensor) -> Tensor:
        return torch.addcmul(self.shift[:, None, None], z, self.scale[:, None, None])


def unpadded(gradient: Tensor, padding: Padding) -> Tensor:
    """Gradient (N, C, H, W) of a map from that (N, C, H + 2, W + 2) of the padded one, which is spoilt."""
    inner = 2 if padding == "reflect" else 1
    for dim in (2, 3):
        last = gradient.shape[dim] - 1
        gradient.select(dim, inner).add_(gradient.select(dim, 0))
        gradient.select(dim, last - inner).add_(gradient.select(dim, last))
    return gradient[:, :, 1:-1, 1:-1]
