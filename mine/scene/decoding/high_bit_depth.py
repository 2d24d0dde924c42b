"""Images of more than 8 bits: grey levels are scaled; what Pillow would clip or garble is refused."""

from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from mine.errors import InputError

ROUNDING = 1e-3
"""Tolerance of floats outside [0, 1]: resampling overshoots a little; other scales are refused."""

PHOTOMETRIC, WHITE_IS_ZERO = 262, 0

BAND = 256
"""Rows converted at a time: of a large photo, floats would fill the memory."""


def check_deep_colour(image: Image.Image) -> bool:
    """Whether an image that is not decoded yet has 16 bits a colour, of which Pillow keeps the upper 8."""
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def to_8bit(image: Image.Image, name: str) -> tuple[Image.Image, str | None]:
    """Scales grey levels of up to 16 bits, or floats in [0, 1], to 8 bits: Pillow's own conversion would clip them.

    Args:
        image: Of any mode; other modes than "I", "I;16" (of either byte order) and "F" stay as they are.
        name: What messages call it.

    Returns:
        The image, of mode "L" if it was scaled, and what is guessed of its levels, if anything.

    Raises:
        InputError: Its values are out of range.
    """
    if not image.mode.startswith("I") and image.mode != "F":
        return image, None
    values = np.asarray(image)
    known = values[np.isfinite(values)] if image.mode == "F" else values
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    note, white = None, 1.0
    if image.mode == "F":
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise InputError(f"{name} has float values from {low:.4g} to {high:.4g}: scale them to [0, 1]")
    elif low < 0 or high > 65535:
        raise InputError(f"{name} has values from {low:.0f} to {high:.0f}: scale them to 16 bits, 0 to 65535")
    else:
        bits = next(bits for bits in (8, 10, 12, 16) if high < 1 << bits)
        white = (1 << bits) - 1.0
        if bits < 16 and high > 0:
            note = f"{name} holds {bits} bits a pixel in 16 bits: it is brightened to show as it was taken"
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), BAND):
        levels = values[start : start + BAND].astype(np.float64) / white * 255
        grey[start : start + BAND] = np.nan_to_num(levels).clip(0, 255).round()
    return Image.fromarray(~grey if _white_is_zero(image) else grey), note


def _white_is_zero(image: Any) -> bool:
    """Whether a TIFF counts from white to black, which Pillow undoes for 8 bits alone."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
