"""Where COLMAP's reconstruction lies in a capture; known without COLMAP, so that mistakes are told at once."""

import os
from difflib import get_close_matches
from pathlib import Path

from mine.errors import InputError
from mine.inputs.folders import entries, is_file
from mine.inputs.numbers import whole_number


def model_folder(folder: Path) -> Path | None:
    """Folder of the reconstruction of the capture in `folder`, None if it has none.

    Raises:
        InputError: Permissions do not let it be known.
    """
    for name in ("sparse/0", "sparse"):
        if any(is_file(folder / name / f"images.{ending}") for ending in ("bin", "txt")):
            return folder / name
    return None


def divisor(name: str) -> int | None:
    """By how much the pictures in the folder `name` are smaller than those in `images`: 2 for "images_2".

    Returns:
        None for all other names.
    """
    beginning, _, number = name.partition("_")
    return whole_number(number) or None if beginning == "images" else None


def capture_name(folder: Path, root: str | Path | None = None) -> str:
    """The name of the capture in `folder`: its path relative to `root` where it is inside, else its folder's name."""
    if root is None or folder == Path(root) or not folder.is_relative_to(root):
        return Path(os.path.abspath(folder)).name  # of "." too; unlike resolve, it keeps the name of a link
    return folder.relative_to(root).as_posix()


def captures_in(root: str | Path) -> list[Path]:
    """Folders of the captures in `root`, sorted by name, or `root` alone if it is a capture itself.

    Raises:
        InputError: There is none, or a folder cannot be read.
    """
    root = Path(root)
    if model_folder(root):
        return [root]
    found = [path for path in entries(root) if model_folder(path)] if os.path.isdir(root) else []
    if not found:
        raise InputError(f"no capture in {root}: give a folder with images/ and sparse/0 of COLMAP, or of such folders")
    return found


def _names_in(folder: Path) -> list[str]:
    """Names in a folder, as far as it can be listed."""
    try:
        return [path.name for path in entries(folder)]
    except InputError:
        return []


def check_capture_at(folder: Path) -> Path:
    """Checks that a folder is a capture.

    Args:
        folder: The folder.

    Returns:
        Folder of its reconstruction.

    Raises:
        InputError: There is no such folder, no reconstruction in it, or one that cannot be read.
    """
    model = model_folder(folder)
    if model is None and not os.path.exists(folder):
        close = get_close_matches(folder.name, _names_in(folder.parent), 1)
        hint = f"did you mean {close[0]}? Else " if close else ""
        remedy = "make one with `mine colmap`, or download the data set (docs/datasets has where)"
        raise InputError(f"no capture at {folder}: {hint}{remedy}")
    if model is None:
        raise InputError(f"{folder} has no sparse/0 with a COLMAP reconstruction: make one with `mine colmap`")
    return model
