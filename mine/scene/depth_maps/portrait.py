"""The depth map in a photo's own file, as phones write it beside portraits.

- HEIC: an auxiliary image, which libheif reads, with the ends of its range.
- JPEG by Apple: a further picture of the file (CIPA DC-007, Multi-Picture Format), whose XMP says what its values mean.
- JPEG by Android phones: Google's GDepth (base64 in the extended XMP), or Dynamic Depth (a picture behind the photo).
"""

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin, MpoImagePlugin

from mine.errors import InputError
from mine.inputs.files import open_input, open_regular, parsing
from mine.inputs.headers import check_header, check_jpeg
from mine.inputs.images import MAX_PIXELS, RawPhotoError, open_image, unreadable
from mine.inputs.numbers import whole_number
from mine.scene.decoding.decode import HEAD
from mine.scene.decoding.heif import restore_orientation
from mine.scene.depth_maps.depth_map import NORMALISED_RANGE, DepthMap, Kind, check_size
from mine.scene.depth_maps.files import decode_image
from mine.scene.depth_maps.xmp import Properties, extended_xmp, read_xmp
from mine.scene.exif import is_turned, read_exif, upright

APPLE = "http://ns.apple.com/pixeldatainfo/1.0/"
APPLE_DEPTH = "http://ns.apple.com/depthData/1.0/"
GDEPTH = "http://ns.google.com/photos/1.0/depthmap/"
DYNAMIC_DEPTH = "http://ns.google.com/photos/dd/1.0/depthmap/"
CONTAINER_ITEM = ("http://ns.google.com/photos/1.0/container/item/", "http://ns.google.com/photos/dd/1.0/item/")

MP_ENTRIES = 0xB002
"""Tag of where a Multi-Picture file's pictures lie."""

MOST_PICTURES = 16
"""Pictures of a file that are looked at: phones write up to six."""

MAX_BYTES = 1 << 28
"""Most bytes of a JPEG whose auxiliary images are looked for."""

REMEDY = "give the original file of a portrait, or a depth map's"


def read_portrait_depth(path: Path) -> DepthMap:
    """Reads the depth map in a photo's own file.

    Args:
        path: A HEIC or JPEG photo.

    Returns:
        The map, upright like the photo, its kind known; its scale too where the phone measured it.

    Raises:
        InputError: There is none, or it is damaged.
    """
    name = f"the depth map in {path}"
    with open_input(path, "photo", "check the name") as file:
        head = file.read(16)
    if head[:3] == b"\xff\xd8\xff":
        found = _of_jpeg(path, name)
    elif head[4:8] == b"ftyp":
        found = _of_heic(path, name)
    else:
        found = None
    if found is None:
        raise InputError(f"{path} holds no depth map, as phones' portraits do: {REMEDY}")
    return found


def _of_heic(path: Path, name: str) -> DepthMap | None:
    """The depth image of a HEIC file; libheif turns it upright as it does the photo, except by EXIF alone."""
    try:
        with open_image(path) as image:
            depth_images = image.info.get("depth_images") or []
            if not depth_images:
                return None
            check_size(depth_images[0].size[::-1], name)
            with parsing(f"{name} is damaged", REMEDY):
                depth_image = depth_images[0].to_pillow()
            metadata = depth_images[0].info.get("metadata") or {}
            with open_regular(path) as file:
                restore_orientation(image, file.read(HEAD))
            return _upright(heic_depth(decode_image(depth_image, name, turn=False), metadata, name), image)
    except RawPhotoError:  # Canon's have the same container
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def heic_depth(levels: np.ndarray, metadata: dict[str, Any], name: str) -> DepthMap:
    """The map of a HEIC's depth image.

    Args:
        levels: (H, W) whole numbers.
        metadata: `z_near`, `z_far`, `d_min`, `d_max` and `representation_type` of its depth representation
            (ITU-T H.265, annex G.14.2.3), where the file has them. Levels are at even steps of 1 / z if the type is 0,
            of disparity if it is 1, and of z if it is 2.
        name: What messages call it.
    """
    share, kind = _shares(levels), metadata.get("representation_type")
    depths, disparities = (_ends(metadata, *names) for names in (("z_near", "z_far"), ("d_min", "d_max")))
    if kind == 2:
        if depths is None or depths[0] <= 0:
            return _normalised(_between(share, (1.0, 0.0), "depth", None, name))
        return _between(share, depths[::-1], "depth", None, name)
    if depths is not None and depths[0] > 0 and (kind == 0 or disparities is None):
        return _between(share, (1 / depths[1], 1 / depths[0]), "disparity", None, name)
    return _between(share, disparities or (0.0, 1.0), "disparity", None, name)


