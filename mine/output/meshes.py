"""Textured meshes of a scene's two surfaces, with silhouettes of the texture's resolution.

The surface is divided into square cells of a few texels. A cell that shows one surface is a quadrilateral at its mean
disparity. A cell on a silhouette becomes two: one at the nearer disparity, whose texture is transparent where the
farther surface is seen, and in part where both are, as in hair; and one behind it at the farther disparity. Where the
hidden surface is known, a quadrilateral of its colours lies behind as well. So the mesh may be coarse, and silhouettes
are as fine as the photo.

Corners of neighbouring cells are joined where their disparities are those of one surface (`DISCONTINUITY`): nothing
stretches from the foreground to the background. What lies behind is one sheet without gaps.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.output.plane_images import plane_images
from mine.output.surface_layers import SurfaceLayers, unproject
from mine.output.web.pack import pull_push
from mine.render import Layers
from mine.scene.inpaint import DISCONTINUITY

CELLS = 384
"""Most cells along the longer side: as fine as the shipped network's disparity."""

OPAQUE = 0.98
"""Opacity from which on a texel counts as opaque."""

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Corners of a cell: top left, top right, bottom left, bottom right."""

BEHIND = 0.999
"""Factor on the disparity of quadrilaterals behind visible ones, so that no viewer shows them through the front."""


@dataclass(frozen=True)
class TexturedMesh:
    """Triangles with one texture.

    Attributes:
        name: What it shows.
        points: (V, 3) vertices, in the source camera's axes (x right, y down, z forward), in scene units.
        uv: (V, 2) places in the texture: (0, 0) is its top left corner, (1, 1) its bottom right corner.
        triangles: (N, 3) indices of vertices, counter-clockwise as the source camera sees them.
        texture: (3, H, W), or (4, H, W) with an opacity, in [0, 1].
    """

    name: str
    points: Tensor
    uv: Tensor
    triangles: Tensor
    texture: Tensor


def make_meshes(surfaces: SurfaceLayers, cells: int = CELLS) -> list[TexturedMesh]:
    """Makes meshes of the visible surface, of its silhouettes, and of what lies behind.

    Args:
        surfaces: The surfaces; the textures have their resolution.
        cells: Most cells along the longer side.

    Returns:
        The meshes that have triangles, at most three.
    """
    layers, (height, width) = surfaces.layers, surfaces.size
    step = max(1, math.ceil(max(height, width) / cells))
    near, far = _extremes(layers.disparity, step)
    split = near > DISCONTINUITY * far
    cut = split | (_cells(layers.opacity, step).amin(-1) < OPAQUE)
    mean = _means(layers.disparity, torch.ones_like(layers.disparity), step)
    known = (layers.background_disparity > 0).float()
    hidden, is_hidden = _means(layers.background_disparity, known, step), _means(known, torch.ones_like(known), step)
    is_hidden = (is_hidden > torch.where(cut, 0, 0.5)) & ~split
    front = torch.where(split, near, mean)
    back = torch.where(split, far, torch.where(is_hidden, hidden, mean))
    front_corners = _joined_corners(front, back)
    back_means = _around_corners(back[None]).mean(dim=0).expand(4, -1, -1)
    back_corners = torch.minimum(_of_cells(back_means), front_corners) * BEHIND
    covering = (layers.background_disparity > 0) & _shows(layers.disparity, near, step)
    behind = torch.where(covering, layers.background_rgb, layers.rgb)
    parts = [
        ("surface", front_corners, ~cut, layers.rgb),
        ("silhouettes", front_corners, cut, _silhouettes(layers, front * cut, step)),
        # One cell further than needed: it reaches behind the visible surface, and no gap shows between the two.
        ("background", back_corners, F.max_pool2d((cut | is_hidden)[None].float(), 3, 1, 1)[0] > 0, behind),
    ]
    return [
        _mesh(name, corners, mask, texture, surfaces.K, step) for name, corners, mask, texture in parts if mask.any()
    ]


def _cells(x: Tensor, step: int, value: float | None = None) -> Tensor:
    """The texels of each cell of x (1, H, W): (h, w, step²); cells at the end are filled with `value`, or copies."""
    height, width = x.shape[-2:]
    padding = (0, -width % step, 0, -height % step)
    padded = F.pad(x[None], padding, mode="replicate") if value is None else F.pad(x[None], padding, value=value)
    return F.pixel_unshuffle(padded, step)[0].movedim(0, -1)


def _extremes(disparity: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Largest and smallest disparity (h, w) of each cell."""
    cells = _cells(disparity, step)
    return cells.amax(-1), cells.amin(-1)


def _means(x: Tensor, weight: Tensor, step: int) -> Tensor:
    """Mean (h, w) of x (1, H, W) over each cell, weighted by `weight` (1, H, W); 0 without weight."""
    weights = _cells(weight, step, 0.0)
    return (_cells(x, step) * weights).sum(-1) / weights.sum(-1).clamp(min=1e-6)


def _silhouettes(layers: Layers, near: Tensor, step: int) -> Tensor:
    """Colour and opacity (4, H, W) of the nearer surface in the cells whose `near` (h, w) is above 0.

    The cells around them have the opacity of the same surface, which bilinear samples mix in; all others are empty.
    Colours continue into transparent texels, for the same reason.
    """
    reference = torch.where(near > 0, near, F.max_pool2d(near[None], 3, 1, 1)[0])
    around = _texels(reference, step, layers.disparity) > 0
    opacity = layers.opacity * (_shows(layers.disparity, reference, step) & around)
    rgb = pull_push(layers.rgb[None], (opacity[None] > 0.5).float())[0]
    return torch.cat([rgb * around, opacity])


