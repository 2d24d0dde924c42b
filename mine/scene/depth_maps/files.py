"""The formats of depth maps: images in grey levels or floats, EXR, and NumPy's npy."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from mine.errors import InputError, extras_required
from mine.inputs.files import open_input, parsing, reason, shown, silenced
from mine.inputs.images import open_image
from mine.inputs.names import utf8_name
from mine.scene.decoding.high_bit_depth import check_deep_colour
from mine.scene.decoding.tiff import select_picture
from mine.scene.depth_maps.depth_map import Kind, check_size
from mine.scene.exif import read_exif, upright

COLOUR_TOLERANCE = 3
"""Largest difference of the channels of a grey map that was saved in colours, as JPEGs have it."""

DEPTH_CHANNELS = ("Z", "depth.Z", "depth", "Depth", "depth.V", "ViewLayer.Depth.Z")
"""Names of an EXR's channels that hold depth, by the OpenEXR specification and Blender."""

OTHER_CHANNELS = ("disparity", "Y", "V", "L", "R")
"""Names of an EXR's channels that may hold depth or disparity."""

MAX_VALUES = 1 << 28
"""Most values of all channels and parts of an EXR: 32 channels of 4K, 1 GB as floats."""

NPY_HEADER = 4096
"""Most bytes of an npy file's header: those of plain arrays have 128."""


def read_image(path: Path, name: str) -> np.ndarray:
    """Reads a map from a file that Pillow decodes: PNG, TIFF, PFM, PGM, and 8-bit images of other formats.

    Args:
        path: The file.
        name: What messages call it.

    Returns:
        (H, W) uint8, uint16, int32 or float32; float32 with NaN where the image is transparent.

    Raises:
        InputError: It is no image, damaged, too large, or in colours.
    """
    try:
        with open_image(path) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                select_picture(image, name)
            return decode_image(image, name)
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is no image, EXR or npy file: give depth or disparity in one of these") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read ({reason(error)}): save it anew as PNG, TIFF, EXR or npy") from error


def decode_image(image: Image.Image, name: str, turn: bool = True) -> np.ndarray:
    """Values of an opened image; returns and errors as for `read_image`.

    Args:
        image: The image.
        name: What messages call it.
        turn: Turn it upright by its own EXIF orientation.
    """
    check_size((image.height, image.width), name)
    if image.mode not in ("L", "I", "F", "LA", "P", "RGB", "RGBA", "1", "PA") and not image.mode.startswith("I;16"):
        raise InputError(f"{name} has values of type {image.mode}: save it in grey, of 8 or 16 bits, or as floats")
    if image.mode.startswith("RGB") and check_deep_colour(image):
        raise InputError(f"{name} has 16 bits a colour, of which 8 would be read: save it in 16-bit grey")
    words = image.format == "PPM" and image.mode == "I"  # Pillow's 32 bits for the 16 of a PGM
    with parsing(f"{name} is damaged or cut short", "copy it again"):
        image.load()
        if turn:
            image = upright(image, read_exif(image))
        alpha = None
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            alpha = np.asarray(image.getchannel("A"))
        if image.mode not in ("L", "I", "F") and not image.mode.startswith("I;16"):
            image = image.convert("RGB")
        values = np.asarray(image)
    if words:
        values = values.astype(np.uint16)
    if values.ndim == 3:
        values = _grey(values[:, :, :3], name)
    if alpha is None:
        return values
    if values.dtype == np.uint8:
        values = values / np.float32(255)
    return np.where(alpha == 0, np.float32(np.nan), values.astype(np.float32))


def _grey(values: np.ndarray, name: str) -> np.ndarray:
    """One of the three equal channels of (H, W, 3)."""
    low, high = values.min(axis=2), values.max(axis=2)
    if int((high - low).max()) > COLOUR_TOLERANCE:
        raise InputError(f"{name} is in colours, which do not tell depth: save it in grey levels")
    return np.ascontiguousarray(values[:, :, 1])


