"""What lies between two convolutions of the plane decoder: batch norm, ELU and padding, with the convolution after it.

Autograd would keep each feature map four times over: for batch norm, for ELU, padded for the convolution, and once more
where two convolutions read it. Here the convolutions' outputs alone are kept, and what follows from them is computed
again in the backward pass (as in "in-place activated batch norm", Rota Bulò et al. 2018). Planes go by groups that stay
in cache, so no padded map of all planes ever exists; only batch norm's statistics need all of them at once.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mine.kernels.arrays import empty_map
from mine.network.planes.recompute.reference import Moments

Kernel = tuple[Tensor, Tensor | None]
"""Weight and bias of a convolution."""

GROUP = {"cpu": 2**21}
"""Numbers that a group of planes has in one map, unless a plane has more, by device: fewer stay in its cache."""
GROUP_ELSEWHERE = 2**26


def convolved(z: Tensor, norm: nn.BatchNorm2d, kernels: list[Kernel]) -> list[Tensor]:
    """3x3 convolutions, padded by reflection, of ELU(norm(z)): z (N, C, H, W) to (N, C', H, W) each.

    While `norm` is frozen it is left out: `Block.kernel` has folded it into what made z.
    """
    parts = [part for kernel in kernels for part in kernel]
    return list(_Convolved.apply(z, *_affine(norm), moments(z, norm), *parts))


def upsampled(
    z: Tensor, norm: nn.BatchNorm2d, kernel: Kernel, shared: Tensor | None = None, own: Tensor | None = None
) -> Tensor:
    """Nearest x2 of ELU(norm(z)) and a 3x3 convolution padded by reflection, as one convolution (see `subpixel`).

    z (B*S, C, H, W); kernel: `phase_kernel` (4 C', C, 2, 2) and bias (4 C'). Added are shared (B, C', 2H, 2W), the same
    for all planes of an image, and own (B*S, C'), the same all over a plane. Returns (B*S, C', 2H, 2W).
    """
    out: Tensor = _Upsampled.apply(z, *_affine(norm), moments(z, norm), *kernel, shared, own)
    return out


@torch.no_grad()
def moments(z: Tensor, norm: nn.BatchNorm2d) -> Moments | None:
    """Of z (N, C, H, W), and into the running statistics of `norm`; None while it is frozen."""
    if not norm.training:
        return None
    mean, variance = _passes(z).mean_and_variance(z)
    count, group = z.numel() // z.shape[1], None
    if isinstance(norm, nn.SyncBatchNorm) and torch.distributed.is_initialized():
        group = norm.process_group or torch.distributed.group.WORLD
        sums = count * torch.cat([torch.ones_like(mean[:1]), mean, variance + mean.square()]).double()
        torch.distributed.all_reduce(sums, group=group)
        count = round(sums[0].item())
        mean, square = (sums[1:] / count).chunk(2)
        mean, variance = mean.to(variance), (square - mean.square()).to(variance)
    if norm.momentum and norm.running_mean is not None and norm.running_var is not None:
        norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
        norm.running_var.lerp_(variance.to(norm.running_var) * (count / max(count - 1, 1)), norm.momentum)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
    return Moments(mean, (variance + norm.eps).sqrt(), count, group)


class _Convolved(torch.autograd.Function):
    """See `convolved`."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, weight: Tensor | None, bias: Tensor | None, found: Moments | None, *kernels: Tensor | None
    ) -> tuple[Tensor, ...]:
        ctx.found = found
        ctx.save_for_backward(z, weight, bias, *kernels)
        activation = _passes(z).Activation(z, weight, bias, found, "reflect")
        pairs = _pairs(kernels)
        outs = tuple(empty_map((len(z), len(kernel), *z.shape[2:]), z) for kernel, _ in pairs)
        with torch.autocast(z.device.type, enabled=False):
            for group in _groups(len(z), z[0].numel(), z):
                x = activation.padded(group)
                for out, kernel in zip(outs, pairs, strict=True):
                    out[group] = F.conv2d(x, *kernel)
        return outs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        z, weight, bias, *kernels = ctx.saved_tensors
        activation = _passes(z).Activation(z, weight, bias, ctx.found, "reflect")
        convolutions = [_Convolution(*kernel) for kernel in _pairs(kernels)]
        for group in _groups(len(z), z[0].numel(), z):
            x = activation.padded(group)
            by_input = [
                convolution.backward(x, gradient[group])
                for convolution, gradient in zip(convolutions, gradients, strict=True)
            ]
            activation.backward(group, by_input[0] if len(by_input) == 1 else by_input[0].add_(by_input[1]))
        by_kernels = [part for convolution in convolutions for part in convolution.gradients]
        return *activation.gradients(), None, *by_kernels


class _Upsampled(torch.autograd.Function):
    """See `upsampled`."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        found: Moments | None,
        *rest: Tensor | None,
    ) -> Tensor:
        ctx.found = found
        kernel, kernel_bias, shared, own = rest
        assert kernel is not None
        ctx.save_for_backward(z, weight, bias, kernel, kernel_bias)
        ctx.images = None if shared is None else len(shared)
        activation = _passes(z).Activation(z, weight, bias, found, "replicate")
        out = empty_map((len(z), len(kernel) // 4, 2 * z.shape[2], 2 * z.shape[3]), z)
        images = ctx.images or 1
        with torch.autocast(z.device.type, enabled=False):
            for group in _groups(len(z), out[0].numel(), z, images):
                phases = F.conv2d(activation.padded(group), kernel, kernel_bias)
                image = group.start // (len(z) // images)
                common, constant = (None, None) if shared is None or own is None else (shared[image], own[group])
                _passes(z).interleave(phases, out[group], common, constant)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        z, weight, bias, kernel, kernel_bias = ctx.saved_tensors
        activation = _passes(z).Activation(z, weight, bias, ctx.found, "replicate")
        convolution = _Convolution(kernel, kernel_bias)
        images = ctx.images or 1
        wide = torch.promote_types(gradient.dtype, torch.float32)
        shared = None if ctx.images is None else empty_map((images, *gradient.shape[1:]), gradient).to(wide).zero_()
        own = None if ctx.images is None else gradient.new_empty(gradient.shape[:2])
        for group in _groups(len(z), gradient[0].numel(), z, images):
            image = group.start // (len(z) // images)
            phases = _passes(gradient).separate(gradient[group])
            if shared is not None and own is not None:
                shared[image] += gradient[group].sum(0, dtype=wide)
                own[group] = gradient[group].sum((2, 3))
            activation.backward(group, convolution.backward(activation.padded(group), phases))
        by_shared = None if shared is None else shared.to(gradient.dtype)
        return *activation.gradients(), None, *convolution.gradients, by_shared, own


class _Convolution:
    """The backward pass of a convolution, group by group."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.by_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        self.by_bias = None if bias is None else self.by_weight.new_zeros(len(bias))

    def backward(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Gradient of the input x of a group, from that of the output; those of the kernel add up."""
        ones, zeros = [1, 1], [0, 0]
        biased, channels = self.by_bias is not None, [len(self.weight)]
        by_x, by_weight, by_bias = torch.ops.aten.convolution_backward(
            gradient, x, self.weight, channels, ones, zeros, ones, False, zeros, 1, [True, True, biased]
        )
        self.by_weight += by_weight
        if self.by_bias is not None:
            self.by_bias += by_bias
        return by_x

    @property
    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """Of weight and bias."""
        dtype = self.weight.dtype
        return self.by_weight.to(dtype), None if self.by_bias is None else self.by_bias.to(dtype)


def _passes(z: Tensor) -> Any:
    """`passes`, or what computes the same on processors; imported on use, with numba."""
    if z.device.type == "cpu" and z.dtype in (torch.float32, torch.bfloat16):
        from mine.network.planes.recompute import compiled

        return compiled
    from mine.network.planes.recompute import reference

    return reference


def _groups(count: int, numbers: int, like: Tensor, images: int = 1) -> Iterator[slice]:
    """Planes by groups, each of one of the images; `numbers`: of one plane's map."""
    most = max(1, GROUP.get(like.device.type, GROUP_ELSEWHERE) // numbers)
    planes = count // images
    for start in range(0, count, planes):
        for first in range(start, start + planes, most):
            yield slice(first, min(first + most, start + planes))


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor | None, Tensor | None]:
    return (norm.weight, norm.bias) if norm.training else (None, None)


def _pairs(parts: Any) -> list[tuple[Tensor, Tensor | None]]:
    return list(zip(parts[::2], parts[1::2], strict=True))
