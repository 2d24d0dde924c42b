"""Decoding of image files: whatever a camera or an editor wrote becomes upright 8-bit sRGB, or is refused by name."""

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from mine.errors import InputError
from mine.inputs.files import open_regular, parsing
from mine.inputs.images import MAX_PIXELS, RawPhotoError, open_image, unreadable
from mine.scene.decoding import colour_code_points
from mine.scene.decoding.heif import restore_orientation
from mine.scene.decoding.high_bit_depth import check_deep_colour, to_8bit
from mine.scene.decoding.tiff import select_picture
from mine.scene.decoding.truncated_jpeg import complete
from mine.scene.exif import horizontal_fov, is_turned, read_exif, upright

MIN_SIDE = 16
"""Smallest width and height in pixels: a smaller photo holds no scene."""

HEAD = 1 << 20
"""Bytes at the beginning of a file that are searched for colour codes and orientations."""


class Decoded(NamedTuple):
    """A decoded image."""

    image: Image.Image
    """RGB, sRGB, upright"""
    fov: float | None
    """horizontal field of view in degrees, None where EXIF has none"""
    warning: str | None
    """what is wrong with the file although it is used"""
    full_size: tuple[int, int]
    """(H, W) of the upright image before it was shrunk"""


def decode_file(path: Path, side: int) -> Decoded:
    """Decodes an image file.

    Args:
        path: File in one of `mine.inputs.images.FORMATS`, or HEIC; with mine[photos] also JPEG XL, or a raw photo.
        side: Larger images are shrunk to this longest side in pixels.

    Raises:
        InputError: It cannot be read, or is too small or too large.
    """
    try:
        with open_image(path) as image:
            if image.format == "HEIF":
                restore_orientation(image, _head(path))
            return decode_image(image, str(path), side, path, _colour_codes(image, path))
    except RawPhotoError as refused:
        from mine.scene.decoding.raw import develop  # imported on use: few photos are raw, and it needs this module

        return develop(path, side, refused)
    except OSError as error:
        raise unreadable(path, error) from error


def decode_image(
    image: Image.Image,
    name: str,
    side: int,
    path: Path | None = None,
    codes: colour_code_points.ColourCodes | None = None,
) -> Decoded:
    """Decodes an opened image.

    Args:
        image: The image; it stays as it is where it has no file.
        name: What messages call it.
        side: Larger images are shrunk to this longest side in pixels.
        path: Its file, if it may be decoded at a fraction of its size.
        codes: What its colours mean, in place of its ICC profile.

    Raises:
        InputError: It is damaged, too small, too large or of a kind whose colours are not known.
    """
    warning = None
    if path and isinstance(image, TiffImagePlugin.TiffImageFile):
        select_picture(image, name)
    size = image.size
    check_size(size[1], size[0], name, MAX_PIXELS if path is None else None)
    shrink = min(1.0, side / max(size))  # told here, since narrow images of many pixels take long to decode
    check_size(math.ceil(size[1] * shrink), math.ceil(size[0] * shrink), f"{name} shrunk to {side} pixels")
    exif = read_exif(image)  # which decodes a PNG whose EXIF data may lie at its end
    try:
        with parsing(f"{name} is damaged or cut short", "copy it again"):
            if path:
                image.draft(None, (side, side))
            check_size(image.height, image.width, name)
            deep = check_deep_colour(image)
            image.load()
    except InputError as error:
        if path is None or image.format != "JPEG" or not isinstance(error.__cause__, OSError):
            raise
        image = complete(image, path, side, error)
        warning = f"{name} breaks off before its end: its last rows may be missing; copy it again if you can"
    with parsing(f"{name} is damaged or cut short", "copy it again"):
        pixels, note = _to_srgb(image, deep, name, None if codes else image.info.get("icc_profile"))
        pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
        if codes and not colour_code_points.is_srgb(codes):
            pixels = Image.fromarray(colour_code_points.to_srgb(np.asarray(pixels), codes))
    check_size(pixels.height, pixels.width, f"{name} shrunk to {side} pixels")
    full_size = size if is_turned(exif) else size[::-1]
    return Decoded(upright(pixels, exif), horizontal_fov(exif, size), warning or note, full_size)


def check_size(height: int, width: int, name: str, most: int | None = MAX_PIXELS) -> None:
    """Raises InputError for an image that is too small, or has more than `most` pixels."""
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{name} has {width}x{height} pixels: at least {MIN_SIDE} a side are needed")
    if most and height * width > most:
        raise InputError(f"{name} has {width}x{height} pixels, more than {most // 10**6} million: shrink it first")


def _colour_codes(image: Image.Image, path: Path) -> colour_code_points.ColourCodes | None:
    """The colour codes of an image file, None where it has none, or an ICC profile that counts more.

    In PNG, code points count more than a profile (PNG, third edition, section 4.3), if they are known.
    """
    profile, nclx = image.info.get("icc_profile"), image.info.get("nclx_profile")
    if profile and image.format != "PNG":
        return None
    if nclx:
        return colour_code_points.ColourCodes(int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]))
    if image.format not in ("PNG", "AVIF"):
        return None
    head = _head(path)
    if image.format != "PNG":
        return colour_code_points.box_codes(head)
    codes = colour_code_points.png_codes(head)
    return None if codes and profile and not colour_code_points.is_known(codes) else codes


def _head(path: Path) -> bytes:
    """The first bytes of a file."""
    with open_regular(path) as file:
        return file.read(HEAD)


def _to_srgb(image: Image.Image, deep: bool, name: str, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """The image as RGB, transparency over white, colours by an ICC profile; and what had to be guessed."""
    image, note = to_8bit(image, name)
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    alpha = image.convert("RGBA").getchannel("A") if transparent else None
    if image.mode == "LAB":
        image = _apply_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    elif image.mode in ("LA", "La"):
        image = image.convert("LA").getchannel("L")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = (image.convert("RGBA") if transparent else image).convert("RGB")
    if deep and image.mode == "RGB" and max(high for _, high in image.getextrema()) <= 15:  # type: ignore[misc]
        raise InputError(
            f"{name} holds at most 12 bits a colour in 16 bits: scale its values up, or save it with 8 bits"
        )
    embedded = _embedded(profile) if profile else None
    rgb = _apply_profile(image, embedded) if embedded else image.convert("RGB")
    if alpha is None:
        return rgb, note
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha), note


def _apply_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Converts colours of an ICC profile to sRGB."""
    try:
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        # The profile is of another colour space: image viewers ignore it as well.
        return image.convert("RGB")
    assert converted is not None  # only None when working in place
    return converted


def _embedded(profile: bytes) -> ImageCms.ImageCmsProfile | None:
    """A profile, or None where it is broken: image viewers ignore it as well."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError):
        return None
