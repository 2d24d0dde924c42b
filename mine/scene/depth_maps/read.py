"""Reading depth maps: files of any kind that has them, arrays, and what a photo's own file holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mine.errors import InputError
from mine.inputs.files import open_input
from mine.scene.depth_maps.depth_map import DepthMap, Kind, check_options, make_depth_map
from mine.scene.depth_maps.files import decode_image, read_exr, read_image, read_npy
from mine.scene.depth_maps.portrait import read_portrait_depth

DepthSource = str | Path | Image.Image | np.ndarray | DepthMap
"""Argument of `read_depth`."""

AUTO = "auto"
"""In place of a file: the map inside of the photo."""

REMEDY = "give a PNG, TIFF, EXR, PFM or npy file of depth or disparity"


def read_depth(
    source: DepthSource,
    kind: Kind = "auto",
    inverted: bool = False,
    scale: float | None = None,
    photo: str | Path | None = None,
) -> DepthMap:
    """Reads a depth map of a photo.

    Args:
        source: A file (PNG and TIFF of 8 or 16 bits, TIFF, EXR, PFM and npy of floats, and any other image in grey),
            an image, an array (H, W), or "auto": the map that the photo's own file holds, as phones' portraits do.
        kind: Whether values grow towards the camera ("disparity") or away from it ("depth"). "auto" leaves it to the
            file, and where that does not say it, to a network that looks at the photo (`mine.Model.predict`).
        inverted: Swap the ends: the largest value becomes the least.
        scale: Metres (or 1 / metres of disparity) that a value of 1 stands for, such as 0.001 for depth in millimetres:
            the scene is then in metres. None if they are not known: the nearest surface is then at 1.
        photo: The photo's file, for "auto".

    Returns:
        The map, checked. Unknown pixels are NaN: those that the file has as NaN, as transparent, or as depth 0.

    Raises:
        InputError: The file is missing or not readable as a depth map, has no depth, or impossible values.
    """
    check_options(kind, inverted, scale)
    if isinstance(source, DepthMap):
        return _told(source, kind, inverted, scale)
    if isinstance(source, Image.Image):
        return make_depth_map(decode_image(source, "the depth map"), "the depth map", kind, inverted, scale)
    if isinstance(source, np.ndarray):
        return make_depth_map(source, "the depth map", kind, inverted, scale)
    if not isinstance(source, (str, Path)):
        raise InputError(f"cannot read depth from {type(source).__name__}: give a file, an image, or an array (H, W)")
    if str(source) == AUTO:
        if photo is None:
            raise InputError('depth "auto" is the map in a photo\'s own file: give the photo as a file')
        return _told(read_portrait_depth(Path(photo)), kind, inverted, scale)
    return _read_file(Path(source), kind, inverted, scale)


def _told(own: DepthMap, kind: Kind, inverted: bool, scale: float | None) -> DepthMap:
    """A map with what a user says of it in place of what the map, or the file that it is from, says."""
    same = (kind == "auto" or own.kind in ("auto", kind)) and scale is None
    kind, scale = own.kind if kind == "auto" else kind, own.scale if scale is None else scale
    checked = make_depth_map(own.values, own.name, kind, inverted, None if inverted else scale)
    # The map knows whether it has ends; of one that is of another kind than it says, the values tell it.
    return replace(checked, offset=own.offset) if same else checked


def _read_file(path: Path, kind: Kind, inverted: bool, scale: float | None) -> DepthMap:
    """The depth map in a file, by its first bytes."""
    with open_input(path, "depth map", REMEDY) as file:
        head = file.read(16)
    name = f"depth map {path}"
    if head.startswith(b"\x93NUMPY"):
        return make_depth_map(read_npy(path, name), name, kind, inverted, scale)
    if head.startswith(b"\x76\x2f\x31\x01"):
        values, of_file = read_exr(path, name)
        return make_depth_map(values, name, of_file if kind == "auto" else kind, inverted, scale)
    return make_depth_map(read_image(path, name), name, kind, inverted, scale)
