"""HEIF files that are turned by EXIF alone, as some cameras write them."""

from PIL import ExifTags, Image

BRANDS = 256
"""Bytes at the beginning of a file in which it names the specifications that it follows."""


def restore_orientation(image: Image.Image, head: bytes) -> None:
    """Puts back the EXIF orientation that pillow_heif has taken away, where it is the only one that a file has.

    HEIF turns pictures by properties ("irot", "imir"), and its profile MIAF has readers ignore EXIF. Files of neither
    are turned by EXIF, as by macOS.

    Args:
        image: The opened file.
        head: Its first bytes, with the properties of its pictures.
    """
    orientation = image.info.get("original_orientation")
    ignored = b"miaf" in head[:BRANDS] or b"irot" in head or b"imir" in head
    if orientation in range(2, 9) and not ignored:
        image.getexif()[ExifTags.Base.Orientation] = orientation
