"""How much to zoom in so that a moving camera does not look past the edges of the photo."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.scene.images import resize
from mine.scene.mpi import MPI

MAX_ZOOM = 1.2
"""More than this costs more of the picture than its borders are worth."""

TOLERATED = 0.1
"""Share of a pixel's colour that may come from outside the photo: too faint to see."""

PROBE = 64
"""Longest side in pixels of the views that are tried."""

PLANE = 256
"""Longest side in pixels of the planes that are tried with: finer ones take longer and tell the same."""

FRAMES = 16
"""Poses that are tried, spread evenly over the path."""


def zoomed(K: Tensor, factor: Tensor) -> Tensor:
    """Intrinsics (N, 3, 3): K (3, 3) with its focal lengths times each factor (N,)."""
    scale = torch.ones(len(factor), 3, 3, dtype=K.dtype, device=K.device)
    scale[:, :2, :2] = factor.to(K)[:, None, None]
    return K * scale


def shifted(K: Tensor, shift: Tensor) -> Tensor:
    """Intrinsics (N, 3, 3) with principal points moved right by shift (N,) focal lengths."""
    K = K.clone()
    K[:, 0, 2] += shift.to(K) * K[:, 0, 0]
    return K


def covering_zoom(scene: MPI, poses: Tensor, focal: Tensor, shift: Tensor | None = None) -> float:
    """The smallest zoom, 1 to MAX_ZOOM, at which no view along a path shows what lies outside the photo.

    poses: (N, 4, 4) target-from-source; focal: (N,) factors on the focal length along the path; shift: (N,) of the
    principal points, see `shifted`. Outside the photo the planes repeat their border, which looks like streaks. Where
    the planes mix, what counts is the share of colour.
    """
    chosen = torch.linspace(0, len(poses) - 1, min(len(poses), FRAMES)).round().long()
    marked, K, size = _marked(scene), *_edge_to_edge(scene)
    poses, focal = poses[chosen], focal[chosen]
    shift = torch.zeros(len(poses)) if shift is None else shift[chosen]

    def covered(zoom: float) -> bool:
        with torch.no_grad():
            rgb = marked.render(poses, shifted(zoomed(K, focal * zoom), shift), size).rgb
        return bool((rgb[:, 1] - rgb[:, 0]).max() <= TOLERATED)

    if covered(1.0):
        return 1.0
    low, high = 1.0, MAX_ZOOM
    for _ in range(6):
        middle = (low + high) / 2
        low, high = (low, middle) if covered(middle) else (middle, high)
    return high


def _marked(scene: MPI) -> MPI:
    """The scene with its colours replaced: green everywhere, red only inside the photo's frame.

    A view's green is then all the light that reaches a pixel, and green minus red the part from outside. Planes are
    padded by their borders, so that densities outside are what rendering takes them to be; red ends one pixel outside,
    where the renderer's mask ends too.
    """
    size = _at_most(PLANE, scene.plane_size)
    K = scene.intrinsics(size)
    K[:2, 2] += 2
    sigma = F.pad(resize(scene.sigma[:, 0], size)[:, None], (2, 2, 2, 2), mode="replicate")
    green = torch.ones_like(sigma)
    red = F.pad(green[..., 1:-1, 1:-1], (1, 1, 1, 1))
    return MPI(torch.cat([red, green, 0 * green], dim=1), sigma, scene.disparity, K)


def _edge_to_edge(scene: MPI) -> tuple[Tensor, tuple[int, int]]:
    """Intrinsics (3, 3) and size of a small view whose outermost pixels lie on the very edges of the frame."""
    size = _at_most(PROBE, scene.size)
    K = scene.intrinsics(size)
    K[:2, 2] += 0.5
    squeeze = K.new_tensor([(size[1] - 1) / size[1], (size[0] - 1) / size[0], 1])
    return squeeze[:, None] * K, size


def _at_most(longest: int, size: tuple[int, int]) -> tuple[int, int]:
    shrink = min(1.0, longest / max(size))
    return max(2, round(size[0] * shrink)), max(2, round(size[1] * shrink))
