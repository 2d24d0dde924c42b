"""The renderer for processors: `reference.render`, compiled, in one pass per target pixel (see `cpu_kernels`)."""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mine.errors import InputError
from mine.kernels.threads import run_in_bands
from mine.render.cameras import Cameras, distinct
from mine.render.cpu.blocks import ACROSS, BLOCK, DOWN, SAMPLES, STATE, TILE
from mine.render.cpu.kernels import ROW, render_rows
from mine.render.cpu.prepare_kernels import BAND, blend_rows, density_rows, interleave_bands, source_rows
from mine.render.view import View

Array = NDArray[Any]


class Prepared(NamedTuple):
    """Scenes as the kernels read them, and what is known of them whatever the view; see `render_rows` for shapes."""

    planes: Array
    densities: Array
    seen: Array
    detail: Array
    size: tuple[int, int]
    detail_size: tuple[int, int]


def prepare(planes: Tensor, disparity: Tensor, K_src: Tensor, detail: Tensor | None = None) -> Prepared:
    """Planes and detail as `render_prepared` takes them; planes that `interleave_channels` laid out are not copied."""
    size, detail_size = _size(planes), (0, 0) if detail is None else _size(detail)
    scene = _texels(distinct(planes))
    if detail is None:
        seen, added = np.empty((1, 1, 0), np.float32), np.empty((1, 0, 4), np.float32)
    else:
        seen, added = _source_transmittance(scene, disparity, K_src, size[1]), _texels(distinct(detail))
    images = _with_room(scene, size), _densities(scene, size), _with_room(seen, size), _with_room(added, detail_size)
    return Prepared(*images, size, detail_size)


def render_prepared(
    prepared: Prepared, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> View:
    """Views of what was prepared, by the other arguments of `render`."""
    cameras = map(_double, Cameras.compose(K_src, K_tgt, T_tgt_src))
    images = prepared.planes, prepared.densities, prepared.seen, prepared.detail
    inputs = (*images, _single(disparity), *cameras, prepared.size, prepared.detail_size)
    out = np.empty((len(T_tgt_src), 5, *size), np.float32)

    def work(first: int, last: int) -> None:
        render_rows(*inputs, out, *scratch(size[1], prepared.planes.shape[1]), first, last)

    run_in_bands(len(out) * -(-size[0] // DOWN), work, band=2)
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
) -> View:
    """See `mine.render.render`, whose signature this shares; batch sizes are equal, intrinsics upper triangular.

    A scene that is broadcast over the batch (stride 0) is read in place, never copied. Returns float32 on the CPU.

    Raises InputError where a gradient with respect to the planes is asked for: there is none here.
    """
    if torch.is_grad_enabled() and planes.requires_grad:
        raise InputError('the "cpu" renderer has no gradients: use backend="reference", or torch.no_grad()')
    return render_prepared(prepare(planes, disparity, K_src, detail), disparity, K_src, K_tgt, T_tgt_src, size)


def interleave_channels(*parts: Tensor) -> Tensor:
    """Images (..., 4, H, W) of which each of `parts` (..., C, H, W) holds some channels, side by side in memory.

    Channels that no part has are 0. In float32, without gradients; a new tensor, unless it is given as one part.
    """
    first = parts[0].detach().cpu()
    *batch, channels, height, width = first.shape
    if channels == 4 and first.dtype == torch.float32 and first.movedim(-3, -1).is_contiguous():
        return first
    texels, channel = np.zeros((math.prod(batch), height * width, 4), np.float32), 0
    bands = len(texels) * -(-texels.shape[1] // BAND)
    for part in parts:
        source = _single(part).reshape(len(texels), -1, height * width)
        run_in_bands(bands, partial(interleave_bands, source, channel, texels), band=4)
        channel += source.shape[1]
    return torch.from_numpy(texels).view(*batch, height, width, 4).movedim(-1, -3)


def blend_source_(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """`reference.blend_source`, in place where `interleave_channels` laid the planes out."""
    planes = interleave_channels(planes)
    inputs = _texels(planes), _single(disparity), _unproject(K_src), planes.shape[-1], _single(image.flatten(-2))
    run_in_bands(len(planes) * planes.shape[-2], lambda *rows: blend_rows(*inputs, *rows))
    return planes


def scratch(width: int, planes: int) -> tuple[Array, ...]:
    """What `render_rows` works in: for each block of a row, its state, boxes and way; samples; corners."""
    blocks = min(-(-width // ACROSS), ROW)
    by_block = np.empty((blocks, STATE, BLOCK), np.float32), np.empty((blocks, 4, planes), np.float32)
    way, sample = np.empty((blocks, 4), np.float32), np.zeros((SAMPLES, BLOCK), np.float32)
    return *by_block, way, sample, np.empty(BLOCK, np.int32)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _single(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().contiguous().numpy()


def _double(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().contiguous().numpy()


def _texels(images: Tensor) -> Array:
    """(..., H W, 4) of images (..., 3 or 4, H, W), see `interleave_channels`."""
    return interleave_channels(images).movedim(-3, -1).flatten(-3, -2).numpy()


def _unproject(K: Tensor) -> Array:
    return _double(torch.linalg.inv(K.double()))


def _with_room(images: Array, size: tuple[int, int]) -> Array:
    """The same images, with a pixel to read behind the last where they have one column: pixels are read in pairs."""
    if size[1] != 1:
        return images
    room = np.zeros(images.size + 4, images.dtype)
    room[:-4] = images.ravel()
    return room[:-4].reshape(images.shape)


def _densities(scene: Array, size: tuple[int, int]) -> Array:
    """Largest densities in the tiles of planes (B or 1, S, H W, 4): (B or 1, S, H / TILE, W / TILE), rounded up."""
    densities = np.empty((*scene.shape[:2], *(-(-side // TILE) for side in size)), np.float32)
    rows = densities.shape[0] * densities.shape[1] * densities.shape[2]
    run_in_bands(rows, lambda *band: density_rows(scene, size[1], densities, *band), band=8 * TILE)
    return densities


def _source_transmittance(scene: Array, disparity: Tensor, K_src: Tensor, width: int) -> Array:
    """T_k^src (B or 1, S, H W) of planes (B or 1, S, H W, 4)."""
    batch = max(len(scene), len(distinct(disparity)), len(distinct(K_src)))
    seen = np.empty((batch, *scene.shape[1:3]), np.float32)
    inputs = scene, _single(disparity), _unproject(K_src), width, seen
    run_in_bands(batch * (scene.shape[2] // width), lambda *rows: source_rows(*inputs, *rows))
    return seen