def _shows(disparity: Tensor, near: Tensor, step: int) -> Tensor:
    """Which texels (1, H, W) show the surface of disparity `near` (h, w) of their cell, or a nearer one."""
    return disparity * DISCONTINUITY > _texels(near, step, disparity)


def _texels(x: Tensor, step: int, like: Tensor) -> Tensor:
    """Values of cells (h, w) at the texels (1, H, W) of an image of the size of `like`."""
    height, width = like.shape[-2:]
    return x.repeat_interleave(step, 0).repeat_interleave(step, 1)[None, :height, :width]


def _around_corners(sheets: Tensor) -> Tensor:
    """Values (4 N, h + 1, w + 1) of the four cells around each corner of sheets (N, h, w): those of _PLACES in turn."""
    height, width = sheets.shape[-2:]
    padded = F.pad(sheets[None], (1, 1, 1, 1), mode="replicate")[0]
    return torch.cat([padded[:, 1 - y : 2 - y + height, 1 - x : 2 - x + width] for y, x in _PLACES])


def _of_cells(corners: Tensor) -> Tensor:
    """Values (h, w, 4) at the corners of each cell, of (4, h + 1, w + 1): for each of _PLACES those of its corner."""
    height, width = corners.shape[1] - 1, corners.shape[2] - 1
    return torch.stack(
        [corner[y : y + height, x : x + width] for corner, (y, x) in zip(corners, _PLACES, strict=True)], -1
    )


def _joined_corners(front: Tensor, back: Tensor) -> Tensor:
    """Disparities (h, w, 4) of the corners of the front cells, the same for all cells of one surface.

    The cells around a corner, front and back, are of one surface as long as the next larger disparity is within
    `DISCONTINUITY`. Each surface has one vertex there, at the mean.
    """
    values, order = _around_corners(torch.stack([front, back])).sort(dim=0)
    number = (values[1:] > values[:-1] * DISCONTINUITY).cumsum(dim=0)
    number = torch.cat([torch.zeros_like(number[:1]), number])
    total = torch.zeros_like(values).scatter_add_(0, number, values)
    count = torch.zeros_like(values).scatter_add_(0, number, torch.ones_like(values))
    means = (total / count.clamp(min=1)).gather(0, number)
    return _of_cells(torch.zeros_like(means).scatter_(0, order, means)[0::2])


def _mesh(name: str, corners: Tensor, mask: Tensor, texture: Tensor, K: Tensor, step: int) -> TexturedMesh:
    """The mesh of the cells of `mask` (h, w), whose corners have disparities (h, w, 4)."""
    height, width = texture.shape[-2:]
    # From the farthest to the nearest: the order in which transparent triangles are to be drawn.
    cells = mask.nonzero()
    cells = cells[corners[mask].mean(dim=1).argsort(stable=True)]
    cell_y, cell_x = cells.unbind(1)
    rows = cell_y[:, None] + torch.tensor([0, 0, 1, 1])
    columns = cell_x[:, None] + torch.tensor([0, 1, 0, 1])
    disparity = corners[cell_y, cell_x]
    # One vertex for all corners at the same place and disparity.
    place = rows * (mask.shape[1] + 1) + columns
    keys = place << 32 | disparity.contiguous().view(torch.int32).long()
    unique, index = torch.unique(keys, return_inverse=True)
    place, disparity = unique >> 32, (unique & 0xFFFFFFFF).int().view(torch.float32)
    u = ((place % (mask.shape[1] + 1)) * step).clamp(max=width).float()
    v = ((place // (mask.shape[1] + 1)) * step).clamp(max=height).float()
    # Texture coordinates have (0, 0) at the corner of the first texel, pixel coordinates at its centre.
    points = unproject(disparity, K, u - 0.5, v - 0.5)
    triangles = index[:, [0, 2, 1, 1, 2, 3]].reshape(-1, 3)
    return TexturedMesh(name, points, torch.stack([u / width, v / height], dim=-1), triangles, texture)


def make_plane_meshes(surfaces: SurfaceLayers, disparity: Tensor) -> list[TexturedMesh]:
    """Makes a rectangle of each plane of a scene, with the plane's image cropped to what is not transparent.

    Args:
        surfaces: The surfaces; the textures have their resolution.
        disparity: (S,) of the planes, strictly descending.

    Returns:
        The planes that show anything, farthest first: the order in which they are to be blended.
    """
    meshes = []
    for number, plane in enumerate(plane_images(surfaces, disparity)):
        rows, columns = (plane.image[3] >= 0.5 / 255).nonzero(as_tuple=True)
        if len(rows) == 0:
            continue
        (top, bottom), (left, right) = (torch.stack([x.min(), x.max() + 1]).float() for x in (rows, columns))
        u, v = torch.stack([left, right, left, right]), torch.stack([top, top, bottom, bottom])
        points = unproject(torch.full_like(u, 1 / plane.depth), surfaces.K, u - 0.5, v - 0.5)
        uv = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]]).to(points)
        texture = plane.image[:, int(top) : int(bottom), int(left) : int(right)]
        meshes.append(TexturedMesh(f"plane {number}", points, uv, torch.tensor([[0, 2, 1], [1, 2, 3]]), texture))
    return meshes[::-1]
