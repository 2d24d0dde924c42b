"""The scene format of the web page: one JSON object, written by `pack`, decoded by `viewer/src/decode_planes.ts`.

For S planes of H x W pixels:

    size        [H, W] of the planes in pixels
    aspect      width / height of the photo
    disparity   S numbers, near to far, in 1 / scene units
    K           9 numbers, row-major: intrinsics in pixels of the planes, pixel (0, 0) at the centre of the first one
    near, far   depths in scene units that the depth view shows brightest and darkest
    nearDepth   depth of the nearest objects in scene units, by which camera paths are scaled
    blended     true: a plane's colour is c_k = T_k I + (1 - T_k) h_k (source blending); false: it is h_k
    photo       I: WebP, at most 1600 pixels a side, or null
    detailShare null, or PNG, grey, H x W: how much of the photo's detail is added, see below
    strips      images that hold what shows of the planes, near to far, for a run of planes each:
      tiles     for each plane, which of its tiles the image holds, see `mine.output.web.tiles.encode_bits`
      density   PNG, grey: one byte a pixel
      colour    h_k: WebP, RGB, 255 is 1

Every image is a base64 string. `mine.output.web.tiles` documents how tiles cover a plane and lie in an image: by
planes, then by rows. A plane has no density where it has no tile. T_k is the source camera's transmittance in front of
plane k, computed by the viewer.

A density byte b encodes q_k = σ_k Δz_k, the optical depth of the interval behind the plane along the planes' normal,
which does not depend on the ray: along a ray, the interval's optical depth is q_k times its length over Δz_k.
b = round(256 √(q / (1 + q))), at most 255, and q = u² / (1 - u²) with u = b / 256. This curve spends the 256 codes
where they show: the first step is 1.5e-5, so haze is not rounded away, and transmittance exp(-q) is off by at most
0.43%.

Scenes with a surface and a larger photo are stored as planes of up to 960 pixels a side, whose silhouettes are the
photo's (`mine.scene.view_planes`). Away from silhouettes their colours are those of the photo at half that size. The
viewer adds what I holds beyond that, times detailShare / 255, to each plane whose T_k is above 0.01. Other scenes get
what I holds beyond the planes' own size, times T_k.

Source blending makes the colours mostly repeat the photo. The photo is therefore stored once, and each plane holds only
h_k, its disoccluded colours. Pixels that no view shows are filled in smoothly, so that they compress to almost nothing.
"""

import base64
import io
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mine.output.web.tiles import arrange, encode_bits, plane_within, split_planes, take_tiles, used_tiles
from mine.render import lift_layers
from mine.render.reference import LAST_INTERVAL, pixel_grid, transmittance
from mine.scene.depth import depth_range, near_depth
from mine.scene.mpi import MPI
from mine.scene.photo_layers import photo_layers
from mine.scene.pixels import to_uint8
from mine.scene.resize import resize
from mine.scene.silhouettes import largest_within
from mine.scene.view_planes import detail_share, photo_at, place_silhouettes, subdivide

LONGEST_PHOTO = 1600
"""Longest side of the stored photo in pixels: sharper than most screens show it, and half a megabyte."""

LONGEST_PLANE = 960
"""Longest side in pixels of the planes whose silhouettes are the photo's."""

STEPS = 2
"""Their steps for each between the scene's: outlines of what leans have stairs of half the height, and pages a fifth
more bytes."""

MOST_TEXELS = 1 << 25
"""Most pixels of all these planes: on graphics cards they take six bytes each, 200 MB."""

FINE_QUALITY = 90
"""WebP quality of their colours, of which the photo's detail is no part."""

PHOTO_QUALITY = 95
DISOCCLUDED_QUALITY = 80
"""WebP qualities of the photo (or of colours that were not blended with it), and of disoccluded colours."""

WEBP_METHOD, PNG_LEVEL = 2, 6
"""Effort of both encoders: more takes twice the time and saves 3 to 10% of the bytes. Lossless WebP takes five times as
long as PNG for as many bytes."""

LEAST_DEPTH = 1 / 512**2
"""Optical depth whose code is not 0."""

MIN_ALPHA = 1 / 255
"""A plane whose α is below this in all pixels around a pixel does not show there."""


def pack(scene: MPI) -> dict[str, Any]:
    """Encodes a scene for the web page.

    Args:
        scene: The scene.

    Returns:
        A dictionary that JSON can hold, in the format that this module's docstring documents.
    """
    scene = scene.to("cpu")
    near, far = depth_range(scene)
    return {
        "aspect": scene.size[1] / scene.size[0],
        "near": near,
        "far": far,
        "nearDepth": near_depth(scene),
        **(_pack_fine(scene) or _pack_planes(scene)),
    }


