"""The renderer for GPUs: `reference.render` and its gradients, one Triton kernel each (see `kernels`).

Memory does not grow with the number of planes times that of pixels, nor does it in training: what the backward pass
needs is computed again. Without a GPU the kernels run in Triton's interpreter if TRITON_INTERPRET=1 is set: slow, for
tests.
"""

from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mine.errors import InputError
from mine.render.cameras import Cameras, distinct
from mine.render.reference import pixel_grid, transmittance
from mine.render.view import View

TILE = (4, 32)
"""Rows and columns of target pixels in a program, powers of two; a row is as wide as a warp, for coalesced reads."""

WARPS = 2
"""Warps in a program; with fewer, the pixels of a thread need more registers than it has."""

TOLERANCE = 1e-4
"""Bound on the error in colour, and in depth, of early ray termination and of leaving out colours of small weight.

Neither is done where gradients are wanted, but for `MIN_TRANSMITTANCE_WITH_GRADIENTS`."""

MIN_TRANSMITTANCE_WITH_GRADIENTS = 1e-12
"""Transmittance at which rays are terminated where gradients are wanted: those behind are below rounding."""


def render(
    planes: Tensor,
    disparity: Tensor,
    K_src: Tensor,
    K_tgt: Tensor,
    T_tgt_src: Tensor,
    size: tuple[int, int],
    detail: Tensor | None = None,
    photo_reach: Tensor | None = None,
) -> View:
    """See `mine.render.render`, whose arguments these are; batch sizes are equal, intrinsics upper triangular.

    A scene that is expanded over the batch (stride 0) is read in place, never copied. Planes and detail may be float32,
    float16 or bfloat16, and have gradients.

    Returns:
        The views, float32 on the device of the planes.

    Raises:
        InputError: if Triton or a GPU is missing, or anything but planes and detail needs a gradient.
    """
    if torch.is_grad_enabled() and any(x.requires_grad for x in (disparity, K_src, K_tgt, T_tgt_src)):
        raise InputError('the "triton" backend has no gradients of cameras or disparities: use backend="reference"')
    kernels = _kernels(planes.device)
    scene = _dense(planes)
    detail = None if detail is None else _dense(detail)
    differentiable = torch.is_grad_enabled() and (scene.requires_grad or (detail is not None and detail.requires_grad))
    source_transmittance = None
    if photo_reach is not None:
        reached = distinct(photo_reach) <= distinct(disparity)[:, :, None, None].to(photo_reach)
        source_transmittance = reached.float().contiguous()
    elif detail is not None:
        source_transmittance = _source_transmittance(scene[:, :, 3], distinct(disparity), distinct(K_src))
    cameras = _cameras(disparity, K_src, K_tgt, T_tgt_src, differentiable).to(planes.device)
    disparity = disparity.to(planes.device, torch.float32).contiguous()
    image, mask = _Render.apply(kernels, scene, source_transmittance, detail, disparity, cameras, size, differentiable)
    return View(image[:, :3], image[:, 3:], mask)


def _kernels(device: torch.device) -> ModuleType:
    try:
        import triton
    except ImportError as error:
        raise InputError('the "triton" backend needs Triton, not installed here: use backend="reference"') from error
    if device.type != "cuda" and not triton.knobs.runtime.interpret:
        raise InputError(f'the "triton" backend needs planes on a GPU, found {device}: move them, or use "cpu"')
    from mine.render.triton import kernels

    return kernels


