"""Raw photos: the camera's own picture of them where they hold one that is large enough, else what LibRaw develops."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from mine.inputs.files import open_regular
from mine.inputs.headers import check_header
from mine.inputs.images import MAX_PIXELS, RawPhotoError
from mine.inputs.raw import open_raw
from mine.scene.decoding.decode import Decoded, check_size, decode_image
from mine.scene.exif import horizontal_fov, read_exif

_TURNS = {3: Image.Transpose.ROTATE_180, 5: Image.Transpose.ROTATE_90, 6: Image.Transpose.ROTATE_270}
"""By LibRaw's numbers of how a camera was held."""


def develop(path: Path, side: int, refused: RawPhotoError) -> Decoded:
    """Decodes a raw photo.

    Args:
        path: The file.
        side: Larger photos are shrunk to this longest side in pixels.
        refused: What was said when it was opened as an image.

    Raises:
        InputError: It cannot be developed, is too small or too large; or rawpy is not installed.
    """
    with open_raw(path, refused) as raw:
        sizes = raw.sizes
        check_size(sizes.height, sizes.width, str(path), MAX_PIXELS)
        longest = max(sizes.width, sizes.height)
        picture = _embedded(raw, min(side, longest // 2))
        if picture is None:
            half = longest >= 2 * side
            pixels = raw.postprocess(use_camera_wb=True, half_size=half, user_flip=0)
            picture = Image.fromarray(
                pixels[..., 0] if pixels.shape[2] == 1 else pixels
            )  # some sensors have no colours
        exif = read_exif(picture)
        exif.pop(ExifTags.Base.Orientation, None)  # LibRaw adds the raw photo's to pictures that have none
        image = decode_image(picture, str(path), side).image
    # Embedded pictures lie as the sensor does, unless their shape shows that the camera has turned them.
    turned = sizes.flip in (5, 6) and (image.width < image.height) != (sizes.width < sizes.height)
    if sizes.flip in _TURNS and not turned:
        image = image.transpose(_TURNS[sizes.flip])
    # EXIF tells the sensor's resolution in pixels of the whole photo, of which the picture may be a fraction.
    width, height = (round(side * longest / max(image.size)) for side in image.size)
    fov = horizontal_fov(exif, (width, height)) or _fov_of_tiff(path, (width, height))
    return Decoded(image, fov, None, (height, width))


def _embedded(raw: Any, least: int) -> Image.Image | None:
    """The largest picture in a raw photo, None if its longest side has less than `least` pixels."""
    import rawpy

    try:
        found = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    picture: Image.Image
    if found.format == rawpy.ThumbFormat.JPEG:
        file = io.BytesIO(found.data)
        check_header(file, MAX_PIXELS)
        picture = Image.open(file, formats=("JPEG",))
    else:
        picture = _as_image(found.data)
    return picture if max(picture.size) >= least else None


def _as_image(pixels: np.ndarray) -> Image.Image:
    """The image of an array (H, W, 3), or (H, W, 1) of a sensor without colour filters."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _fov_of_tiff(path: Path, size: tuple[int, int]) -> float | None:
    """Field of view by the EXIF data of a raw photo that is built as a TIFF, as most are.

    Args:
        path: The file.
        size: (W, H) of the upright photo.
    """
    try:
        with open_regular(path) as file:
            exif = read_exif(TiffImagePlugin.TiffImageFile(file))
    except Exception:  # Pillow's readers raise many kinds on files of another structure
        return None
    exif.pop(ExifTags.Base.Orientation, None)
    return horizontal_fov(exif, size)
