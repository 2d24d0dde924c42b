"""JPEGs whose last bytes are missing: nearly all of the picture is there, and viewers show it."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from mine.errors import InputError
from mine.inputs.headers import MAX_BYTES_AT_ONCE

LOST = 0.05
"""Largest part of the height that may be missing."""

BLOCK = 16
"""Rows that are decoded at once, and lost at least."""


def complete(partial: Image.Image, path: Path, side: int, told: InputError) -> Image.Image:
    """Decodes a JPEG that breaks off near its end. The rows that are missing repeat the last colour.

    Args:
        partial: The image whose decoding failed; what was decoded is in it.
        path: The file.
        side: Side in pixels down to which it may be decoded at a fraction of its size.
        told: Raised when more is missing than the end.

    Returns:
        The whole image, loaded.

    Raises:
        InputError: `told`.
    """
    if path.stat().st_size > MAX_BYTES_AT_ONCE:
        raise told
    data = path.read_bytes() + b"\xff\xd9"  # the marker of the end, at which decoders fill what is missing
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        image.draft(None, (side, side))
        image.load()
        box = partial.im.getbbox() if partial.size == image.size else None
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise told from error
    undecoded = image.height - (box[3] if box else 0)  # a decoder leaves what it has not reached 0
    filled = image.height - _last_row_with_detail(image)
    if min(undecoded, filled) > max(BLOCK, LOST * image.height):
        raise told
    return image


def _last_row_with_detail(image: Image.Image) -> int:
    """Number of rows up to the last one whose pixels are not all of one colour."""
    values = np.asarray(image)
    varied = (values != values[:, :1]).reshape(len(values), -1).any(axis=1)
    return int(np.flatnonzero(varied).max(initial=-1)) + 1
