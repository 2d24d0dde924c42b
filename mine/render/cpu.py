"""The renderer for processors: `reference.render`, compiled, in one pass per target pixel (see `cpu_kernels`)."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mine.errors import InputError
from mine.render.cameras import Cameras, distinct
from mine.render.cpu_blocks import DOWN, TILE
from mine.render.cpu_kernels import render_rows
from mine.render.cpu_scenes import density_rows, source_rows
from mine.render.view import View
from mine.threads import in_bands

Array = NDArray[Any]


class Scene(NamedTuple):
    """Scenes as the kernels read them, and what is known of them whatever the view; see `render_rows` for shapes."""

    planes: Array
    densities: Array
    seen: Array
    detail: Array
    size: tuple[int, int]
    detail_size: tuple[int, int]


def prepare(planes: Tensor, disparity: Tensor, K_src: Tensor, detail: Tensor | None = None) -> Scene:
    """What `draw` takes, of the arguments of `render`: planes are read in place, where they can be."""
    size, detail_size = _size(planes), (0, 0) if detail is None else _size(detail)
    scene = _single(distinct(planes).flatten(-2))
    if detail is None:
        seen, added = np.empty((1, 1, 0), np.float32), np.empty((1, 3, 0), np.float32)
    else:
        seen = _source_transmittance(scene, disparity, K_src, size[1])
        added = _single(distinct(detail).flatten(-2))
    densities, images = _densities(scene, size), (_with_room(scene, size), _with_room(seen, size))
    return Scene(images[0], densities, images[1], _with_room(added, detail_size), size, detail_size)


def draw(
    scene: Scene, disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> View:
    """Views of what was prepared, by the other arguments of `render`."""
    cameras = map(_double, Cameras.compose(K_src, K_tgt, T_tgt_src))
    images = scene.planes, scene.densities, scene.seen, scene.detail
    inputs = (*images, _single(disparity), *cameras, scene.size, scene.detail_size)
    out = np.empty((len(T_tgt_src), 5, *size), np.float32)
    in_bands(len(out) * -(-size[0] // DOWN), lambda *rows: render_rows(*inputs, out, *rows), band=2)
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
    return draw(prepare(planes, disparity, K_src, detail), disparity, K_src, K_tgt, T_tgt_src, size)


def blend_source_(planes: Tensor, disparity: Tensor, K_src: Tensor, image: Tensor) -> Tensor:
    """`reference.blend_source` in place, for planes in float32 without gradients: no scene need be held twice."""
    seen = _source_transmittance(_single(planes.flatten(-2)), disparity, K_src, planes.shape[-1])
    colours = planes[:, :, :3]
    colours.lerp_(image.float()[:, None], torch.from_numpy(seen).view(*seen.shape[:2], 1, *_size(planes)))
    return planes


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _single(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().contiguous().numpy()


def _double(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().contiguous().numpy()


def _with_room(images: Array, size: tuple[int, int]) -> Array:
    """The same images, with a pixel to read behind the last where they have one column: pixels are read in pairs."""
    if size[1] != 1:
        return images
    room = np.zeros(images.size + 1, images.dtype)
    room[:-1] = images.ravel()
    return room[:-1].reshape(images.shape)


def _densities(scene: Array, size: tuple[int, int]) -> Array:
    """Largest densities in the tiles of planes (B or 1, S, 4, H W): (B or 1, S, H / TILE, W / TILE), rounded up."""
    densities = np.empty((*scene.shape[:2], *(-(-side // TILE) for side in size)), np.float32)
    rows = densities.shape[0] * densities.shape[1] * densities.shape[2]
    in_bands(rows, lambda *band: density_rows(scene, size[1], densities, *band), band=8 * TILE)
    return densities


def _source_transmittance(scene: Array, disparity: Tensor, K_src: Tensor, width: int) -> Array:
    """T_k^src (B or 1, S, H W) of planes (B or 1, S, 4, H W)."""
    batch = max(len(scene), len(distinct(disparity)), len(distinct(K_src)))
    seen = np.empty((batch, scene.shape[1], scene.shape[3]), np.float32)
    disparities, unproject = _single(disparity), _double(torch.linalg.inv(K_src.double()))
    in_bands(
        batch * (scene.shape[3] // width), lambda *rows: source_rows(scene, disparities, unproject, width, seen, *rows)
    )
    return seen
