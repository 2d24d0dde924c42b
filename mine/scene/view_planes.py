"""Planes of a view's own resolution, for views that are larger than a scene's planes."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mine.kernels.memory import release_memory
from mine.render import Backend, Layers, Prepared, View, interleave_detail, lift_layers, lift_layers_in_strips, prepare
from mine.scene.detail import photo_detail, sample
from mine.scene.inpaint import DISCONTINUITY
from mine.scene.plane_surfaces import Surfaces
from mine.scene.silhouettes import PURE_RADIUS, find_layers, largest_within

LEAST_MAGNIFICATION = 1.25
"""Ratio of a view's longer side to that of the planes from which on the view has planes of its own."""

PIXELS_PER_STEP = 1.25
"""Factor of resolution for each subdivision of the steps between planes: their parallax grows with the resolution. At
the ends of the default path it is about a pixel of the view, so that the outline of what leans has no stairs."""

USUAL_PLANES = 32
"""Number of planes for which `PIXELS_PER_STEP` holds: of more, steps are finer already."""

MOST_PIXELS = 3840 * 2160
"""Pixels of the largest finer planes, which bounds their memory: larger views are magnified from them."""

EDGE_OPACITY = 0.9
"""Largest opacity of the pixels along a silhouette. Densities are sampled bilinearly, and a quarter of an opaque one is
opaque still: with less, silhouettes fade over a pixel instead of stepping from one to the next."""

SPREAD = 0.05
"""Pixels by which such silhouettes still grow: taken from opacities."""

SNAP_RADIUS = 9
"""Pixels from a silhouette within which a surface is opaque on one plane."""

DETAIL_RAMP = 2
"""Half of the pixels over which the photo's detail sets in beside silhouettes."""

FIT_ITERATIONS = 4
"""Iterations of `fit_planes`: few, so that planes still spread over surfaces without silhouettes."""

SHELL_INSET = 4
"""Pixels from a silhouette within which there is nothing on the planes behind that one."""


@dataclass(frozen=True)
class FineScene:
    """Finer planes of a scene.

    Attributes:
        prepared: The planes, ready to render.
        mask_scale: Factor from the number of planes that cover a pixel to that of the scene's own planes.
    """

    prepared: Prepared
    mask_scale: float

    def render(self, K: Tensor, T: Tensor, size: tuple[int, int], backend: Backend) -> View:
        """Views from other cameras; arguments as those of `Prepared.render`."""
        view = self.prepared.render(K, T, size, backend)
        return view._replace(mask=(view.mask * self.mask_scale).round())


def fine_size(
    size: tuple[int, int], plane_size: tuple[int, int], photo_size: tuple[int, int]
) -> tuple[int, int] | None:
    """Chooses the size of the planes that a view is rendered from.

    Args:
        size: (H, W) of the view.
        plane_size: (H, W) of the scene's planes.
        photo_size: (H, W) of the photo.

    Returns:
        (H, W) in the photo's aspect, as large as the view, at most as large as the photo, and of at most `MOST_PIXELS`;
        or None where the scene's own planes are fine enough.
    """
    height, width = photo_size
    longest = min(max(size), max(photo_size), math.sqrt(MOST_PIXELS / (height * width)) * max(photo_size))
    if longest < LEAST_MAGNIFICATION * max(plane_size):
        return None
    return max(2, round(height * longest / max(photo_size))), max(2, round(width * longest / max(photo_size)))


def make_fine_scene(
    surfaces: Surfaces, photo: Tensor, disparity: Tensor, K: Tensor, size: tuple[int, int]
) -> FineScene:
    """Lifts a scene's surfaces again, with the silhouettes of its photo.

    Args:
        surfaces: What its planes show, of their size.
        photo: (3, Hp, Wp) in [0, 1].
        disparity: (S,) of the scene's planes, strictly descending.
        K: (3, 3) intrinsics in pixels of `size`.
        size: (H, W) of the finer planes.

    Returns:
        The finer planes, on the device of the photo. On CPUs the steps between planes are subdivided.
    """
    release_memory()
    with torch.no_grad():
        image = photo_at(photo, size)
        layers, detail = split_detail(image, find_layers(surfaces, image.cpu()))
        on_cpu = photo.device.type == "cpu"
        steps = max(size) / max(surfaces.disparity.shape) / PIXELS_PER_STEP if on_cpu else 1
        if detail is not None and on_cpu:
            detail = detail.half()  # while planes are lifted, which takes the most memory
        release_memory()
        placed, fine, shell = place_silhouettes(layers, disparity, steps)
        del image, layers
        lift = lift_layers_in_strips if on_cpu else lift_layers
        planes, reach = lift(placed, fine, shell)
        del placed, shell
        fine, reach = fine.to(photo.device), reach.to(photo.device)
        scene = planes.to(photo.device)[None] if isinstance(planes, Tensor) else planes
        del planes
        release_memory()
        detail = None if detail is None else interleave_detail(detail)
        release_memory()
    return FineScene(prepare(scene, fine[None], K[None], detail, reach[None]), len(disparity) / len(fine))


