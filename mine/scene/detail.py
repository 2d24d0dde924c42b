"""What a photo holds beyond a scene's planes, sampled for views of one size.

A photo that is sampled bilinearly at its own resolution loses half of its fine detail between pixels, and none on them:
it is soft, and flickers as a camera moves. Sampled more coarsely than its pixels lie, it aliases. Both are prevented
here, once for all views: the photo is shrunk to the view's resolution, then magnified by a cubic filter, so that the
bilinear samples of every renderer lie between pixels half as far apart.
"""

import math

import cv2
import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.scene.resize import resize

FINER = 2
"""Pixels of the detail for each pixel of the view, across and down: leaves 0.8 of the fine detail that 1 halves."""

MAX_PIXELS = 1 << 25
"""Most pixels of the detail, 0.5 GB to the renderer: larger views than 8 megapixels have 1 for each of their own."""

MARGIN = 1.1
"""Pixels of the photo, when shrunk, for each of the view: what the filters soften, less what then aliases."""

LEAST_SCALE = 1e-6
"""Scale below that of any planes: a view may have any focal length."""

STEPS = 8
"""Sizes for each factor of two: views that differ by less than a twentieth in scale share their detail."""


def detail_size(
    photo_size: tuple[int, int],
    plane_size: tuple[int, int],
    size: tuple[int, int],
    magnification: float,
) -> tuple[int, int]:
    """Size at which a view shows a photo: that of the photo, or smaller, but no smaller than its planes.

    Args:
        photo_size: (H, W) of the photo.
        plane_size: (H, W) of the planes.
        size: (H, W) of the view.
        magnification: Focal length of the view over that of the source camera at `size`.

    Returns:
        (H, W) in the photo's aspect.
    """
    scale = MARGIN * math.sqrt(size[0] * size[1] / (photo_size[0] * photo_size[1])) * magnification
    scale = min(1.0, max(LEAST_SCALE, scale))
    planes = max(plane_size[0] / photo_size[0], plane_size[1] / photo_size[1])
    scale = min(1.0, max(planes, 2 ** (round(math.log2(scale) * STEPS) / STEPS)))
    return max(1, round(photo_size[0] * scale)), max(1, round(photo_size[1] * scale))


def photo_detail(
    photo: Float[Tensor, "3 H W"], plane_size: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "3 h w"]:
    """The photo at `size` minus what the planes show of it.

    Args:
        photo: RGB in [0, 1].
        plane_size: (H, W) of the planes, which have the photo's colours at that size and are sampled bilinearly.
        size: (H, W) at which views show the photo, at most the photo's own.

    Returns:
        Detail of `FINER` times that size. In the middle between its pixels, which is on the view's, bilinear samples
        and planes together are exactly the photo at `size`.
    """
    at_planes = resize(photo, plane_size)
    shown = photo.float()
    if size != tuple(photo.shape[-2:]):
        shown = F.interpolate(shown[None], size, mode="bicubic", antialias=True)[0]
    detail = shown - sample(at_planes, size, "bilinear")
    if size[0] * size[1] * FINER**2 > MAX_PIXELS:
        return detail
    fine_size = (size[0] * FINER, size[1] * FINER)
    fine = sample(shown, fine_size, "bicubic")
    fine -= sample(at_planes, fine_size, "bilinear")
    # Autograd keeps what means are taken of, which changes below.
    missing = detail - sample(fine.clone() if fine.requires_grad else fine, size, "area")
    fine.view(3, size[0], FINER, size[1], FINER).add_(missing[:, :, None, :, None])
    return fine


def sample(image: Float[Tensor, "3 H W"], size: tuple[int, int], mode: str) -> Float[Tensor, "3 h w"]:
    """Samples an image at the pixels of `size` (h, w).

    OpenCV's samples are torch's to 1e-5, and take a tenth of the time on CPUs; they have no gradients.

    Args:
        image: The image.
        size: (h, w) in pixels.
        mode: "bilinear" or "bicubic", without antialiasing, or "area": means, a whole number of pixels a side.

    Returns:
        The samples.
    """
    if image.device.type != "cpu" or image.requires_grad:
        return F.interpolate(image[None], size, mode=mode)[0]
    method = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[mode]
    sampled = image.new_empty(3, *size)
    for channel, out in zip(image.detach().numpy(), sampled.numpy(), strict=True):
        cv2.resize(np.ascontiguousarray(channel), size[::-1], dst=out, interpolation=method)
    return sampled