class _Render(torch.autograd.Function):
    """Image (B, 4, H', W'), colour and depth, and mask (B, 1, H', W') from what `kernels.forward` takes."""

    @staticmethod
    def forward(
        ctx: Any,
        kernels: ModuleType,
        planes: Tensor,
        source_transmittance: Tensor | None,
        detail: Tensor | None,
        disparity: Tensor,
        cameras: Tensor,
        size: tuple[int, int],
        differentiable: bool,
    ) -> tuple[Tensor, Tensor]:
        batch, count = disparity.shape
        image, mask = (torch.empty(batch, n, *size, dtype=torch.float32, device=planes.device) for n in (4, 1))
        state = image.new_empty(batch, 3, *size) if differentiable else image
        with torch.cuda.device_of(planes):
            kernels.forward[_grid(batch, size)](
                *_scene_arguments(planes, source_transmittance, detail, disparity, cameras, size),
                *(image, mask, state, 0.0 if differentiable else TOLERANCE / count),
                DETAILED=detail is not None,
                KEEP_STATE=differentiable,
                TILE_H=TILE[0],
                TILE_W=TILE[1],
                num_warps=WARPS,
            )
        ctx.save_for_backward(planes, source_transmittance, detail, disparity, cameras, image, state)
        ctx.kernels = kernels
        ctx.mark_non_differentiable(mask)
        return image, mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, image_grad: Tensor, _: Tensor) -> tuple[Any, ...]:
        planes, source_transmittance, detail, disparity, cameras, image, state = ctx.saved_tensors
        # Sums of many small terms: float32 whatever the type of the planes.
        grads = [
            None if x is None else torch.zeros_like(x, dtype=torch.float32)
            for x in (planes, source_transmittance, detail)
        ]
        size = image.shape[-2], image.shape[-1]
        with torch.cuda.device_of(planes):
            ctx.kernels.backward[_grid(len(image), size)](
                *_scene_arguments(planes, source_transmittance, detail, disparity, cameras, size),
                *(image, state, image_grad.float().contiguous()),
                *(grads[0] if grad is None else grad for grad in grads),
                DETAILED=detail is not None,
                DETAIL_GRAD=ctx.needs_input_grad[3],
                TILE_H=TILE[0],
                TILE_W=TILE[1],
                num_warps=WARPS,
            )
        inputs = zip(grads, (planes, source_transmittance, detail), ctx.needs_input_grad[1:4], strict=True)
        returned = [grad.to(x.dtype) if grad is not None and needed else None for grad, x, needed in inputs]
        return None, *returned, None, None, None, None


def _grid(batch: int, size: tuple[int, int]) -> tuple[int, int]:
    return -(-size[0] // TILE[0]) * -(-size[1] // TILE[1]), batch


def _scene_arguments(
    planes: Tensor,
    source_transmittance: Tensor | None,
    detail: Tensor | None,
    disparity: Tensor,
    cameras: Tensor,
    size: tuple[int, int],
) -> list[Tensor | int]:
    """The first arguments of both kernels; planes stand in for what is absent, which is not read."""
    scenes = [planes if x is None else x for x in (planes, source_transmittance, detail)]
    strides = [0 if len(x) == 1 else x.stride(0) for x in scenes]
    return [*scenes, disparity, cameras, *strides, disparity.shape[1], *planes.shape[-2:], *scenes[2].shape[-2:], *size]


def _dense(batch: Tensor) -> Tensor:
    """As the kernels read it: contiguous, without repetitions, in a type they know."""
    known = batch.dtype in (torch.float32, torch.float16, torch.bfloat16)
    return distinct(batch).to(batch.dtype if known else torch.float32).contiguous()


def _source_transmittance(sigma: Tensor, disparity: Tensor, K_src: Tensor) -> Tensor:
    """T_k^src (B or 1, S, H, W) as in `reference`, from sigma (B or 1, S, H, W), with its gradients.

    The distance between two planes along the ray of source pixel p is (z_{k+1} - z_k) |K_s^-1 p|: no points are needed.
    """
    size = sigma.shape[-2], sigma.shape[-1]
    unproject = torch.linalg.inv_ex(K_src.to(sigma.device, torch.float64)).inverse.float()
    ray = torch.einsum("bij,jhw->bihw", unproject, pixel_grid(size, unproject)).square().sum(1, keepdim=True).sqrt()
    interval = F.pad((1 / disparity.to(sigma.device, torch.float32)).diff(), (0, 1))
    return transmittance(sigma.float() * interval[:, :, None, None] * ray).contiguous()


def _cameras(disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, differentiable: bool) -> Tensor:
    """(B, CAMERA_SIZE) as `kernels` describes them."""
    cameras = Cameras.compose(K_src, K_tgt, T_tgt_src)
    # The farthest depth: what transmittance left over is multiplied by in the error of depth.
    scale = 1 + 1 / disparity[:, -1:].detach().to(cameras.depth_row) + cameras.depth_row[:, 3:].abs()
    min_transmittance = (
        torch.full_like(scale, MIN_TRANSMITTANCE_WITH_GRADIENTS) if differentiable else TOLERANCE / scale
    )
    return torch.cat([part.flatten(1) for part in (*cameras, min_transmittance)], dim=1).float()