def photo_at(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """The photo (3, Hp, Wp) in [0, 1] at `size` (H, W), as sharp as it can be."""
    if size == tuple(photo.shape[-2:]):
        return photo.float()
    return F.interpolate(photo.float()[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def place_silhouettes(layers: Layers, disparity: Tensor, steps: float) -> tuple[Layers, Tensor, Tensor]:
    """Places planes where the silhouettes of layers are, and these on the planes.

    Args:
        layers: See `find_layers`.
        disparity: (S,) of the scene's planes, strictly descending.
        steps: See `subdivide`.

    Returns:
        The layers, the disparities (S',) of the planes, and the disparities (1, H, W) of the visible surface's back:
        what `mine.render.lift_layers` takes.
    """
    surface = layers.disparity
    beside, close, around = (_is_silhouette(surface, radius) for radius in (1, SHELL_INSET, SNAP_RADIUS))
    fine = fit_planes(subdivide(disparity.float().cpu(), steps), surface[close])
    nearest = _nearest_planes(surface, fine)
    snapped, shell = (torch.where(mask, nearest, surface) for mask in (around, close))
    fading = beside & (layers.background_disparity > 0)
    opacity = torch.where(fading, layers.opacity.clamp(max=EDGE_OPACITY), layers.opacity)
    placed = layers._replace(disparity=snapped, opacity=((opacity - SPREAD) / (1 - SPREAD)).clamp(min=0))
    return placed, fine, shell


def snap_silhouettes(surface: Tensor, disparity: Tensor, radius: int) -> Tensor:
    """Moves the pixels along silhouettes to the nearest plane.

    Elsewhere a surface between two planes is shown by both. Beside a silhouette only one of the two would be seen, and
    the silhouette would lie where that one is.

    Args:
        surface: (1, H, W) disparity of the visible surface.
        disparity: (S,) of the planes, strictly descending.
        radius: Pixels from the silhouette within which pixels are moved.

    Returns:
        (1, H, W) disparities.
    """
    return torch.where(_is_silhouette(surface, radius), _nearest_planes(surface, disparity), surface)


def _nearest_planes(surface: Tensor, disparity: Tensor) -> Tensor:
    """Disparities (1, H, W) of the planes, at descending `disparity` (S,), that are nearest to those of a surface."""
    ascending = disparity.flip(0)
    return ascending[torch.bucketize(surface, (ascending[1:] + ascending[:-1]) / 2)]


def _is_silhouette(surface: Tensor, radius: int) -> Tensor:
    """Which pixels (1, H, W) have a farther surface within `radius` pixels, beyond a step rather than a slope."""
    step = surface > -DISCONTINUITY * largest_within(-surface, 1)
    if radius == 1:
        return step
    farther = surface > -DISCONTINUITY * largest_within(-surface, radius)
    return farther & (largest_within(step.byte(), radius - 1) > 0)


def split_detail(image: Tensor, layers: Layers) -> tuple[Layers, Tensor | None]:
    """Splits a photo into what planes show and the detail that their bilinear samples would lose.

    Away from silhouettes the planes get the photo at half its resolution, and the detail the rest: together, they keep
    what bilinear samples of all of it would lose. At silhouettes, which would ring, the planes keep what they have.

    Args:
        image: (3, H, W) in [0, 1].
        layers: The photo's layers, of its size, on the CPU.

    Returns:
        The layers with smooth colours, and the detail (1, 3, h, w), on the device of the image; or what was given, and
        None, where the photo is too large for a detail of more pixels than it has.
    """
    size = (image.shape[-2], image.shape[-1])
    detail = photo_detail(image, (max(1, size[0] // 2), max(1, size[1] // 2)), size)
    if detail.shape == image.shape:
        return layers, None
    share = detail_share(layers.disparity)
    rgb = layers.rgb - share * sample(detail, size, "area").cpu()
    detail *= F.interpolate(share[None].to(detail.device), detail.shape[-2:], mode="nearest")[0]
    return layers._replace(rgb=rgb), detail[None]


def detail_share(surface: Tensor) -> Tensor:
    """How much of the photo's detail may be added to a surface (1, H, W): 1, but 0 at its silhouettes."""
    nearest, farthest = largest_within(surface, PURE_RADIUS), -largest_within(-surface, PURE_RADIUS)
    whole = largest_within((nearest > DISCONTINUITY * farthest).float(), DETAIL_RAMP)
    return 1 - torch.from_numpy(cv2.blur(whole[0].numpy(), (2 * DETAIL_RAMP + 1,) * 2))[None]


def fit_planes(disparity: Tensor, outline: Tensor) -> Tensor:
    """Moves planes to where silhouettes are: each to the mean of those nearest to it (Lloyd 1982, k-means).

    Args:
        disparity: (S,) of the planes, strictly descending.
        outline: (N,) disparities of the pixels along silhouettes.

    Returns:
        (S,) disparities, strictly descending, the first and the last as they were.
    """
    ascending = disparity.flip(0).double()
    for _ in range(FIT_ITERATIONS):
        nearest = torch.bucketize(outline.double(), (ascending[1:] + ascending[:-1]) / 2)
        count = torch.bincount(nearest, minlength=len(ascending))
        total = torch.bincount(nearest, outline.double(), minlength=len(ascending))
        moved = torch.where(count > 0, total / count.clamp(min=1), ascending)
        ascending[1:-1] = moved[1:-1].clamp(ascending[0], ascending[-1])
    fitted = ascending.flip(0).to(disparity)
    return fitted if (fitted[1:] < fitted[:-1]).all() else disparity


def subdivide(disparity: Tensor, steps: float) -> Tensor:
    """Divides the steps between planes.

    Args:
        disparity: (S,) of the planes, strictly descending.
        steps: Number of steps, rounded up, for each of those between at most `USUAL_PLANES`. More planes, whose steps
            are finer already, become as many as those would, so that memory does not grow with their number.

    Returns:
        (S',) disparities, at even parts of the steps, from the first plane to the last.
    """
    planes = len(disparity)
    if planes <= USUAL_PLANES:
        count = math.ceil(steps) * (planes - 1) + 1
    else:
        count = max(planes, math.ceil(steps * (USUAL_PLANES - 1)) + 1)
    position = torch.linspace(0, planes - 1, count, dtype=torch.float64)
    return torch.from_numpy(np.interp(position, np.arange(planes), disparity.cpu().double())).to(disparity)
