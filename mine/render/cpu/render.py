"""The renderer for CPUs: `reference.render`, compiled, in one pass per target pixel (see `kernels`).

Equals `reference.render` to `kernels.TOLERANCE`: tests/render/cpu/test_render.py compares them.
"""

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mine.errors import InputError
from mine.kernels.arrays import Array
from mine.kernels.threads import run_in_bands
from mine.render.cameras import Cameras, distinct
from mine.render.cpu.kernels import render_rows
from mine.render.cpu.layout import BLOCK_HEIGHT, ONE_STRIP, TILE, CameraArrays, SceneArrays, Scratch
from mine.render.cpu.prepare_kernels import (
    INTERLEAVE_BAND,
    blend_source_rows,
    interleave_bands,
    max_density_rows,
    source_transmittance_rows,
)
from mine.render.strips import STRIP_PITCH, STRIP_SHIFT, StripPlanes, to_strips
from mine.render.view import View

__all__ = [
    "SceneArrays",
    "blend_source_",
    "camera_arrays",
    "interleave_channels",
    "prepare",
    "render",
    "render_prepared",
]


def prepare(
    planes: Tensor | StripPlanes,
    disparity: Tensor,
    K_src: Tensor,
    detail: Tensor | None = None,
    photo_reach: Tensor | None = None,
) -> SceneArrays:
    """What the kernels need of scenes whatever the view: their texels, T^src, and the largest densities of tiles.

    Args:
        planes: (B, S, 4, H, W), read in place if `interleave_channels` laid them out; a scene expanded over the batch
            (stride 0) is never repeated. Or planes in strips, which need `photo_reach` where there is detail.
        disparity: (B, S).
        K_src: (B, 3, 3).
        detail: (B, 3, Hp, Wp) or None, see `mine.render.render`.
        photo_reach: (B, 1, H, W) or None, see `mine.render.render`.
    """
    detail_size = (0, 0) if detail is None else _size(detail)
    if isinstance(planes, StripPlanes):
        size, strips, texels = planes.size, (STRIP_SHIFT, STRIP_PITCH), planes.texels.numpy()[None]
        photo_reach = None if photo_reach is None else to_strips(distinct(photo_reach))
    else:
        size, strips, texels = _size(planes), (ONE_STRIP, planes.shape[-1]), _texels(distinct(planes))
    transmittance, reach = np.empty((1, 1, 0), np.float32), np.empty((1, 0), np.float32)
    detail_texels = np.empty((1, 0, 4), np.float32)
    if detail is not None:
        detail_texels = _texels(distinct(detail))
        if photo_reach is None:
            transmittance = _source_transmittance(texels, disparity, K_src, size[1])
        else:
            reach = _float32(distinct(photo_reach).flatten(1))
    if strips[0] == ONE_STRIP:
        images = (_with_room(image, size) for image in (texels, transmittance, reach))
        texels, transmittance, reach = images
    max_densities = _max_densities(texels, size, strips)
    detail_texels = _with_room(detail_texels, detail_size)
    return SceneArrays(texels, max_densities, transmittance, reach, detail_texels, size, detail_size, strips)


