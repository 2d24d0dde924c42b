"""What EXIF says of the camera: which way up the photo is, and its field of view."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

FULL_FRAME_DIAGONAL = math.hypot(36, 24)
"""mm; "35 mm equivalent" focal lengths compare diagonals, so that they hold for 4:3 sensors too (CIPA DCG-001)."""

_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_exif(image: Image.Image) -> Image.Exif:
    """EXIF of an image; empty when it is damaged, since the picture itself may be fine."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif = image.getexif()
            exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # Pillow parses lazily and lets whatever its parser met through
        return Image.Exif()
    return exif


def upright(image: Image.Image, exif: Image.Exif) -> Image.Image:
    """The image turned and mirrored as the EXIF orientation asks."""
    method = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1))
    return image if method is None else image.transpose(method)


def horizontal_fov(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Horizontal field of view in degrees of the upright photo, None when EXIF does not tell or tells nonsense.

    size: (W, H) of the photo as stored, before the orientation is applied. The focal length in pixels comes from the
    35 mm equivalent, or from the focal length and the pixels per length of the sensor.
    """
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    focal = _from_35mm(tags, size) or _from_sensor(tags, size)
    if focal is None:
        return None
    turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    width = size[1] if turned else size[0]
    fov = math.degrees(2 * math.atan(width / 2 / focal))
    return fov if 1 < fov < 170 else None


def _from_35mm(tags: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    equivalent = _positive(tags.get(ExifTags.Base.FocalLengthIn35mmFilm))
    return equivalent and equivalent / FULL_FRAME_DIAGONAL * math.hypot(*size)


def _from_sensor(tags: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    """The resolution is that of the picture when taken; EXIF keeps its width if the photo was shrunk since."""
    focal = _positive(tags.get(ExifTags.Base.FocalLength))
    resolution = _positive(tags.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _MM_PER_UNIT.get(tags.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    if focal is None or resolution is None or unit is None:
        return None
    taken = _positive(tags.get(ExifTags.Base.ExifImageWidth)) or size[0]
    return focal * resolution / unit * size[0] / taken


def _positive(value: Any) -> float | None:
    """EXIF numbers may be missing, rationals with a zero denominator, or 0 for "unknown"."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None