def _ends(metadata: dict[str, Any], least: str, most: str) -> tuple[float, float] | None:
    """The ends of a range in a HEIC's metadata; None where they are not both there, in this order."""
    low, high = metadata.get(least), metadata.get(most)
    return (float(low), float(high)) if low is not None and high is not None and low < high else None


def _of_jpeg(path: Path, name: str) -> DepthMap | None:
    """The map of a JPEG: Apple's, or one of Google's two."""
    with open_regular(path) as file:
        try:
            check_header(file, MAX_PIXELS)
        except OSError as error:
            raise InputError(f"cannot read photo {path}: {error}") from error
        with parsing(f"cannot read photo {path}", "copy it again"):
            photo = JpegImagePlugin.JpegImageFile(file)
        found = _of_apple(file, photo, name) if "mp" in photo.info else None
        if found is None:
            found = _of_google(path, photo, name)
        return None if found is None else _upright(found, photo)


def _upright(depth_map: DepthMap, photo: Image.Image) -> DepthMap:
    """A map that is turned by EXIF as its photo is, unless its shape is that of the upright photo already."""
    exif, (height, width) = read_exif(photo), depth_map.size
    if is_turned(exif) and (width - height) * (photo.width - photo.height) < 0:
        return depth_map
    return replace(depth_map, values=np.array(upright(Image.fromarray(depth_map.values), exif), np.float32))


def _of_apple(file: Any, photo: Any, name: str) -> DepthMap | None:
    """The first picture of a Multi-Picture file whose XMP says that it is depth or disparity."""
    with parsing(f"the pictures beside {name.removeprefix('the depth map in ')} are damaged", REMEDY):
        pictures = MpoImagePlugin.MpoImageFile(file)
        entries = (pictures.mpinfo or {})[MP_ENTRIES]
    for number in range(1, min(len(entries), MOST_PICTURES)):
        try:
            check_jpeg(file, photo.info["mpoffset"] + entries[number]["DataOffset"])
            pictures.seek(number)
        except Exception:  # Pillow lets through whatever its parser meets; the next picture may be whole
            continue
        properties = read_xmp(pictures.info.get("xmp", b""))
        kind = properties.get((APPLE, "AuxiliaryImageType"))
        if kind not in ("disparity", "depth") or (APPLE, "AuxiliaryImageSubType") in properties:
            continue
        return apple_depth(decode_image(pictures, name, turn=False), properties, name)
    return None


def apple_depth(levels: np.ndarray, properties: Properties, name: str) -> DepthMap:
    """The map of an auxiliary picture by Apple: levels from IntMin to IntMax stand for floats, 1 / metres or metres."""
    kind: Kind = "depth" if properties.get((APPLE, "AuxiliaryImageType")) == "depth" else "disparity"
    ends = [properties.number((APPLE, key)) for key in ("FloatMinValue", "FloatMaxValue", "IntMinValue", "IntMaxValue")]
    low, high, first, last = ends
    share = _shares(levels)
    if first is not None and last is not None and last > first:
        share = np.clip((levels.astype(np.float32) - np.float32(first)) / np.float32(last - first), 0, 1)
    known = low is not None and high is not None and high > low
    absolute = known and properties.get((APPLE_DEPTH, "Accuracy")) == "absolute" and (low or 0) >= 0
    if not known:
        return _normalised(_between(share, (0.0, 1.0), kind, None, name))
    return _between(share, (low, high), kind, 1.0 if absolute else None, name)  # type: ignore[arg-type]


