"""Reading photos: any image file or array becomes upright sRGB in [0, 1], with its field of view if EXIF has it."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from PIL import Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from mine.errors import InputError
from mine.inputs.files import parsing, reason
from mine.inputs.images import MAX_PIXELS, open_image
from mine.scene.exif import horizontal_fov, read_exif, upright
from mine.scene.resize import resize

MIN_SIDE = 16
"""Smallest width and height in pixels: a smaller photo holds no scene."""

MAX_SIDE = 2048
"""Longest side in pixels to which larger photos are shrunk: videos show no more, and scenes stay small in memory."""

ROUNDING = 1e-3
"""Tolerance of floats outside [0, 1]: resampling overshoots a little; other scales and NaN are refused."""


class Photo(NamedTuple):
    """A decoded photo."""

    rgb: Float32[Tensor, "3 H W"]
    """sRGB in [0, 1]"""
    fov: float | None
    """Horizontal field of view in degrees, None where EXIF has none"""


Source = str | Path | Image.Image | np.ndarray | Tensor | Photo
"""Argument of `read_photo`."""


def read_photo(source: Source) -> Photo:
    """Reads a photo.

    The EXIF orientation is applied, colours are converted to sRGB by the embedded profile, transparency is composited
    over white, 16 bits become 8, animations give their first frame. Photos larger than MAX_SIDE are shrunk.

    Args:
        source: Path of a file in one of `mine.inputs.images.FORMATS` or HEIC, PIL image, array (H, W, 3) or tensor
            (3, H, W). Arrays and tensors are sRGB, uint8 or floats in [0, 1].

    Returns:
        The photo's pixels and field of view.

    Raises:
        InputError: The photo cannot be read, is too small or too large, or has values out of range.
    """
    if isinstance(source, (str, Path)):
        return _read_file(Path(source))
    if isinstance(source, Photo):
        return source
    if isinstance(source, Image.Image):
        return _read_image(source, "the image")
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] != 3:
            raise InputError(f"photo array has shape {source.shape}: give (H, W, 3)")
        return Photo(_to_rgb(_as_tensor(source)), None)
    if isinstance(source, Tensor):
        if source.ndim != 3 or source.shape[0] != 3:
            raise InputError(f"photo tensor has shape {tuple(source.shape)}: give (3, H, W)")
        return Photo(_to_rgb(source.detach().cpu()), None)
    raise InputError(
        f"cannot read a photo from {type(source).__name__}: give a path, a PIL image, an array or a tensor"
    )


def _read_file(path: Path) -> Photo:
    try:
        with open_image(path) as image:
            return _read_image(image, str(path), draft=True)
    except FileNotFoundError as error:
        raise InputError(f"no photo at {path}: check the name") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder: give the file of one photo") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not an image: give a JPEG, PNG, HEIC, AVIF, WebP, TIFF or GIF photo") from error
    except OSError as error:
        raise InputError(f"cannot read photo {path} ({reason(error)})") from error


def _read_image(image: Image.Image, name: str, draft: bool = False) -> Photo:
    """Reads an opened image once its size is checked; `draft` lets JPEGs decode at a fraction of their size."""
    _check_size(image.height, image.width, name)
    exif, size = read_exif(image), image.size
    with parsing(f"{name} is damaged or cut short", "copy it again"):
        if draft:
            image.draft(None, (MAX_SIDE, MAX_SIDE))
        image.load()
        pixels = _to_srgb(image)
        pixels.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    _check_size(pixels.height, pixels.width, f"{name} shrunk to {MAX_SIDE} pixels")
    return Photo(_to_rgb(torch.from_numpy(np.array(upright(pixels, exif))).movedim(2, 0)), horizontal_fov(exif, size))


def _to_srgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to RGB: transparency over white, colours by the embedded profile."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8bit(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    return _apply_profile(image, profile) if profile else image.convert("RGB")


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Converts colours of an embedded ICC profile to sRGB."""
    try:
        converted = ImageCms.profileToProfile(
            image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        # The profile is broken or of another colour space: image viewers ignore it as well.
        return image.convert("RGB")
    assert converted is not None  # only None when working in place
    return converted


def _to_8bit(image: Image.Image) -> Image.Image:
    """Scales grey levels of 16 bits, or floats in [0, 1], to 8 bits: Pillow's own conversion would clip them."""
    values = np.asarray(image)
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 256):  # a band at a time: of a large photo, floats would fill the memory
        band = values[start : start + 256].astype(np.float64)
        levels = band * 255 if image.mode == "F" else band / 257
        grey[start : start + 256] = np.nan_to_num(levels).clip(0, 255).round()
    return Image.fromarray(grey)


def _as_tensor(array: np.ndarray) -> Tensor:
    """An array (H, W, 3) as a tensor (3, H, W)."""
    if array.dtype.kind not in "uif":
        raise InputError(f"photo has values of type {array.dtype}: give uint8, or floats in [0, 1]")
    # torch has no bytes in another order than the machine's, and no floats of more than 64 bits.
    native = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(native).movedim(2, 0)


def _to_rgb(values: Shaped[Tensor, "3 H W"]) -> Float32[Tensor, "3 h w"]:
    """Colours in [0, 1], at most MAX_SIDE a side, from checked uint8 or float values."""
    _check_size(values.shape[1], values.shape[2], "photo")
    if values.dtype == torch.uint8:
        rgb = values.float() / 255
    elif values.is_floating_point():
        rgb = values.float()
    else:
        raise InputError(f"photo has values of type {values.dtype}: give uint8, or floats in [0, 1]")
    low, high = rgb.aminmax()
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise InputError(f"photo has values from {low:.4g} to {high:.4g}: give uint8, or floats in [0, 1]")
    shrink = MAX_SIDE / max(rgb.shape)
    if shrink < 1:
        rgb = resize(rgb, (round(rgb.shape[1] * shrink), round(rgb.shape[2] * shrink)))
        _check_size(rgb.shape[1], rgb.shape[2], f"photo shrunk to {MAX_SIDE} pixels")
    return rgb.clamp(0, 1).contiguous()


def _check_size(height: int, width: int, name: str) -> None:
    """Raises InputError for a photo that is too small or too large."""
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{name} has {width}x{height} pixels: at least {MIN_SIDE} a side are needed")
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{name} has {width}x{height} pixels, more than {MAX_PIXELS // 10**6} million: shrink it first"
        )
