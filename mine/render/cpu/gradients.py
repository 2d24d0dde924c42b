"""The renderer for processors with gradients of the planes: nothing is kept for them but the planes themselves."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mine.kernels.threads import run_in_bands
from mine.render.cameras import Cameras
from mine.render.cpu import render as cpu
from mine.render.cpu.gradient_kernels import blend_rows, render_images
from mine.render.view import View


def render(
    planes: Tensor, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> View:
    """See `mine.render.render`; float32, batch sizes equal, intrinsics upper triangular; gradients of planes alone."""
    return View(*_Rendered.apply(planes, disparity, K_src, K_tgt, T_tgt_src, size))


def blend_source(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """See `reference.blend_source`; float32, gradients of planes alone."""
    blended: Tensor = _Blended.apply(planes, disparity, K_src, image)
    return blended


class _Rendered(torch.autograd.Function):
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
    def backward(ctx: Any, by_rgb: Tensor, by_depth: Tensor, _: Tensor) -> tuple[Any, ...]:
        planes, disparity, *cameras = ctx.saved_tensors
        composed = (matrix.contiguous().numpy() for matrix in Cameras.compose(*cameras))
        by_view = torch.cat([by_rgb, by_depth], dim=1).numpy()
        out = torch.zeros(planes.shape)
        scene, into = (x.contiguous().flatten(-2).numpy() for x in (planes, out))
        inputs = scene, _depths(disparity), *composed, (planes.shape[-2], planes.shape[-1]), by_view, into
        # Rows of one image add to the same pixels of its planes.
        run_in_bands(len(planes), lambda *images: render_images(*inputs, *images), band=1)
        return out, None, None, None, None, None


class _Blended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
        ctx.save_for_backward(planes, disparity, K_src, image)
        return cpu.blend_source_(planes.contiguous(), disparity, K_src, image)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        planes, disparity, K_src, image = (x.contiguous() for x in ctx.saved_tensors)
        unproject = torch.linalg.inv(K_src.double()).contiguous().numpy()
        out = torch.empty(planes.shape)
        arrays = image.float().numpy(), gradient.contiguous().numpy(), out.numpy()
        inputs = planes.numpy(), _depths(disparity), unproject, *arrays
        run_in_bands(len(planes) * planes.shape[-2], lambda *rows: blend_rows(*inputs, *rows))
        return out, None, None, None


def _depths(disparity: Tensor) -> Any:
    return np.ascontiguousarray((1 / disparity).float().numpy())
