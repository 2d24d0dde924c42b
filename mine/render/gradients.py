"""Views with gradients of the planes alone, by whatever computes them fastest where the planes are."""

import torch
from torch import Tensor

from mine.render import reference
from mine.render import render as render_anywhere
from mine.render.view import View


def render(
    planes: Tensor, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> View:
    """See `mine.render.render`; batch sizes are equal, intrinsics upper triangular."""
    if not _compiled(planes):
        return render_anywhere(planes, disparity, K_src, K_tgt, T_tgt_src, size)
    from mine.render.cpu import gradients as cpu_gradients

    return cpu_gradients.render(planes, disparity, K_src, K_tgt, T_tgt_src, size)


def blend_source(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """See `reference.blend_source`."""
    if not _compiled(planes):
        return reference.blend_source(planes, disparity, K_src, image)
    from mine.render.cpu import gradients as cpu_gradients

    return cpu_gradients.blend_source(planes, disparity, K_src, image)


def _compiled(planes: Tensor) -> bool:
    # Imported on use, with numba.
    return planes.device.type == "cpu" and planes.dtype == torch.float32
