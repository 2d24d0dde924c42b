"""Views of a planar radiance field: one function, several backends that agree."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from mine.render.prepared import Prepared
from mine.render.view import View

__all__ = ["Backend", "Prepared", "View", "blend_source", "choose", "join", "prepare", "render"]

Backend = Literal["auto", "reference", "cpu", "gpu"]


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

    planes: (B, S, 4, H, W) RGB in [0, 1] and density σ ≥ 0 per scene unit, near to far; "cpu" reads planes in place if
        `join` laid them out, and copies others.
    disparity: (B, S) 1 / depth of the planes in the source camera, strictly descending.
    K_src, K_tgt: (B, 3, 3) intrinsics in pixels of the planes and of the target.
    T_tgt_src: (B, 4, 4) target-from-source poses.
    size: (H, W) of the target.
    detail: (B, 3, Hp, Wp) what the photo holds beyond the planes' resolution (photo minus its upsampled low-resolution
        form); added to each plane as far as the source camera sees it, so that a view is as sharp as the photo.
    backend: "reference" (torch, differentiable, any device), "cpu" (compiled, inference only), "gpu" (Triton, gradients
        of planes and detail), or "auto": "gpu" or "cpu" as the planes are, "reference" for gradients these lack.
    """
    if backend == "auto":
        backend = choose(planes, detail, disparity, K_src, K_tgt, T_tgt_src)
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


def prepare(planes: Tensor, disparity: Tensor, K_src: Tensor, detail: Tensor | None = None) -> Prepared:
    """A scene to render many times: `prepare(...).render(K_tgt, T_tgt_src, size)`, arguments as those of `render`."""
    return Prepared(planes, disparity, K_src, detail)


def join(rgb: Tensor, sigma: Tensor) -> Tensor:
    """Planes (..., 4, H, W) of colours (..., 3, H, W) and densities (..., 1, H, W), laid out as `render` reads them.

    On processors the four numbers of a pixel lie side by side; planes that need gradients, and those on GPUs, do not.
    """
    if rgb.device.type != "cpu" or rgb.requires_grad or sigma.requires_grad:
        return torch.cat([rgb, sigma], dim=-3)
    from mine.render.cpu import render as cpu

    return cpu.interleave_channels(rgb, sigma)


def blend_source(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """See `reference.blend_source`, for inference: compiled, and in place, where the planes are on a processor."""
    if planes.device.type == "cpu":
        from mine.render.cpu import render as cpu

        return cpu.blend_source_(planes, disparity, K_src, image)
    from mine.render import reference

    return reference.blend_source(planes, disparity, K_src, image)


def choose(planes: Tensor, detail: Tensor | None, *cameras: Tensor) -> Backend:
    """What backend "auto" is for these arguments of `render`."""
    recorded = torch.is_grad_enabled()
    of_scene = recorded and any(x is not None and x.requires_grad for x in (planes, detail))
    of_cameras = recorded and any(x.requires_grad for x in cameras)
    if not planes.is_cuda:
        return "reference" if of_scene or of_cameras else "cpu"
    # Triton exists for Linux only; who asks for double precision would not have it in the other.
    unfit = of_cameras or planes.dtype == torch.float64 or find_spec("triton") is None
    return "reference" if unfit else "gpu"


def _backend(name: Backend) -> Callable[..., View]:
    # Imported on use: numba's start-up is paid only by those who render on the CPU.
    if name == "cpu":
        from mine.render.cpu import render as cpu

        return cpu.render
    if name == "gpu":
        from mine.render.triton import render as gpu

        return gpu.render
    from mine.render import reference

    return reference.render


def _expand(tensor: Tensor, batch: int) -> Tensor:
    return tensor.expand(batch, *tensor.shape[1:])
