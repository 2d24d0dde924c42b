"""A scene as it travels in a web page: 8 bits per number, pictures as WebP, everything else JSON.

Density travels as q_k = σ_k Δz_k, the optical depth of a plane's interval along the planes' normal, which does not
depend on the ray: along any ray the optical depth of the interval is q_k times its length over Δz_k. The curve
u = √(q / (1 + q)) spends the 256 codes where they show: the first step is 1.5e-5, so haze is not rounded away, and
transmittance exp(-q) is off by at most 0.43% anywhere.

Colours of a source-blended scene mostly repeat the photo: c_k = T_k I + (1 - T_k) h_k with the transmittance T_k in
front of the plane. The photo I travels once and each plane carries only h_k, what was hidden, with everything that
cannot be seen filled in smoothly, so that it costs next to nothing.
"""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mine.render.reference import LAST_INTERVAL, pixel_grid, transmittance
from mine.scene.depth import depth_range
from mine.scene.images import resize
from mine.scene.mpi import MPI

LONGEST_PHOTO = 1600
"""Pixels on the photo's longer side at most: sharper than most screens show it, and half a megabyte."""

PICTURE_QUALITY = 95
HIDDEN_QUALITY = 80
"""WebP qualities: of what carries the picture, and of colours that show only at the rims of what was hidden."""

LOSSLESS_EFFORT = 50
"""What `quality` means to lossless WebP: more is slower, and above this hardly smaller."""

CLEAR = 1 / 255
"""A plane whose α is below this all around a texel does not show there."""


def pack(scene: MPI) -> dict[str, Any]:
    """The scene as a dictionary that JSON can hold; `viewer/src/scene.ts` reads it.

    size: [H, W] of the planes; aspect: width / height of the photo; disparity: S numbers; K: 9 numbers, row-major;
    near, far: depths; blended: whether the planes' colours need the photo; photo: base64 WebP, or null; planes: S times
    {colour, density}, base64 WebP (density lossless).
    """
    scene = scene.to("cpu")
    codes = encode_density(scene.sigma, scene.disparity)
    photo = None if scene.photo is None else _webp(_shrink(scene.photo), PICTURE_QUALITY)
    low = None if photo is None else resize(decode_image(photo), scene.plane_size)
    hidden, blended = hidden_colours(scene, optical_depth(codes), low)
    near, far = depth_range(scene)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # the encoder holds no interpreter lock
        colours = pool.map(lambda colour: _webp(colour, HIDDEN_QUALITY if blended else PICTURE_QUALITY), hidden)
        densities = pool.map(_webp, codes)
        planes = [{"colour": colour, "density": density} for colour, density in zip(colours, densities, strict=True)]
    return {
        "size": list(scene.plane_size),
        "aspect": scene.size[1] / scene.size[0],
        "disparity": scene.disparity.tolist(),
        "K": scene.K.flatten().tolist(),
        "near": near,
        "far": far,
        "blended": blended,
        "photo": photo,
        "planes": planes,
    }


def encode_density(sigma: Tensor, disparity: Tensor) -> Tensor:
    """8-bit codes (S, 1, H, W) of densities σ (S, 1, H, W) on planes of disparity (S,)."""
    q = sigma.float() * _intervals(disparity)
    return (256 * torch.sqrt(q / (1 + q))).round().clamp(max=255).to(torch.uint8)


def optical_depth(codes: Tensor) -> Tensor:
    """Optical depths q (S, 1, H, W) of 8-bit codes: what the viewer makes of them."""
    squared = (codes.float() / 256) ** 2
    return squared / (1 - squared)


def hidden_colours(scene: MPI, q: Tensor, low: Tensor | None) -> tuple[Tensor, bool]:
    """Colours (S, 3, H, W) to send, and whether the viewer is to blend them with `low`, the photo (3, H, W).

    q (S, 1, H, W) are the optical depths that the viewer will decode. Scenes that were not blended keep their own
    colours.
    """
    shows = (F.max_pool2d(1 - torch.exp(-q), 3, 1, 1) > CLEAR).float()
    if low is not None:
        seen = source_transmittance(q, scene.K)
        hidden = ((scene.rgb - seen * low) / (1 - seen).clamp(min=1e-3)).clamp(0, 1)
        # Next to nothing of a plane's own colour is left where it is seen almost wholly: there it is no measure.
        hidden = fill(hidden, shows * (8 * (1 - seen)).clamp(0, 1))
        error = (seen * low + (1 - seen) * hidden - scene.rgb).abs() * shows
        if error.sum() < 3 * shows.sum() / 255:
            return hidden, True
    return fill(scene.rgb, shows), False


def source_transmittance(q: Tensor, K: Tensor) -> Tensor:
    """How much of each plane the source camera sees, (S, 1, H, W), from optical depths q (S, 1, H, W).

    The ray through pixel p is longer than the planes' normal by |K⁻¹ p|, at every plane alike.
    """
    rays = torch.einsum("ij,jhw->ihw", torch.linalg.inv(K), pixel_grid((q.shape[-2], q.shape[-1]), K))
    slant = rays.square().sum(0).sqrt()
    return transmittance((q * slant)[:, 0][None])[0, :, None]


def fill(image: Tensor, weight: Tensor) -> Tensor:
    """Image (N, C, H, W) where weight (N, 1, H, W) in [0, 1] is 1, and a smooth continuation of it where it is 0.

    Pull-push: weighted averages over ever larger squares stand in for what is missing.
    """
    if min(image.shape[-2:]) < 2:
        return image
    height, width = image.shape[-2:]
    half = (height // 2, width // 2)
    coarse_weight = F.adaptive_avg_pool2d(weight, half)
    coarse = F.adaptive_avg_pool2d(image * weight, half) / coarse_weight.clamp(min=1e-6)
    around = F.interpolate(fill(coarse, (2 * coarse_weight).clamp(max=1)), (height, width), mode="bilinear")
    return weight * image + (1 - weight) * around


def decode_image(text: str) -> Tensor:
    """Image (3, H, W) in [0, 1] from base64 WebP."""
    picture = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _intervals(disparity: Tensor) -> Tensor:
    """Δz (S, 1, 1, 1) between each plane and the next."""
    intervals = torch.cat([(1 / disparity).diff(), disparity.new_tensor([LAST_INTERVAL])])
    return intervals[:, None, None, None]


def _shrink(photo: Tensor) -> Tensor:
    scale = min(1.0, LONGEST_PHOTO / max(photo.shape[-2:]))
    return resize(photo, (round(photo.shape[-2] * scale), round(photo.shape[-1] * scale)))


def _webp(image: Tensor, quality: int | None = None) -> str:
    """Image (3, H, W) in [0, 1] or codes (1, H, W) of 8 bits as base64 WebP; lossless without a quality."""
    if image.dtype != torch.uint8:
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Image.fromarray(image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
    stream = io.BytesIO()
    picture.save(stream, "WEBP", lossless=quality is None, quality=quality or LOSSLESS_EFFORT, method=4)
    return base64.b64encode(stream.getvalue()).decode()
