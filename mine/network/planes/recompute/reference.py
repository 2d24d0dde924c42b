"""Batch norm, ELU and padding of feature maps, and their gradients, in torch; a group of planes at a time.

`compiled.py` returns the same on CPUs (tests/network/planes/recompute/test_recompute.py).
"""

from typing import Literal, NamedTuple

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor

from mine.network.planes.subpixel import interleave, separate

__all__ = ["BatchMoments", "NormEluPad", "Padding", "interleave", "mean_and_variance", "separate"]

Padding = Literal["reflect", "replicate"]


class BatchMoments(NamedTuple):
    """The statistics of one batch, over all processes, that batch norm normalises by."""

    mean: Tensor
    """(C,)"""
    std: Tensor
    """(C,) √(variance + ε)"""
    samples: int
    """values per channel, in all processes"""
    group: torch.distributed.ProcessGroup | None = None
    """the processes, where there are several"""


def mean_and_variance(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance, (C,) each, of every channel of z (N, C, H, W)."""
    variance, mean = torch.var_mean(z.to(torch.promote_types(z.dtype, torch.float32)), (0, 2, 3), correction=0)
    return mean, variance


class NormEluPad:
    """y = pad(ELU(weight (z - mean) / std + bias)) of a feature map, one pixel of padding, and its gradients.

    y and its gradient exist for one group of planes at a time: `forward` returns y of a group, `backward` takes its
    gradient, and `gradients` returns those of z, weight and bias when every group has been through `backward`.

    Args:
        z: (N, C, H, W), a convolution's output.
        weight, bias: (C,) of batch norm, or None for y = pad(ELU(z)).
        moments: of z, or None without a weight.
        padding: of y.
    """

    def __init__(
        self, z: Tensor, weight: Tensor | None, bias: Tensor | None, moments: BatchMoments | None, padding: Padding
    ) -> None:
        self.z = z.contiguous(memory_format=torch.channels_last)
        self.weight, self.moments, self.padding = weight, moments, padding
        channels, precision = z.shape[1], torch.promote_types(z.dtype, torch.float32)
        if weight is None or bias is None or moments is None:
            self.scale, self.shift, self.mean = (z.new_full((channels,), x, dtype=precision) for x in (1.0, 0.0, 0.0))
        else:
            self.scale = weight.detach() / moments.std
            self.shift = bias.detach() - moments.mean * self.scale
            self.mean = moments.mean
        self.grad_z: Tensor | None = None
        self.sums = z.new_zeros(2, channels, dtype=precision)

    def forward(self, group: slice) -> Tensor:
        """y of a group of n planes, (n, C, H + 2, W + 2)."""
        x = F.elu(self._normalised(self.z[group])).to(self.z.dtype)
        return F.pad(x, (1, 1, 1, 1), mode=self.padding)

    def backward(self, group: slice, gradient: Tensor) -> None:
        """Takes the gradient of `forward(group)`, (n, C, H + 2, W + 2), which is overwritten."""
        if self.grad_z is None:
            self.grad_z = torch.empty_like(self.z, memory_format=torch.channels_last)
        self.sums += self._backward_group(group, gradient, self.grad_z[group])

    def gradients(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The gradients of z, weight and bias, once every group has been through `backward`."""
        assert self.grad_z is not None
        if self.weight is None or self.moments is None:
            return self.grad_z, None, None
        mean, std, samples, group = self.moments
        grad_weight, grad_bias = self.sums[1] / std, self.sums[0].clone()
        if group is not None:
            torch.distributed.all_reduce(self.sums, group=group)
        # Mean and std depend on z too: ∂L/∂z = scale (g - Σ g / n - (z - mean) Σ g (z - mean) / (n std²)).
        slope = -self.scale * self.sums[1] / (samples * std.square())
        self._combine(self.scale, slope, -self.scale * self.sums[0] / samples - slope * mean)
        return self.grad_z, grad_weight.to(self.weight), grad_bias.to(self.weight)

    def _backward_group(self, group: slice, gradient: Tensor, out: Tensor) -> Tensor:
        """Fills out with the gradient g of batch norm's result; returns (2, C), the sums of g and of g (z - mean)."""
        z = self.z[group]
        slope = self._normalised(z).clamp_(max=0).exp_()
        g = slope.mul_(padding_backward(gradient, self.padding))
        out.copy_(g)
        return torch.stack([g.sum((0, 2, 3)), (g * (z - self.mean[:, None, None])).sum((0, 2, 3))])

    def _combine(self, *coefficients: Tensor) -> None:
        """grad_z = a grad_z + b z + c, for coefficients a, b and c (C,) each."""
        assert self.grad_z is not None
        a, b, c = (x[:, None, None] for x in coefficients)
        # A few planes at a time, as this is done in full precision.
        for gradient, z in zip(self.grad_z.split(16), self.z.split(16), strict=True):
            gradient.copy_(torch.addcmul(torch.addcmul(c, b, z), a, gradient))

    def _normalised(self, z: Tensor) -> Tensor:
        return torch.addcmul(self.shift[:, None, None], z, self.scale[:, None, None])


def padding_backward(gradient: Tensor, padding: Padding) -> Tensor:
    """Gradient (N, C, H, W) of a map from that of the padded map, (N, C, H + 2, W + 2), which is overwritten."""
    inner = 2 if padding == "reflect" else 1
    for dim in (2, 3):
        last = gradient.shape[dim] - 1
        gradient.select(dim, inner).add_(gradient.select(dim, 0))
        gradient.select(dim, last - inner).add_(gradient.select(dim, last))
    return gradient[:, :, 1:-1, 1:-1]
