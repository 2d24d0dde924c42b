"""Views of a planar radiance field: one function, several backends that agree."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from mine.render.view import View

__all__ = ["Backend", "View", "blend_source", "render"]

Backend = Literal["auto", "reference", "cpu"]


def render(
    planes: Tensor,
    disparity: Tensor,
    K_src: Tensor,
    K_tgt: Tensor,
    T_tgt_src: Tensor,
    size: tuple[int, int],
    detail: Tensor | None = None,
    backend: Backend = "auto",
) -> View:
    """Renders planes from other cameras (Li et al. 2021, section 3.2 and 3.3).

    Leading dimensions are B or 1: one scene broadcasts over many poses, and many scenes over one pose.

    planes: (B, S, 4, H, W) RGB in [0, 1] and density σ ≥ 0 per scene unit, near to far.
    disparity: (B, S) 1 / depth of the planes in the source camera, strictly descending.
    K_src, K_tgt: (B, 3, 3) intrinsics in pixels of the planes and of the target.
    T_tgt_src: (B, 4, 4) target-from-source poses.
    size: (H, W) of the target.
    detail: (B, 3, Hp, Wp) what the photo holds beyond the planes' resolution (photo minus its upsampled low-resolution
        form); added to each plane as far as the source camera sees it, so that a view is as sharp as the photo.
    backend: "reference" (torch, differentiable, any device), "cpu" (compiled, inference only), or "auto".
    """
    needs_gradient = torch.is_grad_enabled() and planes.requires_grad
    if backend == "auto":
        backend = "reference" if needs_gradient or planes.is_cuda else "cpu"
    batch = max(len(planes), len(T_tgt_src), len(K_tgt))
    return _backend(backend)(
        _expand(planes, batch),
        _expand(disparity, batch),
        _expand(K_src, batch),
        _expand(K_tgt, batch),
        _expand(T_tgt_src, batch),
        size,
        None if detail is None else _expand(detail, batch),
    )


def blend_source(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """See `reference.blend_source`, for inference: compiled where the planes are on a processor."""
    if planes.device.type == "cpu":
        from mine.render import cpu

        return cpu.blend_source(planes, disparity, K_src, image)
    from mine.render import reference

    return reference.blend_source(planes, disparity, K_src, image)


def _backend(name: Backend) -> Callable[..., View]:
    # Imported on use: numba's start-up is paid only by those who render on the CPU.
    if name == "cpu":
        from mine.render import cpu

        return cpu.render
    from mine.render import reference

    return reference.render


def _expand(tensor: Tensor, batch: int) -> Tensor:
    return tensor.expand(batch, *tensor.shape[1:])
