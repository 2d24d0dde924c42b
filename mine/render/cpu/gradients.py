"""The CPU renderer with gradients of the planes, for training: it keeps nothing for the backward pass but the planes.

Equals `reference` with autograd: tests/render/cpu/test_gradients.py compares them.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mine.errors import InputError
from mine.kernels.arrays import Array
from mine.kernels.threads import run_in_bands
from mine.render.cpu import render as cpu
from mine.render.cpu.gradient_kernels import blend_source_backward_rows, render_backward_images
from mine.render.view import View


def render(
    planes: Tensor, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> View:
    """See `mine.render.render`; float32, batch sizes equal, intrinsics upper triangular; gradients of planes alone.

    Raises InputError for planes that are not float32 on the CPU.
    """
    if planes.device.type != "cpu" or planes.dtype != torch.float32:
        raise InputError('backend "cpu" has gradients of float32 planes on the CPU alone: use backend="reference"')
    return View(*_Render.apply(planes, disparity, K_src, K_tgt, T_tgt_src, size))


def blend_source(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """See `reference.blend_source`; float32, gradients of planes alone."""
    blended: Tensor = _BlendSource.apply(planes, disparity, K_src, image)
    return blended


class _Render(torch.autograd.Function):
    """See `render`."""

    @staticmethod
    def forward(
        ctx: Any, planes: Tensor, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(planes, disparity, K_src, K_tgt, T)
        view = cpu.render(planes, disparity, K_src, K_tgt, T, size)
        ctx.mark_non_differentiable(view.mask)
        return view.rgb, view.depth, view.mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_rgb: Tensor, grad_depth: Tensor, _: Tensor) -> tuple[Any, ...]:
        planes, disparity, *cameras = ctx.saved_tensors
        grad_view = torch.cat([grad_rgb, grad_depth], dim=1).numpy()
        grad_planes = planes.new_zeros(planes.shape)
        scenes, grad_scenes = (x.contiguous().flatten(-2).numpy() for x in (planes, grad_planes))
        plane_size = planes.shape[-2], planes.shape[-1]
        inputs = scenes, _depths(disparity), tuple(cpu.camera_arrays(*cameras)), plane_size, grad_view, grad_scenes
        # One thread for each view: rows of one view add to the same pixels of its planes.
        run_in_bands(len(planes), lambda *views: render_backward_images(*inputs, *views), band=1)
        return grad_planes, None, None, None, None, None


class _BlendSource(torch.autograd.Function):
    """See `blend_source`."""

    @staticmethod
    def forward(ctx: Any, planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
        ctx.save_for_backward(planes, disparity, K_src, image)
        return cpu.blend_source_(planes.contiguous(), disparity, K_src, image)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        planes, disparity, K_src, image = (x.contiguous() for x in ctx.saved_tensors)
        unproject = torch.linalg.inv(K_src.double()).contiguous().numpy()
        grad_planes = planes.new_empty(planes.shape)
        arrays = image.float().numpy(), gradient.contiguous().numpy(), grad_planes.numpy()
        inputs = planes.numpy(), _depths(disparity), unproject, *arrays
        run_in_bands(len(planes) * planes.shape[-2], lambda *rows: blend_source_backward_rows(*inputs, *rows))
        return grad_planes, None, None, None


def _depths(disparity: Tensor) -> Array:
    return np.ascontiguousarray((1 / disparity).float().numpy())
