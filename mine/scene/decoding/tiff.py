"""TIFF files: which of their pictures is the photo, and which kinds cannot be read."""

from PIL import TiffImagePlugin

from mine.errors import InputError
from mine.inputs.images import RawPhotoError
from mine.inputs.kinds import raw_refusal

SUBFILE_TYPE, BITS, PHOTOMETRIC, PLANAR = 254, 258, 262, 284
"""Tags of TIFF 6.0."""

REDUCED = 1
"""Bit of the subfile type of a thumbnail."""

SENSOR = (32803, 34892)
"""Photometric interpretations of a sensor's values."""

MOST_PICTURES = 16
"""Pictures of a file that are looked at."""


def select_picture(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Moves to the first picture that is no thumbnail.

    Args:
        image: The opened file; nothing is decoded.
        name: What messages call it.

    Raises:
        InputError: Its samples lie in planes of more than 8 bits, which Pillow decodes wrongly.
        RawPhotoError: It holds no other picture than thumbnails.
    """
    for number in range(MOST_PICTURES):
        try:
            image.seek(number)
        except EOFError:
            break
        tags = image.tag_v2
        if tags.get(PHOTOMETRIC) not in SENSOR and not int(tags.get(SUBFILE_TYPE, 0)) & REDUCED:
            _check_planes(image, name)
            return
    raise RawPhotoError(f"{name} {raw_refusal('it holds a thumbnail alone')}")


def _check_planes(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Raises InputError for separate planes of more than 8 bits."""
    bits = image.tag_v2.get(BITS, (1,))
    if image.tag_v2.get(PLANAR) == 2 and len(bits) > 1 and max(bits) > 8:
        raise InputError(f"{name} keeps its colours in separate planes of {max(bits)} bits: save it interleaved")
