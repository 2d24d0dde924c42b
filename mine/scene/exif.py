"""Camera metadata in EXIF: the orientation of a photo and its horizontal field of view."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

FULL_FRAME_DIAGONAL = math.hypot(36, 24)
"""mm; "35 mm equivalent" focal lengths compare diagonals, so that they hold for 4:3 sensors too (CIPA DCG-001)."""

PHONE_FOCAL = 26.0
"""mm in 35 mm equivalent of phones' main cameras, which most photos are from: a photo without EXIF is taken for one.

Phones have had 24 to 28 mm there since 2014, and kit zooms of cameras begin at 24 to 28 mm too. A photo of 4:3 is then
67 degrees wide, 3:2 69 degrees, and an upright one of 3:4 53 degrees.
"""

_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""By the codes of EXIF's FocalPlaneResolutionUnit."""

SENSOR_SIDES = (2.0, 60.0)
"""mm; longer side of the smallest and the largest sensors of cameras: 1/7 inch, and medium format."""

FOVS = (1.0, 150.0)
"""Degrees; a lens of 2000 mm, and more than any lens that keeps lines straight: no angle is reported for fisheyes."""

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
    """EXIF of an image; empty when it is damaged, since the pixels may be intact."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif = image.getexif()
            exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # Pillow parses lazily and lets any error of its parser through
        return Image.Exif()
    return exif


def upright(image: Image.Image, exif: Image.Exif) -> Image.Image:
    """The image rotated and mirrored by its EXIF orientation."""
    method = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1))
    return image if method is None else image.transpose(method)


def is_turned(exif: Image.Exif) -> bool:
    """Whether the EXIF orientation swaps width and height."""
    return exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)


def horizontal_fov(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Horizontal field of view of the upright photo.

    The focal length in pixels comes from the 35 mm equivalent, or from focal length and sensor resolution.

    Args:
        exif: Metadata, see `read_exif`.
        size: (W, H) of the photo as stored, before the orientation is applied.

    Returns:
        Degrees, or None where EXIF has no focal length or the angle is not one of a camera.
    """
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    focal = _from_35mm(tags, size) or _from_sensor(tags, size)
    if focal is None:
        return None
    width = size[1] if is_turned(exif) else size[0]
    fov = math.degrees(2 * math.atan2(width / 2, focal))  # no division: nonsense may underflow to a focal of 0
    return fov if FOVS[0] < fov < FOVS[1] else None


def exif_of(fov: float | None, size: tuple[int, int]) -> Image.Exif:
    """EXIF data from which `horizontal_fov` reads a field of view.

    Args:
        fov: Horizontal field of view in degrees, None for none.
        size: (W, H) of the upright photo.
    """
    exif = Image.Exif()
    if fov is not None:
        focal = size[0] / 2 / math.tan(math.radians(fov) / 2)
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = round(
            focal * FULL_FRAME_DIAGONAL / math.hypot(*size)
        )
    return exif


def phone_fov(size: tuple[int, int]) -> float:
    """Horizontal field of view in degrees of a photo by a phone's main camera.

    Args:
        size: (W, H) of the upright photo.
    """
    return math.degrees(2 * math.atan(size[0] / 2 / _pixels(PHONE_FOCAL, size)))


def _pixels(equivalent: float, size: tuple[int, int]) -> float:
    """Focal length in pixels from the 35 mm equivalent in mm, of a photo of `size` (W, H)."""
    return equivalent / FULL_FRAME_DIAGONAL * math.hypot(*size)


def _from_35mm(tags: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    """Focal length in pixels from the 35 mm equivalent."""
    equivalent = _positive(tags.get(ExifTags.Base.FocalLengthIn35mmFilm))
    return equivalent and _pixels(equivalent, size)


def _from_sensor(tags: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    """Focal length in pixels from focal length and sensor resolution, which hold for the size when taken.

    Cameras whose resolution makes the sensor larger or smaller than any that is built wrote nonsense: it is ignored.
    """
    focal = _positive(tags.get(ExifTags.Base.FocalLength))
    resolution = _positive(tags.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _MM_PER_UNIT.get(tags.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    if focal is None or resolution is None or unit is None:
        return None
    sides = [_positive(tags.get(key)) for key in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)]
    # The longer sides are compared: software that turns a photo often leaves the size of the sensor's picture.
    taken = max((side for side in sides if side), default=max(size))
    if not SENSOR_SIDES[0] <= taken * unit / resolution <= SENSOR_SIDES[1]:
        return None
    return focal * resolution / unit * max(size) / taken


def _positive(value: Any) -> float | None:
    """A positive value, or None: EXIF values may be missing, rationals with denominator 0, or 0 for "unknown"."""
    try:
        converted = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return converted if math.isfinite(converted) and converted > 0 else None
