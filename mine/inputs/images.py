"""Opening of image files: the formats that photos have, and no others."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from mine.errors import InputError
from mine.inputs import directories  # noqa: F401 (bounds what Pillow reads of TIFF and EXIF data)
from mine.inputs.files import NotRegularError, open_regular, reason
from mine.inputs.headers import check_header
from mine.inputs.kinds import is_jpeg_xl, raw_format, raw_refusal, refusal

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF")
"""Pillow's names of what is read, besides HEIC, and JPEG XL where mine[photos] is installed.

MPO, several JPEGs in one file, is JPEG's. Pillow knows more: its PostScript reader starts another program."""


MAX_PIXELS = 178_000_000
"""Files that unfold to more are refused before they are decoded. (Pillow itself stops just above this.)"""

MAX_JPEG_PIXELS = 700_000_000
"""The same for JPEGs, which are decoded at a fraction of their size; a progressive one takes 3 bytes a pixel."""


HEAD = 512
"""Bytes at the beginning of a file that tell what it is."""

DNG_VERSION = 50706
"""Tag of DNG, a raw photo built as a TIFF."""


class RawPhotoError(UnidentifiedImageError):
    """A raw photo, which is developed elsewhere (`mine.scene.decoding.raw`), with what to do where it is not."""


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Opens an image file; nothing is decoded before the block asks for it.

    Args:
        path: The file, in one of `FORMATS` or HEIC. Its name's extension does not matter.

    Yields:
        The image with its header read.

    Raises:
        UnidentifiedImageError: An OSError: the file is no image of these formats. RawPhotoError: it is a raw photo.
        OSError: The file is missing, no regular file, too large, or `check_header` refuses it. Exceptions of the block
            are OSErrors too, as Pillow's decoders raise many kinds on damaged files, except for InputErrors.
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


def unreadable(path: str | Path, error: OSError) -> InputError:
    """What is said of a photo that cannot be opened or read, with what to do about it."""
    if isinstance(error, UnidentifiedImageError):
        return InputError(str(error))
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder: give the file of one photo")
    if isinstance(error, FileNotFoundError):
        return InputError(f"no photo at {path}: check the name")
    told = f"cannot read photo {path} ({reason(error)})"
    if isinstance(error, NotRegularError):
        return InputError(f"{told}: save the photo to a file, and give the name of that")
    if error.errno is None:  # a decoder's words, or ours with the remedy
        return InputError(told)
    permission = error.errno in (errno.EACCES, errno.EPERM)
    return InputError(f"{told}: {'make it readable' if permission else 'copy it to another folder'} first")


def _open(file: BinaryIO, path: str | Path) -> Image.Image:
    """The image in a file with its header read."""
    head = file.read(HEAD)
    file.seek(0)
    suffix = Path(path).suffix
    if raw_format(head):  # Pillow would take some for TIFF, and their thumbnail for the photo
        raise RawPhotoError(f"{path} {refusal(head, suffix)}")
    check_header(file, MAX_PIXELS)
    try:
        if head[:3] == b"\xff\xd8\xff":
            # Not by Image.open, whose limit of pixels is meant for what is decoded whole.
            return _limited(JpegImagePlugin.JpegImageFile(file))
        image = Image.open(file, formats=(*FORMATS, *_plugins(head)))
    except Image.DecompressionBombError as error:
        raise OSError(f"it unfolds to more than {MAX_PIXELS // 10**6} million pixels: shrink it first") from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        kind = RawPhotoError if raw_format(head, suffix) else UnidentifiedImageError
        raise kind(f"{path} {refusal(head, suffix)}") from error
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        raw = "DNG" if DNG_VERSION in image.tag_v2 else raw_format(b"", suffix)
        if raw:
            raise RawPhotoError(f"{path} {raw_refusal(raw)}")
    return image


def _plugins(head: bytes) -> list[str]:
    """Names of further formats for a file that begins with these bytes. They are imported on use: few files need it."""
    if head[4:8] == b"ftyp" and head[8:11] != b"crx":  # (AVIF shares the container; Pillow reads it by itself.)
        from pillow_heif import register_heif_opener

        register_heif_opener()
        return ["HEIF"]
    if is_jpeg_xl(head) and find_spec("pillow_jxl"):
        import_module("pillow_jxl")
        return ["JXL"]
    return []


def _limited(image: JpegImagePlugin.JpegImageFile) -> JpegImagePlugin.JpegImageFile:
    """The JPEG, unless it is too large even to be decoded at an eighth of its size."""
    if image.width * image.height > MAX_JPEG_PIXELS:
        raise Image.DecompressionBombError
    return image
