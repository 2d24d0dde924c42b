"""Autograd functions of the plane decoder that recompute: batch norm, ELU, padding, and the convolution after them.

Autograd would keep each feature map four times over: for batch norm, for ELU, padded for the convolution, and once more
where two convolutions read it. Here only the outputs of convolutions are kept; everything between them is computed
again in the backward pass (activation checkpointing, as in "In-Place Activated BatchNorm", Rota Bulò et al. 2018).
Planes go through in groups that fit the cache, so that no padded map of all planes ever exists; only batch norm's
statistics need all planes at once.

Equals `mine.network.planes.reference`, with its gradients: tests/network/planes/test_decoder.py compares them.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mine.kernels.arrays import empty_map
from mine.network.planes.recompute.reference import BatchMoments

Kernel = tuple[Tensor, Tensor | None]
"""Weight and bias of a convolution."""

CPU_GROUP_SIZE, GPU_GROUP_SIZE = 2**21, 2**26
"""Values of one feature map of a group of planes (at least one plane): on CPUs, as many as fit the cache."""


def norm_elu_conv(z: Tensor, norm: nn.BatchNorm2d, kernels: list[Kernel]) -> list[Tensor]:
    """Reflection-padded 3x3 convolutions of ELU(norm(z)), which is recomputed in the backward pass.

    Args:
        z: (N, C, H, W).
        norm: applied and updated in training mode; while it is frozen, `Block.kernel` has folded it into what made z.
        kernels: one or two (weight (C', C, 3, 3), bias (C',)).

    Returns:
        (N, C', H, W) for each kernel.
    """
    parts = [part for kernel in kernels for part in kernel]
    return list(_NormEluConv.apply(z, *_affine(norm), batch_moments(z, norm), *parts))


def norm_elu_upsample_conv(
    z: Tensor, norm: nn.BatchNorm2d, kernel: Kernel, shared: Tensor | None = None, own: Tensor | None = None
) -> Tensor:
    """Reflection-padded 3x3 convolution of nearest x2 of ELU(norm(z)), as a sub-pixel convolution (see `subpixel`).

    Args:
        z: (B S, C, H, W).
        norm: as for `norm_elu_conv`.
        kernel: weight (4 C', C, 2, 2) as `phase_kernel` makes it, and bias (4 C').
        shared: (B, C', 2H, 2W) added to all planes of an image.
        own: (B S, C') added all over a plane; given if `shared` is.

    Returns:
        (B S, C', 2H, 2W).
    """
    out: Tensor = _NormEluUpsampleConv.apply(z, *_affine(norm), batch_moments(z, norm), *kernel, shared, own)
    return out


@torch.no_grad()
def batch_moments(z: Tensor, norm: nn.BatchNorm2d) -> BatchMoments | None:
    """The statistics of z (N, C, H, W), which also update the running ones of `norm`; None while it is frozen."""
    if not norm.training:
        return None
    mean, variance = _operations(z).mean_and_variance(z)
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
    return BatchMoments(mean, (variance + norm.eps).sqrt(), count, group)


class _NormEluConv(torch.autograd.Function):
    """See `norm_elu_conv`."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        moments: BatchMoments | None,
        *kernels: Tensor | None,
    ) -> tuple[Tensor, ...]:
        ctx.moments = moments
        ctx.save_for_backward(z, weight, bias, *kernels)
        activation = _operations(z).NormEluPad(z, weight, bias, moments, "reflect")
        pairs = _pairs(kernels)
        outs = tuple(empty_map((len(z), len(kernel), *z.shape[2:]), z) for kernel, _ in pairs)
        with torch.autocast(z.device.type, enabled=False):
            for group in _groups(len(z), z[0].numel(), z):
                x = activation.forward(group)
                for out, kernel in zip(outs, pairs, strict=True):
                    out[group] = F.conv2d(x, *kernel)
        return outs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        z, weight, bias, *kernels = ctx.saved_tensors
        activation = _operations(z).NormEluPad(z, weight, bias, ctx.moments, "reflect")
        convolutions = [_Convolution(*kernel) for kernel in _pairs(kernels)]
        for group in _groups(len(z), z[0].numel(), z):
            x = activation.forward(group)
            grad_inputs = [
                convolution.backward(x, gradient[group])
                for convolution, gradient in zip(convolutions, gradients, strict=True)
            ]
            activation.backward(group, grad_inputs[0] if len(grad_inputs) == 1 else grad_inputs[0].add_(grad_inputs[1]))
        grad_kernels = [part for convolution in convolutions for part in convolution.gradients]
        return *activation.gradients(), None, *grad_kernels


class _NormEluUpsampleConv(torch.autograd.Function):
    """See `norm_elu_upsample_conv`."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        moments: BatchMoments | None,
        *rest: Tensor | None,
    ) -> Tensor:
        ctx.moments = moments
        kernel, kernel_bias, shared, own = rest
        assert kernel is not None
        ctx.save_for_backward(z, weight, bias, kernel, kernel_bias)
        ctx.images = None if shared is None else len(shared)
        activation = _operations(z).NormEluPad(z, weight, bias, moments, "replicate")
        out = empty_map((len(z), len(kernel) // 4, 2 * z.shape[2], 2 * z.shape[3]), z)
        images = ctx.images or 1
        with torch.autocast(z.device.type, enabled=False):
            for group in _groups(len(z), out[0].numel(), z, images):
                phases = F.conv2d(activation.forward(group), kernel, kernel_bias)
                image = group.start // (len(z) // images)
                image_term, plane_bias = (None, None) if shared is None or own is None else (shared[image], own[group])
                _operations(z).interleave(phases, out[group], image_term, plane_bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        z, weight, bias, kernel, kernel_bias = ctx.saved_tensors
        activation = _operations(z).NormEluPad(z, weight, bias, ctx.moments, "replicate")
        convolution = _Convolution(kernel, kernel_bias)
        images = ctx.images or 1
        precision = torch.promote_types(gradient.dtype, torch.float32)
        grad_shared, grad_own = None, None
        if ctx.images is not None:
            grad_shared = empty_map((images, *gradient.shape[1:]), gradient).to(precision).zero_()
            grad_own = gradient.new_empty(gradient.shape[:2])
        for group in _groups(len(z), gradient[0].numel(), z, images):
            image = group.start // (len(z) // images)
            phases = _operations(gradient).separate(gradient[group])
            if grad_shared is not None and grad_own is not None:
                grad_shared[image] += gradient[group].sum(0, dtype=precision)
                grad_own[group] = gradient[group].sum((2, 3))
            activation.backward(group, convolution.backward(activation.forward(group), phases))
        grad_terms = None if grad_shared is None else grad_shared.to(gradient.dtype), grad_own
        return *activation.gradients(), None, *convolution.gradients, *grad_terms


class _Convolution:
    """The backward pass of a convolution, group by group: gradients of the kernel add up over groups."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.grad_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        self.grad_bias = None if bias is None else self.grad_weight.new_zeros(len(bias))

    def backward(self, x: Tensor, gradient: Tensor) -> Tensor:
        """The gradient of a group's input x (n, C, H, W) from that of its output."""
        ones, zeros = [1, 1], [0, 0]
        biased, channels = self.grad_bias is not None, [len(self.weight)]
        grad_x, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            gradient, x, self.weight, channels, ones, zeros, ones, False, zeros, 1, [True, True, biased]
        )
        self.grad_weight += grad_weight
        if self.grad_bias is not None:
            self.grad_bias += grad_bias
        return grad_x

    @property
    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """The gradients of weight and bias."""
        dtype = self.weight.dtype
        return self.grad_weight.to(dtype), None if self.grad_bias is None else self.grad_bias.to(dtype)


def _operations(z: Tensor) -> Any:
    """`recompute.compiled` where it supports z, else `recompute.reference`; imported on use, as numba starts slowly."""
    if z.device.type == "cpu" and z.dtype in (torch.float32, torch.bfloat16):
        from mine.network.planes.recompute import compiled

        return compiled
    from mine.network.planes.recompute import reference

    return reference


def _groups(count: int, plane_size: int, like: Tensor, images: int = 1) -> Iterator[slice]:
    """Slices of `count` planes, none across two images; `plane_size`: values of one plane's feature map."""
    most = max(1, (CPU_GROUP_SIZE if like.device.type == "cpu" else GPU_GROUP_SIZE) // plane_size)
    planes = count // images
    for start in range(0, count, planes):
        for first in range(start, start + planes, most):
            yield slice(first, min(first + most, start + planes))


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor | None, Tensor | None]:
    """Weight and bias of batch norm, None while it is frozen."""
    return (norm.weight, norm.bias) if norm.training else (None, None)


def _pairs(parts: Any) -> list[Kernel]:
    """(weight, bias) pairs from a flat sequence: autograd functions take tensors, not tuples of them."""
    return list(zip(parts[::2], parts[1::2], strict=True))
