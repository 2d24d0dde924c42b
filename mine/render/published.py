"""The published renderer, operation by operation: what the others must equal, and what they are measured against.

The published code warps colour, density and position of every plane, seven channels, into the target camera.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.render.reference import composite, pixel_grid, sample, source_points
from mine.render.view import View


def published_render(
    planes: Float[Tensor, "B S 4 H W"],
    disparity: Float[Tensor, "B S"],
    K_src: Float[Tensor, "B 3 3"],
    K_tgt: Float[Tensor, "B 3 3"],
    T_tgt_src: Float[Tensor, "B 4 4"],
    size: tuple[int, int],
) -> View:
    """See `mine.render.render`, without a photo's detail; batch sizes are equal."""
    plane_size = planes.shape[-2], planes.shape[-1]
    R, t = T_tgt_src[:, None, :3, :3], T_tgt_src[:, None, :3, 3:]
    points = source_points(disparity, K_src, plane_size)
    points = (R @ points.flatten(3) + t).unflatten(3, plane_size)
    pixel = _homography_pixels(disparity, K_src, K_tgt, T_tgt_src, size)
    warped = sample(torch.cat([planes, points], dim=2).flatten(0, 1), pixel.flatten(0, 1)).unflatten(0, disparity.shape)
    rgb, sigma, points = warped.split([3, 1, 3], dim=2)
    depth = points[:, :, 2]
    view, view_depth = composite(rgb, torch.where(depth > 0, sigma[:, :, 0], 0), points, depth)
    last = pixel.new_tensor([plane_size[1], plane_size[0]])
    inside = ((pixel > -1) & (pixel < last)).all(-1)
    return View(view, view_depth, inside.sum(1, keepdim=True).to(planes.dtype))


def _homography_pixels(
    disparity: Tensor, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]
) -> Float[Tensor, "B S H W 2"]:
    """Source pixel of each target pixel: the inverse of K_t (R + t nᵀ / z) K_s^-1, n = (0, 0, 1)."""
    normal = F.one_hot(torch.tensor(2, device=K_src.device), 3).to(K_src)[None]
    R, t = T_tgt_src[:, None, :3, :3], T_tgt_src[:, None, :3, 3:]
    homography = K_tgt[:, None] @ (R + t @ normal * disparity[:, :, None, None]) @ torch.linalg.inv(K_src)[:, None]
    pixel = torch.linalg.inv(homography) @ pixel_grid(size, K_tgt).flatten(1)
    return (pixel[:, :, :2] / pixel[:, :, 2:]).mT.unflatten(2, size)