def read_npy(path: Path, name: str) -> np.ndarray:
    """Reads an array from an npy file; its type, shape and size are known before any value is read.

    Args:
        path: The file.
        name: What messages call it.

    Returns:
        (H, W) numbers; a third dimension of 1 is left out.

    Raises:
        InputError: It is damaged, or no array of numbers for each pixel.
    """
    remedy = "save an array (H, W) of numbers with numpy.save"
    with open_input(path, "depth map", remedy) as file:
        with parsing(f"{name} is not a readable npy file", remedy):
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read_header(file, max_header_size=NPY_HEADER)
            at = file.tell()
            held = file.seek(0, 2) - at
            file.seek(at)
        if dtype.kind not in "uif" or dtype.hasobject:
            raise InputError(f"{name} has values of type {shown(str(dtype))}: {remedy}")
        sides = [side for side in shape if side != 1] if len(shape) == 3 else list(shape)
        if len(sides) != 2:
            raise InputError(f"{name} has shape {shown(shape)}: {remedy}")
        check_size((sides[0], sides[1]), name)
        if held < sides[0] * sides[1] * dtype.itemsize:
            raise InputError(f"{name} is cut short: copy it again")
        with parsing(f"{name} is not a readable npy file", remedy):
            values = np.frombuffer(file.read(sides[0] * sides[1] * dtype.itemsize), dtype)
            native = values.astype(dtype.newbyteorder("=")) if values.dtype.kind != "f" else values.astype(np.float32)
    return native.reshape(sides[::-1]).T if fortran else native.reshape(sides)


def read_exr(path: Path, name: str) -> tuple[np.ndarray, Kind]:
    """Reads the channel of an EXR file that holds depth.

    Args:
        path: The file.
        name: What messages call it.

    Returns:
        (H, W) float32, and what the channel's name says of its kind.

    Raises:
        InputError: The package OpenEXR is missing, or the file is damaged or has no such channel.
    """
    with extras_required():
        import OpenEXR
    remedy = "save one part with a channel Z (depth), Y or R"
    with silenced(), parsing(f"{name} is not a readable EXR file", remedy), utf8_name(path) as file:
        headers = [part.header for part in OpenEXR.File(file, header_only=True).parts]
        sizes = [_size(header) for header in headers]
        channels = [[channel.name for channel in header["channels"]] for header in headers]
        deep = any("deep" in str(header.get("type", "")).lower() for header in headers)
    if deep:
        raise InputError(f"{name} is a deep image, with many depths a pixel: {remedy}")
    check_size(sizes[0], name)
    # OpenEXR reads all channels of all parts.
    count = sum(height * width * len(names) for (height, width), names in zip(sizes, channels, strict=True))
    if count > MAX_VALUES:
        raise InputError(f"{name} has {count} values in {len(headers)} part(s), more than {MAX_VALUES}: {remedy}")
    chosen = next((channel for channel in (*DEPTH_CHANNELS, *OTHER_CHANNELS) if channel in channels[0]), None)
    if chosen is None and len(channels[0]) == 1:
        chosen = channels[0][0]
    if chosen is None:
        raise InputError(f"{name} has the channels {shown(', '.join(channels[0]))}: {remedy}")
    remedy = "copy it again, or save it anew"
    with silenced(), parsing(f"{name} is not a readable EXR file", remedy), utf8_name(path) as file:
        part = OpenEXR.File(file, separate_channels=True)
        values = np.array(part.channels()[chosen].pixels, np.float32)
    if chosen in DEPTH_CHANNELS:
        return values, "depth"
    return values, "disparity" if chosen == "disparity" else "auto"


def _size(header: dict[str, Any]) -> tuple[int, int]:
    """(H, W) of an EXR's part."""
    (left, top), (right, bottom) = (tuple(int(side) for side in corner) for corner in header["dataWindow"])
    return max(bottom - top + 1, 0), max(right - left + 1, 0)
