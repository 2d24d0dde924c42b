"""How far a clip must zoom in so that a moving camera does not look past the edges of the photo."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.scene.camera import shift_principal_point
from mine.scene.mpi import MPI
from mine.scene.resize import resize, size_within

MAX_ZOOM = 1.2
"""Largest zoom: a larger one would cut off more of the photo than its borders are worth."""

MAX_OUTSIDE = 0.1
"""Rendering weight that may come from outside the photo in a pixel: less is too faint to see."""

VIEW_SIDE = 64
"""Longest side in pixels of the views that measure the coverage."""

PLANE_SIDE = 256
"""Longest side in pixels of the planes that they are rendered from: finer ones take longer and change nothing."""

FIRST_POSES = 16
"""Poses, spread evenly over a path, that the zoom is found for before all others are tried with it."""

MOST_POSES = 1000
"""Poses, evenly spread, that are tried of a longer path."""

CHUNK_POSES = 256
"""Views rendered per call: few enough for little memory, whatever the length of the path."""

MAX_STEP = 3
"""Pixels of the planes in whose steps a scene is cut, if the photo's pixels have an edge at each of these steps."""


def zoom_intrinsics(K: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the focal lengths of intrinsics by factors.

    Args:
        K: Intrinsics (3, 3) in pixels.
        factor: (N,) factors; above 1 zooms in about the principal point.

    Returns:
        Intrinsics (N, 3, 3) in pixels.
    """
    scale = torch.ones(len(factor), 3, 3, dtype=K.dtype, device=K.device)
    scale[:, :2, :2] = factor.to(K)[:, None, None]
    return K * scale


def crop_intrinsics(K: Tensor, zoom: float, size: tuple[int, int]) -> Tensor:
    """Intrinsics of the middle of a view, cut out and magnified to the view's size.

    Args:
        K: Intrinsics (N, 3, 3) in pixels of the view.
        zoom: Magnification. About the middle of the image, wherever the principal point lies: that of a photo that was
            cut from a larger one may lie outside it.
        size: (H, W) of the view.

    Returns:
        Intrinsics (N, 3, 3) in pixels of a view of `size`.
    """
    x, y = ((1 - zoom) * (side - 1) / 2 for side in size[::-1])
    return K.new_tensor([[zoom, 0, x], [0, zoom, y], [0, 0, 1]]) @ K


def covering_zoom(scene: MPI, poses: Tensor, focal: Tensor, shift: Tensor | None = None) -> float:
    """The smallest zoom at which no view of a path shows what lies outside the photo, found by bisection.

    Outside the photo the planes repeat their border pixels, which looks like streaks. Where planes blend, a pixel
    counts as outside when more than MAX_OUTSIDE of its rendering weight comes from there.

    Args:
        scene: The scene.
        poses: (N, 4, 4) target-from-source poses.
        focal: (N,) factors on the source camera's focal length.
        shift: (N, 2) shifts of the principal points in focal lengths, see `shift_principal_point`; by default none.

    Returns:
        A factor for `crop_intrinsics`, from 1 to MAX_ZOOM.
    """
    coverage, K, size = _coverage_scene(scene), *_border_view(scene)
    shift = torch.zeros(len(poses), 2) if shift is None else shift

    def uncovered(chosen: Tensor, zoom: float) -> Tensor:
        """Those of the chosen poses (numbers of them) whose views show what lies outside."""
        beyond = []
        for part in chosen.split(CHUNK_POSES):
            intrinsics = shift_principal_point(zoom_intrinsics(K, focal[part]), shift[part])
            with torch.no_grad():
                rgb = coverage.render(poses[part], crop_intrinsics(intrinsics, zoom, size), size).rgb
            beyond.append(part[(rgb[:, 1] - rgb[:, 0]).flatten(1).amax(1).cpu() > MAX_OUTSIDE])
        return torch.cat(beyond)

    zoom, every = 1.0, torch.arange(len(poses))
    first = torch.linspace(0, len(poses) - 1, min(len(poses), FIRST_POSES)).round().long()
    # Few poses find nearly the zoom; all others need be rendered once, and only those that it is too little for again.
    for chosen in (first, every[:: len(every) // MOST_POSES + 1]):
        left = uncovered(chosen, zoom)
        zoom = _least_zoom(left, zoom, uncovered) if len(left) else zoom
        if zoom >= MAX_ZOOM:
            break
    return zoom


def _least_zoom(poses: Tensor, low: float, uncovered: Callable[[Tensor, float], Tensor]) -> float:
    """The least zoom, found by bisection, that covers the views of poses that `low` does not cover."""
    high = MAX_ZOOM
    for _ in range(6):
        middle = (low + high) / 2
        left = uncovered(poses, middle)
        low, high, poses = (middle, high, left) if len(left) else (low, middle, poses)
    return high


def _coverage_scene(scene: MPI) -> MPI:
    """The scene with other colours: green everywhere, red only inside the photo's frame.

    A view's green is then the total rendering weight of a pixel, and green minus red the weight from outside. Planes
    are padded by copies of their border, so that densities outside are those that rendering assumes; red ends one
    pixel outside the photo, as the renderer's mask does.
    """
    size = size_within(scene.plane_size, PLANE_SIDE)
    K = scene.intrinsics(size)
    K[:2, 2] += 2
    sigma = F.pad(resize(scene.sigma[:, 0], size)[:, None], (2, 2, 2, 2), mode="replicate")
    green = torch.ones_like(sigma)
    red = F.pad(green[..., 1:-1, 1:-1], (1, 1, 1, 1))
    return MPI(torch.cat([red, green, 0 * green], dim=1), sigma, scene.disparity, K)


def _border_view(scene: MPI) -> tuple[Tensor, tuple[int, int]]:
    """Intrinsics (3, 3) and size of a small view whose outermost pixel centres lie where the coverage's red ends.

    That is half a pixel of the coverage scene outside the photo: where they see red, the view shows the photo alone.
    """
    size = size_within(scene.size, VIEW_SIDE)
    K = scene.intrinsics(size)
    for axis, (side, planes) in enumerate(
        zip(size[::-1], size_within(scene.plane_size, PLANE_SIDE)[::-1], strict=True)
    ):
        beyond = side / planes / 2
        K[axis, 2] += 0.5 + beyond
        K[axis] *= (side - 1) / (side + 2 * beyond)
    return K, size


def crop_to_aspect(scene: MPI, aspect: float | None) -> MPI:
    """The middle of a scene, as wide for its height as asked for: what a camera with another sensor would have seen.

    Args:
        scene: The scene.
        aspect: Width / height of its views; None keeps the scene as it is.

    Returns:
        A scene of the planes and the photo cut to whole pixels of the planes, with the principal point moved along. The
        photo is resampled where its own pixels have no edges there.
    """
    if aspect is None:
        return scene
    height, width = scene.plane_size
    stretch = scene.size[1] * height / (scene.size[0] * width)  # a plane's pixel, width / height
    top, kept_height = _middle(height, scene.size[0], width * stretch / aspect)
    left, kept_width = _middle(width, scene.size[1], height * aspect / stretch)
    cut = (slice(top, top + kept_height), slice(left, left + kept_width))
    K = scene.K.clone()
    K[0, 2] -= left
    K[1, 2] -= top
    photo = scene.photo
    if photo is not None:
        rows = top * photo.shape[-2] / height, kept_height * photo.shape[-2] / height
        columns = left * photo.shape[-1] / width, kept_width * photo.shape[-1] / width
        photo = _cut_photo(photo, rows, columns)
    layers = (None if part is None else part[..., *cut] for part in (scene.surface, scene.background))
    return MPI(scene.rgb[..., *cut], scene.sigma[..., *cut], scene.disparity, K, photo, *layers)


def _middle(planes: int, photo: int, kept: float) -> tuple[int, int]:
    """The first pixel, and the number, of the planes' pixels that are kept of a side of `planes` and `photo` pixels."""
    step = planes // math.gcd(planes, photo)
    step = step if step <= MAX_STEP else 1
    number = min(planes, max(2, step, step * round(kept / step)))
    return (planes - number) // step // 2 * step, number


def _cut_photo(photo: Tensor, rows: tuple[float, float], columns: tuple[float, float]) -> Tensor:
    """The part of a photo (3, H, W) whose first edges and sizes are given in its pixels, which need not be whole."""
    (top, height), (left, width) = rows, columns
    if all(side == round(side) for side in (*rows, *columns)):
        return photo[..., round(top) : round(top + height), round(left) : round(left + width)]
    axes = []
    for start, length, side in ((left, width, photo.shape[-1]), (top, height, photo.shape[-2])):
        number = max(1, round(length))
        centres = start + (torch.arange(number, dtype=torch.float32, device=photo.device) + 0.5) * (length / number)
        axes.append(2 * centres / side - 1)
    grid = torch.stack(torch.meshgrid(*axes, indexing="xy"), dim=-1)[None]
    cut = F.grid_sample(photo[None].float(), grid, "bicubic", "border", align_corners=False)[0]
    return cut.clamp(0, 1).to(photo.dtype)
