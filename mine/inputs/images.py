"""Opening of image files: the formats that photos have, and no others."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from mine.errors import InputError
from mine.inputs.files import open_regular, reason

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF")
"""Pillow's names of what is read, besides HEIC. (MPO, several JPEGs in one file, is JPEG's.)

Pillow knows more: its PostScript reader starts another program."""


MAX_PIXELS = 178_000_000
"""Files that unfold to more are refused before they are decoded. (Pillow itself stops just above this.)"""


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Opens an image file; nothing is decoded before the block asks for it.

    Args:
        path: The file, in one of `FORMATS` or HEIC. Its name's extension does not matter.

    Yields:
        The image with its header read.

    Raises:
        UnidentifiedImageError: An OSError: the file is no image of these formats.
        OSError: The file is missing, no regular file, or too large. Exceptions of the block are OSErrors too, as
            Pillow's decoders raise many kinds on damaged files, except for InputErrors.
    """
    with open_regular(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong is told by the outcome
        with _open(file, path) as image:
            try:
                yield image
            except (OSError, InputError):
                raise
            except Exception as error:
                raise OSError(reason(error)) from error


def _open(file: BinaryIO, path: str | Path) -> Image.Image:
    """The image in a file with its header read."""
    formats: tuple[str, ...] = FORMATS
    if file.read(12)[4:8] == b"ftyp":
        # Imported on use: few files need it. (AVIF shares the container; Pillow reads it by itself.)
        from pillow_heif import register_heif_opener

        register_heif_opener()
        formats = (*FORMATS, "HEIF")
    file.seek(0)
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise OSError(f"it unfolds to more than {MAX_PIXELS // 10**6} million pixels: shrink it first") from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise UnidentifiedImageError(f"{path} is not an image of {', '.join(FORMATS)} or HEIC") from error
