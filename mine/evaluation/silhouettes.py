"""How far rendered silhouettes lie from the true ones: a generated photo with exact depth, and its measures.

A disc and a slanted bar, each at one disparity, stand before a ground of contrasting colour. In a target view, each
target pixel sees the plane of a shape at a known source pixel (`mine.render.reference.source_pixels`), so that the
signed distance to the true silhouette is known there in closed form.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mine.render.reference import pixel_grid, sample, source_pixels

SHAPES = {"disc": 1.0, "bar": 0.57}
"""Disparities of the shapes."""

GROUND = 0.12
"""Disparity of the ground."""

FOREGROUND_RGB, GROUND_RGB = (0.15, 0.25, 0.55), (0.9, 0.8, 0.6)
"""Colours of the shapes and of the ground."""

REACH = 8.0
"""Pixels from the silhouette within which the profile across it is measured."""

PROFILE_STEP = 0.25
"""Pixels between two samples of a profile."""

EDGE_WIDTH = 2.5
"""Pixels from the true silhouette beyond which a profile that differs from it counts as a fringe."""

STEP_WINDOW = 4
"""Pixels along the silhouette within which its displacement may change by one step."""


class EdgeErrors(NamedTuple):
    """Errors of silhouettes, in pixels, and fringes, in fractions of the contrast."""

    rms: float
    """Root mean square distance of the rendered silhouette from the true one"""
    step: float
    """Largest change of that distance within `STEP_WINDOW` pixels along the silhouette"""
    fringe: float
    """Largest error of colour farther than `EDGE_WIDTH` from the true silhouette"""


def signed_distance(shape: str, pixel: Tensor, size: tuple[int, int]) -> Tensor:
    """Signed distance of pixels to a shape's silhouette in the photo.

    Args:
        shape: A key of `SHAPES`.
        pixel: (..., 2), x and y.
        size: (H, W) of the photo.

    Returns:
        (...,) distance in pixels, negative inside.
    """
    unit = size[1] / 1920
    if shape == "disc":
        return (pixel - pixel.new_tensor([560.3, 610.7]) * unit).square().sum(-1).sqrt() - 250.4 * unit
    across, end = _beyond_bar(pixel, unit)
    outside = torch.stack([across, end], dim=-1).clamp(min=0).square().sum(-1).sqrt()
    return torch.where(torch.maximum(across, end) > 0, outside, torch.maximum(across, end))


def _beyond_bar(pixel: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """How far pixels (..., 2) lie beyond the bar's long sides and beyond its ends, in pixels; negative within."""
    angle = torch.tensor(1.32)  # of the bar's length against the x axis
    along = torch.stack([angle.cos(), angle.sin()]).to(pixel)
    centred = pixel - pixel.new_tensor([1330.6, 640.2]) * unit
    across = (centred * torch.stack([-along[1], along[0]])).sum(-1).abs() - 120.6 * unit
    return across, (centred * along).sum(-1).abs() - 420.3 * unit


def generate_photo(size: tuple[int, int]) -> Tensor:
    """Generates the photo.

    Args:
        size: (H, W) in pixels.

    Returns:
        RGB (3, H, W) in [0, 1]; pixels at silhouettes mix both sides.
    """
    pixel = pixel_grid(size, torch.empty(0))[:2].movedim(0, -1)
    inside = torch.zeros(size)
    for shape in SHAPES:
        inside = torch.maximum(inside, (0.5 - signed_distance(shape, pixel, size)).clamp(0, 1))
    front, back = (torch.tensor(colour)[:, None, None] for colour in (FOREGROUND_RGB, GROUND_RGB))
    return inside * front + (1 - inside) * back


def disparity_of_photo(size: tuple[int, int], map_size: tuple[int, int]) -> Tensor:
    """The exact disparity at the pixel centres of a map.

    Args:
        size: (H, W) of the photo.
        map_size: (H, W) of the map.

    Returns:
        (1, H, W) disparities.
    """
    scale = torch.tensor([size[1] / map_size[1], size[0] / map_size[0]])
    pixel = (pixel_grid(map_size, scale)[:2].movedim(0, -1) + 0.5) * scale - 0.5
    disparity = torch.full(map_size, GROUND)
    for shape, value in SHAPES.items():
        disparity[signed_distance(shape, pixel, size) < 0] = value
    return disparity[None]


def edge_errors(
    shape: str, rgb: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, photo_size: tuple[int, int]
) -> EdgeErrors:
    """Measures one silhouette of a view.

    The profile of the foreground's share across the silhouette is read along its normal. Its integral is the
    displacement of the edge, whatever its softness.

    Args:
        shape: A key of `SHAPES`.
        rgb: (3, H, W) the view.
        K_src: (3, 3) source intrinsics in pixels of the photo.
        K_tgt: (3, 3) target intrinsics in pixels of the view.
        T_tgt_src: (4, 4) pose of the view.
        photo_size: (H, W) of the photo.

    Returns:
        The errors, over all of the silhouette that is at least `REACH` inside the view.
    """
    size = (rgb.shape[-2], rgb.shape[-1])
    disparity = torch.tensor([[SHAPES[shape]]], dtype=torch.float64)
    source = source_pixels(disparity, K_src[None].double(), K_tgt[None].double(), T_tgt_src[None].double(), size)
    distance = signed_distance(shape, source[0, 0], photo_size)
    gradient = torch.stack(torch.gradient(distance)[::-1], dim=-1)
    distance = distance / gradient.norm(dim=-1)  # in pixels of the view
    margin = torch.zeros(size, dtype=torch.bool)
    margin[int(REACH) + 2 : -int(REACH) - 2, int(REACH) + 2 : -int(REACH) - 2] = True
    y, x = ((distance.abs() < 0.5) & margin & ~_near_corners(shape, source[0, 0], photo_size)).nonzero().unbind(1)
    normal = gradient[y, x] / gradient[y, x].norm(dim=-1, keepdim=True)
    start = torch.stack([x, y], dim=-1) - normal * distance[y, x, None]
    offset = torch.arange(-REACH, REACH + PROFILE_STEP / 2, PROFILE_STEP, dtype=torch.float64)
    front, back = (torch.tensor(colour, dtype=torch.float64) for colour in (FOREGROUND_RGB, GROUND_RGB))
    points = start[:, None] + offset[:, None] * normal[:, None]
    colour = sample(rgb.double()[None], points[None])[0].movedim(0, -1)
    share = ((colour - back) * (front - back)).sum(-1) / (front - back).square().sum()
    displacement = (share - (offset < 0).double() - 0.5 * (offset == 0).double()).sum(1) * PROFILE_STEP
    error = (colour - torch.where(offset[:, None] < 0, front, back)).norm(dim=-1) / (front - back).norm()
    fringe = error[:, offset.abs() > EDGE_WIDTH].max()
    close = torch.cdist(start, start) < STEP_WINDOW
    step = (torch.where(close, (displacement[:, None] - displacement).abs(), 0)).max()
    return EdgeErrors(float(displacement.square().mean().sqrt()), float(step), float(fringe))


def _near_corners(shape: str, pixel: Tensor, size: tuple[int, int]) -> Tensor:
    """Whether pixels (..., 2) of the photo are within twice `REACH` of a corner, where a profile meets two edges."""
    if shape == "disc":
        return torch.zeros(pixel.shape[:-1], dtype=torch.bool)
    across, end = _beyond_bar(pixel, size[1] / 1920)
    return (across.abs() < 2 * REACH) & (end.abs() < 2 * REACH)