def render_prepared(
    prepared: SceneArrays, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> View:
    """Views of prepared scenes; the other arguments are those of `render`."""
    inputs = tuple(prepared), _float32(disparity), tuple(camera_arrays(K_src, K_tgt, T_tgt_src))
    out = np.empty((len(T_tgt_src), 5, *size), np.float32)

    def work(first: int, last: int) -> None:
        render_rows(*inputs, out, tuple(Scratch.allocate(size[1], prepared.planes.shape[1])), first, last)

    run_in_bands(len(out) * -(-size[0] // BLOCK_HEIGHT), work, band=2)
    views = torch.from_numpy(out)
    return View(views[:, :3], views[:, 3:4], views[:, 4:])


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

    A scene that is expanded over the batch (stride 0) is read in place, never copied.

    Returns:
        The views, float32 on the CPU.

    Raises:
        InputError: if the planes need a gradient, which this renderer has not (see `gradients`).
    """
    if torch.is_grad_enabled() and planes.requires_grad:
        raise InputError('the "cpu" renderer has no gradients: use backend="reference", or torch.no_grad()')
    prepared = prepare(planes, disparity, K_src, detail, photo_reach)
    return render_prepared(prepared, disparity, K_src, K_tgt, T_tgt_src, size)


def interleave_channels(*parts: Tensor) -> Tensor:
    """Joins channels into images of four, interleaved in memory as the kernels read them.

    Args:
        parts: (..., C, H, W) each, at most four channels in all.

    Returns:
        (..., 4, H, W) float32, in memory (..., H, W, 4), without gradients; channels that no part has are 0. It is a
        new tensor unless the only part is laid out like that already.
    """
    first = parts[0].detach().cpu()
    *batch, channels, height, width = first.shape
    if channels == 4 and first.dtype == torch.float32 and first.movedim(-3, -1).is_contiguous():
        return first
    texels, channel = np.zeros((math.prod(batch), height * width, 4), np.float32), 0
    bands = len(texels) * -(-texels.shape[1] // INTERLEAVE_BAND)
    for part in parts:
        count = part.shape[-3]
        if part.dtype == torch.float32:
            source = _float32(part).reshape(len(texels), count, height * width)
            run_in_bands(bands, partial(interleave_bands, source, channel, texels), band=4)
        else:  # without a copy in float32
            values = part.detach().cpu().reshape(len(texels), count, height * width)
            torch.from_numpy(texels).movedim(-1, 1)[:, channel : channel + count].copy_(values)
        channel += count
    return torch.from_numpy(texels).view(*batch, height, width, 4).movedim(-1, -3)


def blend_source_(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """`reference.blend_source` to 2e-6, in place if `interleave_channels` laid the planes out.

    See tests/render/cpu/test_render.py.
    """
    planes = interleave_channels(planes)
    inputs = _texels(planes), _float32(disparity), _unproject(K_src), planes.shape[-1], _float32(image.flatten(-2))
    run_in_bands(len(planes) * planes.shape[-2], lambda *rows: blend_source_rows(*inputs, *rows))
    return planes


def camera_arrays(K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor) -> CameraArrays:
    """The cameras as the kernels take them, from (B, 3, 3), (B, 3, 3) and (B, 4, 4)."""
    return CameraArrays(*map(_float64, Cameras.compose(K_src, K_tgt, T_tgt_src)))


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _float32(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().contiguous().numpy()


def _float64(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().contiguous().numpy()


def _texels(images: Tensor) -> Array:
    """(..., H W, 4) of images (..., 3 or 4, H, W), see `interleave_channels`."""
    return interleave_channels(images).movedim(-3, -1).flatten(-3, -2).numpy()


def _unproject(K: Tensor) -> Array:
    return _float64(torch.linalg.inv(K.double()))


def _with_room(images: Array, size: tuple[int, int]) -> Array:
    """The same images; those of one column are copied, so that a pixel behind the last is readable."""
    if size[1] != 1:
        return images
    room = np.zeros(images.size + 4, images.dtype)
    room[:-4] = images.ravel()
    return room[:-4].reshape(images.shape)


def _max_densities(texels: Array, size: tuple[int, int], strips: tuple[int, int]) -> Array:
    """The largest density of each tile of planes (b, S, N, 4): (b, S, ⌈H / TILE⌉, ⌈W / TILE⌉)."""
    densities = np.empty((*texels.shape[:2], *(-(-side // TILE) for side in size)), np.float32)
    rows = densities.shape[0] * densities.shape[1] * densities.shape[2]
    run_in_bands(rows, lambda *band: max_density_rows(texels, size, strips, densities, *band), band=8 * TILE)
    return densities


def _source_transmittance(texels: Array, disparity: Tensor, K_src: Tensor, width: int) -> Array:
    """T_k^src (b, S, H W) of planes (b or 1, S, H W, 4); b is 1 if all views share the scene and the source camera."""
    batch = max(len(texels), len(distinct(disparity)), len(distinct(K_src)))
    transmittance = np.empty((batch, *texels.shape[1:3]), np.float32)
    inputs = texels, _float32(disparity), _unproject(K_src), width, transmittance
    run_in_bands(batch * (texels.shape[2] // width), lambda *rows: source_transmittance_rows(*inputs, *rows))
    return transmittance
