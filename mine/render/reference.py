"""The reference renderer: homography warp, then volume rendering, differentiable, in torch operations.

Every faster backend must return what this one returns. Section and equation numbers are those of Li et al., "MINE:
Towards Continuous Depth MPI with NeRF for Novel View Synthesis", ICCV 2021.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mine.render.view import View

LAST_INTERVAL = 1e3
"""Length in scene units of the interval behind the farthest plane: whatever density is there is opaque."""

OPAQUE = 12.0
"""Optical depth σ Δz of an opaque plane: its transmittance is exp(-12), below the resolution of 16 bits."""

FAR_PIXEL = 1e9
"""Largest coordinate of a source pixel: those outside the frame are clamped to its border wherever they lie."""

TRANSMITTANCE_FLOOR = 1e-6
"""Added to each factor of the transmittance product, as the published code does, so that no gradient vanishes."""


def pixel_grid(size: tuple[int, int], like: Tensor) -> Float[Tensor, "3 H W"]:
    """Homogeneous pixel coordinates (x, y, 1) of an image of `size` (H, W), with the type and device of `like`."""
    y, x = torch.meshgrid(
        torch.arange(size[0], dtype=like.dtype, device=like.device),
        torch.arange(size[1], dtype=like.dtype, device=like.device),
        indexing="ij",
    )
    return torch.stack([x, y, torch.ones_like(x)])


def source_pixels(
    disparity: Float[Tensor, "B S"],
    K_src: Float[Tensor, "B 3 3"],
    K_tgt: Float[Tensor, "B 3 3"],
    T_tgt_src: Float[Tensor, "B 4 4"],
    size: tuple[int, int],
) -> Float[Tensor, "B S H W 2"]:
    """Source pixel in which each target pixel's ray meets each plane: the homography of eq. 6.

    The ray r = K_t^-1 p meets the plane z_src = z_k at X_tgt = λ_k r with λ_k = (z_k + (Rᵀt)_z) / (Rᵀr)_z, so that
    p_src ~ K_s Rᵀ (λ_k r - t). The 3x3 matrices are composed in double precision; pixels keep the type of K_tgt.

    Args:
        disparity: 1 / depth of the planes in the source camera.
        K_src: Source intrinsics in pixels of the planes.
        K_tgt: Target intrinsics in pixels of the target.
        T_tgt_src: Target-from-source poses.
        size: (H, W) of the target.

    Returns:
        Source pixels (x, y), inside the planes or not.
    """
    R, t = T_tgt_src[:, :3, :3].double(), T_tgt_src[:, :3, 3:].double()
    normal = R[:, :, 2:].mT  # third row of Rᵀ: the planes' normal in target coordinates
    along = (1 / disparity.double())[:, :, None, None] + (normal @ t)[:, None]
    rays = torch.linalg.inv(K_tgt.double())
    to_source = K_src.double() @ R.mT
    homography = to_source[:, None] @ (along * torch.eye(3, dtype=R.dtype, device=R.device) - (t @ normal)[:, None])
    pixel = torch.einsum("bsij,jhw->bsihw", (homography @ rays[:, None]).to(K_tgt.dtype), pixel_grid(size, K_tgt))
    # A ray in the direction of a plane meets it nowhere, or everywhere (0 / 0).
    z = pixel[:, :, 2:]
    z = torch.where(z == 0, torch.finfo(z.dtype).tiny, z)
    return (pixel[:, :, :2] / z).clamp(-FAR_PIXEL, FAR_PIXEL).movedim(2, -1)


def plane_points(
    pixel: Float[Tensor, "B S H W 2"], disparity: Float[Tensor, "B S"], K_src: Float[Tensor, "B 3 3"]
) -> Float[Tensor, "B S 3 H W"]:
    """Points z_k K_s^-1 p of the planes, in source camera coordinates, at source pixels p."""
    homogeneous = torch.cat([pixel, torch.ones_like(pixel[..., :1])], dim=-1)
    return torch.einsum("bij,bshwj->bsihw", torch.linalg.inv(K_src), homogeneous) / disparity[:, :, None, None, None]


def sample(image: Float[Tensor, "N C H W"], pixel: Float[Tensor, "N h w 2"]) -> Float[Tensor, "N C h w"]:
    """Bilinear samples of images at pixels (x, y), clamped to the border."""
    size = pixel.new_tensor([image.shape[-1], image.shape[-2]])
    return F.grid_sample(image, (2 * pixel + 1) / size - 1, padding_mode="border", align_corners=False)


def transmittance(optical_depth: Float[Tensor, "B S H W"]) -> Float[Tensor, "B S H W"]:
    """T_k = Π_{j<k} (exp(-σ_j δ_j) + 1e-6) from optical depths σδ, near to far."""
    factors = torch.exp(-optical_depth) + TRANSMITTANCE_FLOOR
    return torch.cumprod(torch.cat([torch.ones_like(factors[:, :1]), factors[:, :-1]], dim=1), dim=1)


def optical_depth(sigma: Float[Tensor, "B S H W"], points: Float[Tensor, "#B S 3 H W"]) -> Float[Tensor, "B S H W"]:
    """σδ: density times the distance from each point to the next one along the ray.

    Distances are the same in source and target coordinates. The last interval is long enough to be opaque.
    """
    step = (points[:, 1:] - points[:, :-1]).square().sum(2).sqrt()  # vector_norm is 10 times slower over this axis
    return sigma * torch.cat([step, torch.full_like(points[:, :1, 0], LAST_INTERVAL)], dim=1)


def source_points(
    disparity: Float[Tensor, "B S"], K_src: Float[Tensor, "B 3 3"], size: tuple[int, int]
) -> Float[Tensor, "B S 3 H W"]:
    """Points of every plane on the rays of the source camera's own pixels, `size` (H, W)."""
    pixel = pixel_grid(size, K_src)[:2].movedim(0, -1).expand(*disparity.shape, *size, 2)
    return plane_points(pixel, disparity, K_src)