def _pack_planes(scene: MPI) -> dict[str, Any]:
    """The scene's own planes, smaller where an image would not hold the tiles of one."""
    size = plane_within(scene.plane_size)
    if size != scene.plane_size:
        planes = torch.stack([resize(plane, size) for plane in scene.planes])
        scene = MPI.from_planes(planes, scene.disparity, scene.intrinsics(size), scene.photo)
    codes = encode_density(scene.sigma, scene.disparity)
    photo = None if scene.photo is None else _encode_webp(_shrink(scene.photo), PHOTO_QUALITY)
    photo_at_planes = None if photo is None else resize(decode_image(photo), scene.plane_size)
    colours, blended = plane_colours(scene, decode_density(codes), photo_at_planes)
    used = used_tiles(_with_neighbours(codes[:, 0] > 0))
    return {
        "size": list(scene.plane_size),
        "disparity": scene.disparity.tolist(),
        "K": scene.K.flatten().tolist(),
        "blended": blended,
        "photo": photo,
        "detailShare": None,
        "strips": _encode_strips(
            used, take_tiles(codes, used), take_tiles(colours, used), DISOCCLUDED_QUALITY if blended else PHOTO_QUALITY
        ),
    }


def _pack_fine(scene: MPI) -> dict[str, Any] | None:
    """Planes with the photo's silhouettes, where the scene has a surface and a photo finer than its planes."""
    if scene.photo is None:
        return None
    across = math.isqrt(MOST_TEXELS // len(subdivide(scene.disparity, STEPS)) * max(scene.size) // min(scene.size))
    layers = photo_layers(scene, min(LONGEST_PLANE, across))
    if layers is None:
        return None
    size = (layers.disparity.shape[-2], layers.disparity.shape[-1])
    with torch.no_grad():
        share = detail_share(layers.disparity)
        photo = _encode_webp(_shrink(scene.photo), PHOTO_QUALITY)
        half = resize(decode_image(photo), (size[0] // 2, size[1] // 2))
        smooth = F.interpolate(half[None], size, mode="bilinear")[0]
        layers = layers._replace(rgb=(layers.rgb + share * (smooth - photo_at(scene.photo, size))).clamp(0, 1))
        layers, disparity, shell = place_silhouettes(layers, scene.disparity, STEPS)
        planes, _ = lift_layers(layers, disparity, shell)
        intervals = _intervals(disparity)
        shown = _with_neighbours(planes[:, 3] * intervals[:, 0] > LEAST_DEPTH)
        used = used_tiles(shown)
        tiles = take_tiles(planes, used)
        codes = _encode_optical_depth(tiles[:, 3:] * intervals[used.nonzero()[:, 0]])
        colours = pull_push(tiles[:, :3], take_tiles(shown[:, None], used).float())
    return {
        "size": list(size),
        "disparity": disparity.tolist(),
        "K": scene.intrinsics(size).flatten().tolist(),
        "blended": False,
        "photo": photo,
        "detailShare": _encode_png((255 * share).round().to(torch.uint8)),
        "strips": _encode_strips(used, codes, colours, FINE_QUALITY),
    }


def _with_neighbours(shown: Tensor) -> Tensor:
    """Pixels (S, H, W) that show, and those beside them, which bilinear samples read as well."""
    return largest_within(shown.byte(), 1) > 0


def _encode_strips(used: Tensor, codes: Tensor, colours: Tensor, quality: int) -> list[dict[str, Any]]:
    """The field `strips`, from the tiles that are used (S, h, w), their density codes and colours (N, C, h, w)."""
    counts = used.sum(dim=(1, 2))

    def encode(run: tuple[int, int]) -> dict[str, Any]:
        start, end = int(counts[: run[0]].sum()), int(counts[: run[1]].sum())
        return {
            "tiles": [encode_bits(plane) for plane in used[slice(*run)]],
            "colour": _encode_webp(arrange(colours[start:end]), quality),
            "density": _encode_png(arrange(codes[start:end])),
        }

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # Pillow's encoders release the interpreter lock
        return list(pool.map(encode, split_planes(used)))


def encode_density(sigma: Tensor, disparity: Tensor) -> Tensor:
    """Encodes densities in 8 bits, see the module's docstring.

    Args:
        sigma: Densities (S, 1, H, W) in 1 / scene units.
        disparity: Disparities (S,) of the planes, near to far.

    Returns:
        Codes (S, 1, H, W), uint8.
    """
    return _encode_optical_depth(sigma.float() * _intervals(disparity))


def _encode_optical_depth(q: Tensor) -> Tensor:
    """The codes of optical depths along the planes' normal."""
    return (256 * torch.sqrt(q / (1 + q))).round().clamp(max=255).to(torch.uint8)


def decode_density(codes: Tensor) -> Tensor:
    """Decodes 8-bit density codes to optical depths, as the viewer does.

    Args:
        codes: Codes (S, 1, H, W), uint8.

    Returns:
        Optical depths q (S, 1, H, W) of the planes' intervals along their normal.
    """
    squared = (codes.float() / 256) ** 2
    return squared / (1 - squared)


def plane_colours(scene: MPI, q: Tensor, photo: Tensor | None) -> tuple[Tensor, bool]:
    """The colours to store: disoccluded colours h_k where the scene is source-blended, else the planes' own colours.

    A scene counts as source-blended when T_k I + (1 - T_k) h_k reproduces its visible colours to 1 / 255 on average.

    Args:
        scene: The scene.
        q: Optical depths (S, 1, H, W) as the viewer decodes them.
        photo: The photo (3, H, W) at the planes' resolution as the viewer decodes it, if there is one.

    Returns:
        Colours (S, 3, H, W) in [0, 1], and whether the viewer must blend them with the photo.
    """
    visible = (F.max_pool2d(1 - torch.exp(-q), 3, 1, 1) > MIN_ALPHA).float()
    if photo is not None:
        T = source_transmittance(q, scene.K)
        disoccluded = ((scene.rgb - T * photo) / (1 - T).clamp(min=1e-3)).clamp(0, 1)
        # Where T is almost 1, the division amplifies rounding errors: such pixels count little and are filled in.
        disoccluded = pull_push(disoccluded, visible * (8 * (1 - T)).clamp(0, 1))
        error = (T * photo + (1 - T) * disoccluded - scene.rgb).abs() * visible
        if error.sum() < 3 * visible.sum() / 255:
            return disoccluded, True
    return pull_push(scene.rgb, visible), False


def source_transmittance(q: Tensor, K: Tensor) -> Tensor:
    """The source camera's transmittance in front of each plane, from optical depths along the planes' normal.

    The interval between two planes is longer along the ray through pixel p than along the normal by |K⁻¹ p|.

    Args:
        q: Optical depths (S, 1, H, W).
        K: Intrinsics (3, 3) in pixels of the planes.

    Returns:
        Transmittance T_k (S, 1, H, W) in [0, 1].
    """
    rays = torch.einsum("ij,jhw->ihw", torch.linalg.inv(K), pixel_grid((q.shape[-2], q.shape[-1]), K))
    slant = rays.square().sum(0).sqrt()
    return transmittance((q * slant)[:, 0][None])[0, :, None]


def pull_push(image: Tensor, weight: Tensor) -> Tensor:
    """Fills in pixels of low weight smoothly, by the pull-push algorithm (Gortler et al. 1996, "The Lumigraph").

    Args:
        image: (N, C, H, W).
        weight: (N, 1, H, W) in [0, 1]; a pixel of weight 1 is kept, one of weight 0 is replaced.

    Returns:
        The image (N, C, H, W) with weighted averages over ever larger squares in place of what is missing.
    """
    if min(image.shape[-2:]) < 2:
        return image
    height, width = image.shape[-2:]
    half = (height // 2, width // 2)
    coarse_weight = F.adaptive_avg_pool2d(weight, half)
    coarse = F.adaptive_avg_pool2d(image * weight, half) / coarse_weight.clamp(min=1e-6)
    filled = F.interpolate(pull_push(coarse, (2 * coarse_weight).clamp(max=1)), (height, width), mode="bilinear")
    return weight * image + (1 - weight) * filled


def decode_image(text: str) -> Tensor:
    """Decodes an image, as the viewer does.

    Args:
        text: WebP or PNG as base64.

    Returns:
        RGB (3, H, W) in [0, 1].
    """
    image = Image.open(io.BytesIO(base64.b64decode(text)), formats=("WEBP", "PNG")).convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _intervals(disparity: Tensor) -> Tensor:
    """Δz (S, 1, 1, 1) between each plane and the next, in scene units; 1000 behind the last."""
    intervals = torch.cat([(1 / disparity).diff(), disparity.new_tensor([LAST_INTERVAL])])
    return intervals[:, None, None, None]


def _shrink(photo: Tensor) -> Tensor:
    """The photo (3, H, W) with at most LONGEST_PHOTO pixels a side."""
    height, width = photo.shape[-2:]
    scale = min(1.0, LONGEST_PHOTO / max(height, width))
    return resize(photo, (max(1, round(height * scale)), max(1, round(width * scale))))


def _encode_webp(image: Tensor, quality: int) -> str:
    """RGB (3, H, W) in [0, 1] as base64 WebP."""
    pixels = to_uint8(image).permute(1, 2, 0).contiguous()
    return _encode(pixels, "WEBP", quality=quality, method=WEBP_METHOD)


def _encode_png(codes: Tensor) -> str:
    """Codes (1, H, W) uint8 as base64 PNG, grey."""
    return _encode(codes[0].contiguous(), "PNG", compress_level=PNG_LEVEL)


def _encode(pixels: Tensor, kind: str, **options: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(stream, kind, **options)
    return base64.b64encode(stream.getvalue()).decode()
