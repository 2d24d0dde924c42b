"""The pictures of a folder, as COLMAP can read them: upright, of formats that it knows, with their EXIF data."""

import os
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from mine.data.sfm.layout import divisor
from mine.errors import InputError
from mine.inputs.folders import files_below
from mine.inputs.images import RawPhotoError, open_image
from mine.inputs.kinds import RAW_SUFFIXES
from mine.inputs.names import as_text
from mine.scene.decoding.decode import decode_file
from mine.scene.exif import exif_of, read_exif

COLMAP_FORMATS = {"JPEG", "MPO", "PNG", "TIFF", "BMP", "WEBP"}
"""Formats, by Pillow's names, that COLMAP reads by itself."""

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp", ".webp"}
SUFFIXES |= {".heic", ".heif", ".hif", ".avif", ".jxl", *RAW_SUFFIXES}
"""Endings of what is taken for a picture; those that cannot be read are named."""

MAX_SIDE = 8192
"""Longest side in pixels of pictures that are converted."""


@dataclass(frozen=True)
class Pictures:
    """Pictures for COLMAP."""

    folder: Path
    names: list[str]
    """names of the files, relative to `folder`"""
    not_read: dict[str, str]
    """why files of the given folder are left out, by their names there"""
    given: dict[str, str]
    """names in the given folder of those that have others in `folder`, by these"""


def picture_names(folder: Path) -> list[str]:
    """Names of the pictures in a folder and in those below it, with slashes, in order.

    Hidden files are passed over, such as those that macOS writes beside each file (`._0001.jpg`), and smaller copies of
    the same pictures (`images_2/` beside `images/`). Links are followed, to each folder once.

    Raises:
        InputError: A folder cannot be read.
    """
    files = files_below(folder, _is_passed_over)
    return sorted(path.relative_to(folder).as_posix() for path in files if path.suffix.lower() in SUFFIXES)


def prepare(folder: Path, names: list[str], work: Path) -> Pictures:
    """Makes pictures readable for COLMAP, which knows few formats, no names but UTF-8, and turns no picture upright.

    Args:
        folder: Folder of the pictures.
        names: Their names in it.
        work: Folder that may be filled if any has to be converted.

    Returns:
        The same folder if COLMAP can read all of it; else one in `work` with links to some, and converted others.
    """
    ready: list[str] = []
    convert: list[str] = []
    not_read: dict[str, str] = {}
    for name in names:
        try:
            (ready if _is_ready(folder / name) else convert).append(name)
        except RawPhotoError:
            convert.append(name)
        except OSError as error:
            not_read[name] = str(error)
    if not convert and all(as_text(name) == name for name in ready):
        return Pictures(folder, ready, not_read, {})
    target = work / "pictures"
    made: dict[str, str] = {}
    for name in ready:
        new = _new_name(name, Path(name).suffix, {*names, *made})
        link(folder / name, target / new)
        made[new] = name
    for name in convert:
        is_jpeg = name.lower().endswith((".jpg", ".jpeg"))
        new = _new_name(name, Path(name).suffix if is_jpeg else ".jpg", {*names, *made})
        try:
            _convert(folder / name, target / new)
            made[new] = name
        except InputError as error:
            not_read[name] = str(error)
    return Pictures(target, sorted(made), not_read, {new: name for new, name in made.items() if new != name})


def _new_name(name: str, suffix: str, taken: Container[str]) -> str:
    """The name of a picture with a suffix, in UTF-8 as COLMAP takes it; another one if that is taken."""
    new = as_text(Path(name).with_suffix(suffix).as_posix())
    if new != name and new in taken:
        new = as_text(f"{name}{suffix}")
    while new != name and new in taken:
        new = Path(new).with_name(f"_{Path(new).name}").as_posix()
    return new


def _is_passed_over(path: Path) -> bool:
    """Whether a file or folder is hidden, or holds smaller copies of the pictures beside it."""
    is_hidden = path.name.startswith(".") or path.name == "__MACOSX"
    return is_hidden or (divisor(path.name) is not None and os.path.isdir(path.with_name("images")))


def _is_ready(path: Path) -> bool:
    """Whether COLMAP reads a picture as it is. Raises OSError for what is no picture."""
    with open_image(path) as image:
        upright = read_exif(image).get(ExifTags.Base.Orientation, 1) not in range(2, 9)
        # Contents count, and the ending must not mislead COLMAP.
        return upright and image.format in COLMAP_FORMATS and image.mode in ("RGB", "L")


def _convert(path: Path, target: Path) -> None:
    """Writes a picture as an upright JPEG that keeps what EXIF says of the lens.

    Raises:
        InputError: It cannot be decoded.
    """
    decoded = decode_file(path, MAX_SIDE)
    try:
        with open_image(path) as image:
            exif = read_exif(image)
    except RawPhotoError:
        exif = exif_of(decoded.fov, decoded.image.size)
    for tag in (ExifTags.Base.Orientation, ExifTags.IFD.GPSInfo, ExifTags.IFD.Makernote):
        exif.pop(tag, None)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        decoded.image.save(target, quality=95, subsampling=0, exif=exif)
    except (OSError, ValueError, TypeError):  # EXIF data that cannot be written again
        decoded.image.save(target, quality=95, subsampling=0, exif=Image.Exif())


def link(source: Path, target: Path) -> None:
    """Links to a file, or copies it where there are no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
