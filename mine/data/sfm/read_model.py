"""Reading of COLMAP's models as all systems write them: names with spaces and backslashes, byte order marks."""

from pathlib import Path

from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.model_files import NAMES
from mine.temporary import temporary_folder

MARK = b"\xef\xbb\xbf"
"""Byte order mark of UTF-8, which editors on Windows put at the beginning of text files."""

FIELDS = 10
"""Words of an image's line in images.txt; the last one, its name, may hold spaces."""


def read_model(folder: Path) -> pycolmap.Reconstruction:
    """Reads a model of COLMAP.

    Args:
        folder: With cameras, images and points3D, as .bin or .txt.

    Returns:
        The model. Names of its images are complete, with slashes.
    """
    texts = [path for name in NAMES if (path := folder / f"{name}.txt").is_file()]
    if any(map(_is_marked, texts)) and not (folder / "images.bin").is_file():
        with temporary_folder("model") as copy:
            for path in texts:
                (copy / path.name).write_bytes(path.read_bytes().removeprefix(MARK))
            return read_model(copy)
    model = pycolmap.Reconstruction(folder)
    names = {} if (folder / "images.bin").is_file() else _names(folder / "images.txt")
    for number, image in model.images.items():
        image.name = names.get(number, image.name).replace("\\", "/")
    return model


def _is_marked(path: Path) -> bool:
    """Whether a file begins with a byte order mark."""
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK


def _names(path: Path) -> dict[int, str]:
    """Names of the images in an images.txt, by number: pycolmap ends them at the first space."""
    found = {}
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        words = line.split(maxsplit=FIELDS - 1)
        if words and not words[0].startswith("#"):
            if len(words) == FIELDS:
                found[int(words[0])] = words[-1].strip()
            next(lines, None)  # the points that it sees
    return found