def _of_google(path: Path, photo: Any, name: str) -> DepthMap | None:
    """The map of GDepth or of Dynamic Depth."""
    with parsing(f"the metadata of {path} are damaged", REMEDY):
        properties = read_xmp(photo.info.get("xmp", b""))
        properties.update(read_xmp(extended_xmp(photo.applist)))
    if data := properties.get((GDEPTH, "Data")):
        with parsing(f"{name} is damaged", REMEDY):
            encoded = base64.b64decode(data)
        return _google_picture(encoded, properties, GDEPTH, name)
    if (DYNAMIC_DEPTH, "Format") in properties or (DYNAMIC_DEPTH, "DepthURI") in properties:
        behind = _behind(path, properties)
        return None if behind is None else _google_picture(behind, properties, DYNAMIC_DEPTH, name)
    return None


def _behind(path: Path, properties: Properties) -> bytes | None:
    """The depth picture among those that follow a JPEG, by the lengths that its container lists."""
    items = next((found for space in CONTAINER_ITEM if (found := properties.rows(space))), [])
    chosen = [
        at for at, item in enumerate(items) if "depth" in (item.get("Semantic") or item.get("DataURI", "")).lower()
    ]
    if not chosen:
        return None
    lengths = [whole_number(item.get("Length", "")) or 0 for item in items]
    from_end = sum(lengths[chosen[0] :])
    with open_input(path, "photo", REMEDY, MAX_BYTES) as file:
        data = file.read()
    if not 0 < lengths[chosen[0]] <= from_end < len(data):
        raise InputError(f"{path} lists a depth map of {lengths[chosen[0]]} bytes that it lacks: {REMEDY}")
    start = len(data) - from_end
    return data[start : start + lengths[chosen[0]]]


def _google_picture(encoded: bytes, properties: Properties, space: str, name: str) -> DepthMap:
    """The map of a JPEG or PNG whose levels reach from Near to Far (Google's depth map metadata)."""
    with parsing(f"{name} is damaged", REMEDY):
        file = io.BytesIO(encoded)
        check_header(file, MAX_PIXELS)
        picture = Image.open(file, formats=("JPEG", "PNG"))
    share = _shares(decode_image(picture, name, turn=False))
    near, far = (properties.number((space, key)) for key in ("Near", "Far"))
    metric = 1.0 if (properties.get((space, "Units")) or "").lower() in ("m", "meters", "metres") else None
    if near is None or far is None or not 0 < near < far:
        near, far, metric = 1.0, 32.0, None
    if properties.get((space, "Format")) == "RangeLinear":
        return _between(share, (near, far), "depth", metric, name)
    # RangeInverse: levels are at even steps of disparity, 0 for the nearest.
    return _between(share, (1 / near, 1 / far), "disparity", metric, name)


def _shares(levels: np.ndarray) -> np.ndarray:
    """Levels as floats in [0, 1] of their type's range."""
    if levels.dtype.kind == "f":
        return levels.astype(np.float32)
    return (levels / float(np.iinfo(levels.dtype).max)).astype(np.float32)


def _between(share: np.ndarray, ends: tuple[float, float], kind: Kind, scale: float | None, name: str) -> DepthMap:
    """The map whose values are `ends[0]` at a share of 0 and `ends[1]` at 1."""
    values = (ends[0] + (ends[1] - ends[0]) * share.astype(np.float64)).astype(np.float32)
    return DepthMap(values, kind, scale, name=name)


def _normalised(depth_map: DepthMap) -> DepthMap:
    """The map, whose ends at 0 and 1 are not known, with an offset as `make_depth_map` gives it if it is of depth."""
    return replace(depth_map, offset=1 / (NORMALISED_RANGE - 1)) if depth_map.kind == "depth" else depth_map