def source_transmittance(
    sigma: Float[Tensor, "B S H W"], disparity: Float[Tensor, "B S"], K_src: Float[Tensor, "B 3 3"]
) -> Float[Tensor, "B S H W"]:
    """T_k^src: the transmittance from the source camera to each plane."""
    return transmittance(optical_depth(sigma, source_points(disparity, K_src, _size(sigma))))


def blend_source(
    planes: Float[Tensor, "B S 4 H W"],
    disparity: Float[Tensor, "B S"],
    K_src: Float[Tensor, "B 3 3"],
    image: Float[Tensor, "B 3 H W"],
) -> Float[Tensor, "B S 4 H W"]:
    """Takes the planes' colours from the source image where the source camera sees them (section 3.3).

    c_k ← T_k^src · I_src + (1 - T_k^src) · c_k. For the arguments see `mine.render.blend_source`.
    """
    visible = source_transmittance(planes[:, :, 3], disparity, K_src)[:, :, None]
    rgb = visible * image[:, None] + (1 - visible) * planes[:, :, :3]
    return torch.cat([rgb, planes[:, :, 3:]], dim=2)


def weights(sigma: Float[Tensor, "B S H W"], points: Float[Tensor, "B S 3 H W"]) -> Float[Tensor, "B S H W"]:
    """w_k = T_k (1 - exp(-σ_k δ_k)): the weight of each plane in the pixel (eq. 3 and 4)."""
    tau = optical_depth(sigma, points)
    return transmittance(tau) * (1 - torch.exp(-tau))


def composite(
    rgb: Float[Tensor, "B S 3 H W"],
    sigma: Float[Tensor, "B S H W"],
    points: Float[Tensor, "B S 3 H W"],
    depth: Float[Tensor, "B S H W"],
) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B 1 H W"]]:
    """Volume rendering (eq. 3) of samples along each ray, near to far.

    Args:
        rgb: Colours of the samples.
        sigma: Densities per scene unit.
        points: Positions in the coordinates of any one camera.
        depth: Depths of the points in the viewing camera.

    Returns:
        Colour Σ w c, and depth Σ w z / (Σ w + 1e-5).
    """
    w = weights(sigma, points)
    return (w[:, :, None] * rgb).sum(1), (w * depth).sum(1, keepdim=True) / (w.sum(1, keepdim=True) + 1e-5)


def render_source(
    planes: Float[Tensor, "B S 4 H W"], disparity: Float[Tensor, "B S"], K_src: Float[Tensor, "B 3 3"]
) -> View:
    """Renders the source view itself: `render` at the identity pose, without resampling."""
    points = source_points(disparity, K_src, _size(planes))
    rgb, depth = composite(planes[:, :, :3], planes[:, :, 3], points, points[:, :, 2])
    return View(rgb, depth, torch.full_like(depth, planes.shape[1]))


