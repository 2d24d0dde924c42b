"""How steady views are as a camera moves slowly: a generated slope, whose views are known in closed form.

The disparity of the slope is linear in x, so that a camera that moves sideways sees the photo stretched by a constant
factor. What its frames differ from that, and how this difference changes from frame to frame, is the renderer's: planes
that pop up, edges that crawl. The upper half of the photo is of one colour, the lower half has a texture.
"""

import torch
from torch import Tensor

from mine.render.reference import pixel_grid

LEFT, RIGHT = 0.55, 0.95
"""Disparities of the slope at the left and at the right border."""

PERIODS = (37.0, 23.0)
"""Periods of the texture across and down, in pixels of a photo 960 pixels wide."""

FLAT_RGB, TEXTURE_RGB = (0.45, 0.6, 0.8), (0.25, 0.2, 0.15)
"""Colour of the flat half, and amplitude of the texture around it."""


def slope_disparity(map_size: tuple[int, int]) -> Tensor:
    """The disparity (1, H, W) of the slope at the pixel centres of a map of `map_size` (H, W)."""
    x = (torch.arange(map_size[1]) + 0.5) / map_size[1]
    return (LEFT + (RIGHT - LEFT) * x).expand(1, *map_size).contiguous()


def slope_colour(pixel: Tensor, size: tuple[int, int]) -> Tensor:
    """Colours (3, h, w) of the photo of `size` (H, W) at its pixels (h, w, 2), x and y, between them too."""
    x, y = (pixel * (960 / size[1])).unbind(-1)
    wave = torch.sin(2 * torch.pi * x / PERIODS[0]) * torch.sin(2 * torch.pi * y / PERIODS[1])
    textured = (pixel[..., 1] > size[0] / 2).to(pixel)
    flat, amplitude = (pixel.new_tensor(colour)[:, None, None] for colour in (FLAT_RGB, TEXTURE_RGB))
    return flat + amplitude * wave * textured


def slope_photo(size: tuple[int, int]) -> Tensor:
    """The photo (3, H, W) of the slope."""
    return slope_colour(pixel_grid(size, torch.empty(0))[:2].movedim(0, -1), size)


def slope_view(size: tuple[int, int], K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor) -> Tensor:
    """What a camera sees of the slope, exactly.

    A source pixel x at disparity d is seen at x + f t d + c, with the focal length f, the camera's motion t and the
    shift c of the principal point; with d linear in x, this is solved for x.

    Args:
        size: (H, W) of the photo and of the view.
        K_src: (3, 3) source intrinsics in pixels of the photo.
        K_tgt: (3, 3) target intrinsics, with the source's focal length.
        T_tgt_src: (4, 4) pose, a translation along x.

    Returns:
        (3, H, W) colours; those outside the photo are continued.
    """
    seen = pixel_grid(size, torch.empty(0, dtype=torch.float64))[:2].movedim(0, -1)
    motion = (K_src[0, 0] * T_tgt_src[0, 3]).double()
    per_pixel = (RIGHT - LEFT) / size[1]
    at_first = LEFT + per_pixel / 2
    x = (seen[..., 0] - (K_tgt - K_src)[0, 2] - motion * at_first) / (1 + motion * per_pixel)
    return slope_colour(torch.stack([x, seen[..., 1]], dim=-1), size)


def errors(views: Tensor, expected: Tensor, margin: int) -> tuple[float, float, float]:
    """Errors of frames (N, 3, H, W), in levels of 255, root mean square, without `margin` pixels at the borders.

    Returns:
        The difference from what is expected; the second difference from frame to frame of that difference; and the same
        of the flat upper half alone.
    """
    wrong = 255 * (views - expected)[..., margin:-margin, margin:-margin]
    change = wrong.diff(n=2, dim=0)
    flat = change[:, :, : views.shape[-2] // 2 - 2 * margin]
    return tuple(float(x.square().mean().sqrt()) for x in (wrong, change, flat))  # type: ignore[return-value]
