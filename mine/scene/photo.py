"""Reading photos: any image file or array becomes upright sRGB in [0, 1], with its field of view if EXIF has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from PIL import Image
from torch import Tensor

from mine.errors import InputError, warn
from mine.scene.decoding.decode import Decoded, check_size, decode_file, decode_image
from mine.scene.limits import LARGEST_SIDE, MAX_SIDE
from mine.scene.resize import resize

ROUNDING = 1e-3
"""Tolerance of floats outside [0, 1]: resampling overshoots a little; other scales and NaN are refused."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo; it unpacks to its pixels and its field of view.

    Attributes:
        rgb: sRGB in [0, 1].
        fov: Horizontal field of view in degrees, None where EXIF has none.
        full_size: (H, W) in pixels of the upright photo before it was shrunk, in which its intrinsics are given.
    """

    rgb: Float32[Tensor, "3 H W"]
    fov: float | None
    full_size: tuple[int, int]

    def __iter__(self) -> Iterator[Any]:
        """The pixels and the field of view."""
        return iter((self.rgb, self.fov))


Source = str | Path | Image.Image | np.ndarray | Tensor | Photo
"""Argument of `read_photo`."""


def read_photo(source: Source, side: int | None = None) -> Photo:
    """Reads a photo.

    The EXIF orientation is applied, colours are converted to sRGB by the embedded profile, transparency is composited
    over white, 16 bits become 8, animations give their first frame. Larger photos are shrunk.

    Args:
        source: Path of a file in one of `mine.inputs.images.FORMATS` or HEIC, PIL image, array (H, W, 3) or tensor
            (3, H, W). Arrays and tensors are sRGB, uint8 or floats in [0, 1].
        side: Longest side in pixels that is kept of a photo, at most `LARGEST_SIDE`; by default `MAX_SIDE`.

    Returns:
        The photo's pixels, field of view and size before it was shrunk.

    Raises:
        InputError: The photo cannot be read, is too small or too large, or has values out of range.
    """
    side = min(side or MAX_SIDE, LARGEST_SIDE)
    if isinstance(source, (str, Path)):
        return use_decoded(decode_file(Path(source), side), side)
    if isinstance(source, Photo):
        return source
    if isinstance(source, Image.Image):
        return use_decoded(decode_image(source, "the image", side), side)
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] != 3:
            raise InputError(f"photo array has shape {source.shape}: give (H, W, 3)")
        return Photo(_to_rgb(_as_tensor(source), side), None, (source.shape[0], source.shape[1]))
    if isinstance(source, Tensor):
        if source.ndim != 3 or source.shape[0] != 3:
            raise InputError(f"photo tensor has shape {tuple(source.shape)}: give (3, H, W)")
        if source.is_meta or source.layout != torch.strided:
            raise InputError("photo tensor has no values of its own (meta), or is sparse: give an ordinary tensor")
        return Photo(_to_rgb(source.detach().cpu(), side), None, (source.shape[1], source.shape[2]))
    raise InputError(
        f"cannot read a photo from {type(source).__name__}: give a path, a PIL image, an array or a tensor"
    )


def use_decoded(decoded: Decoded, side: int) -> Photo:
    """The photo of a decoded image, for callers that decode it before they import torch.

    Args:
        decoded: The image, already shrunk to `side`. What is wrong with it is warned of.
        side: Longest side in pixels.
    """
    if decoded.warning:
        warn(decoded.warning)
    rgb = _to_rgb(torch.from_numpy(np.array(decoded.image)).movedim(2, 0), side)
    return Photo(rgb, decoded.fov, decoded.full_size)


def _as_tensor(array: np.ndarray) -> Tensor:
    """An array (H, W, 3) as a tensor (3, H, W)."""
    if array.dtype.kind not in "uif":
        raise InputError(f"photo has values of type {array.dtype}: give uint8, or floats in [0, 1]")
    # torch has no bytes in another order than the machine's, and no floats of more than 64 bits.
    native = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(native).movedim(2, 0)


def _to_rgb(values: Shaped[Tensor, "3 H W"], side: int) -> Float32[Tensor, "3 h w"]:
    """Colours in [0, 1], at most `side` pixels a side, from checked uint8 or float values."""
    check_size(values.shape[1], values.shape[2], "photo")
    if values.dtype == torch.uint8:
        rgb = values.float() / 255
    elif values.is_floating_point():
        rgb = values.float()
    else:
        raise InputError(f"photo has values of type {values.dtype}: give uint8, or floats in [0, 1]")
    low, high = rgb.aminmax()
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise InputError(f"photo has values from {low:.4g} to {high:.4g}: give uint8, or floats in [0, 1]")
    shrink = side / max(rgb.shape)
    if shrink < 1:
        rgb = resize(rgb, (round(rgb.shape[1] * shrink), round(rgb.shape[2] * shrink)))
        check_size(rgb.shape[1], rgb.shape[2], f"photo shrunk to {side} pixels")
    return rgb.clamp(0, 1).contiguous()