def source_depth(
    sigma: Float[Tensor, "B S H W"],
    disparity: Float[Tensor, "B S"],
    K_src: Float[Tensor, "B 3 3"],
    pixel: Int[Tensor, "B P 2"],
) -> Float[Tensor, "B P"]:
    """Depth that `render_source` renders, at some pixels (x, y) alone."""
    index = (pixel[..., 1] * sigma.shape[-1] + pixel[..., 0])[:, None].expand(-1, sigma.shape[1], -1)
    density = sigma.flatten(2).gather(2, index)[:, :, None]
    points = plane_points(pixel[:, None, None].expand(-1, sigma.shape[1], 1, -1, 2).to(sigma), disparity, K_src)
    _, depth = composite(torch.zeros_like(points), density, points, points[:, :, 2])
    return depth[:, 0, 0]


def render(
    planes: Float[Tensor, "B S 4 H W"],
    disparity: Float[Tensor, "B S"],
    K_src: Float[Tensor, "B 3 3"],
    K_tgt: Float[Tensor, "B 3 3"],
    T_tgt_src: Float[Tensor, "B 4 4"],
    size: tuple[int, int],
    detail: Float[Tensor, "B 3 Hp Wp"] | None = None,
    photo_reach: Float[Tensor, "B 1 H W"] | None = None,
) -> View:
    """See `mine.render.render`, whose arguments these are; here all batch sizes are equal."""
    pixel = source_pixels(disparity, K_src, K_tgt, T_tgt_src, size)
    warped = _sample_planes(planes, pixel)
    rgb, sigma = warped[:, :, :3], warped[:, :, 3]
    if detail is not None:
        if photo_reach is None:
            visible = source_transmittance(planes[:, :, 3], disparity, K_src)[:, :, None]
        else:
            visible = (photo_reach <= disparity[:, :, None, None]).to(planes)[:, :, None]
        rgb = rgb + _sample_planes(visible, pixel) * _sample_detail(detail, pixel, _size(planes))
    points = plane_points(_clamp(pixel, _size(planes)), disparity, K_src)
    depth = torch.einsum("bj,bsjhw->bshw", T_tgt_src[:, 2, :3], points) + T_tgt_src[:, 2, 3, None, None, None]
    rgb, view_depth = composite(rgb, torch.where(depth > 0, sigma, 0), points, depth)
    return View(rgb, view_depth, _inside(pixel, _size(planes)).sum(1, keepdim=True).to(planes.dtype))


def _size(image: Tensor) -> tuple[int, int]:
    """(H, W) of an image (..., H, W)."""
    return image.shape[-2], image.shape[-1]


def _sample_planes(planes: Float[Tensor, "B S C H W"], pixel: Float[Tensor, "B S h w 2"]) -> Tensor:
    """Samples (B, S, C, h, w) of every plane at its own pixels."""
    return sample(planes.flatten(0, 1), pixel.flatten(0, 1)).unflatten(0, planes.shape[:2])


def _sample_detail(
    detail: Float[Tensor, "B 3 Hp Wp"], pixel: Float[Tensor, "B S h w 2"], plane_size: tuple[int, int]
) -> Float[Tensor, "B S 3 h w"]:
    """Detail sampled at pixels of the planes: both images span the same frame, edge to edge."""
    scale = pixel.new_tensor([detail.shape[-1] / plane_size[1], detail.shape[-2] / plane_size[0]])
    expanded = detail[:, None].expand(-1, pixel.shape[1], -1, -1, -1).flatten(0, 1)
    return sample(expanded, ((pixel + 0.5) * scale - 0.5).flatten(0, 1)).unflatten(0, pixel.shape[:2])


def _clamp(pixel: Float[Tensor, "*batch 2"], size: tuple[int, int]) -> Float[Tensor, "*batch 2"]:
    """Pixels moved to the nearest pixel centre inside an image of `size` (H, W), as border sampling does.

    The published code clamps the planes' points together with their colours, so distances and depths follow the same
    rule: inside the frame this changes nothing, outside it continues the border.
    """
    last = pixel.new_tensor([size[1] - 1, size[0] - 1])
    return torch.minimum(pixel.clamp(min=0), last)


def _inside(pixel: Float[Tensor, "B S H W 2"], size: tuple[int, int]) -> Bool[Tensor, "B S H W"]:
    """Whether each sample lies strictly within (-1, W) x (-1, H)."""
    x, y = pixel.unbind(-1)
    return (x > -1) & (x < size[1]) & (y > -1) & (y < size[0])
