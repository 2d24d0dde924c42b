"""The files that a scene can be exported to, known without torch, so that mistakes are told at once."""

from numbers import Integral
from pathlib import Path

from mine.errors import InputError
from mine.files import check_name

FORMATS: dict[str, dict[str, int]] = {
    ".html": {"viewer": 0},  # one page that shows the scene in 3D, without server or network
    ".glb": {"mesh": 2048, "planes": 1024},  # a textured mesh of both surfaces, or planes with transparency
    ".ply": {"splats": 768, "points": 1024},  # 3D Gaussians in the layout of 3DGS, or coloured points
    ".spz": {"splats": 768},  # the same Gaussians, compressed
    ".zip": {"planes": 1024},  # a PNG with transparency of each plane, and a JSON file of planes and camera
    ".png": {"depth": 1920},  # disparity in 16 bits, near is bright
    ".exr": {"depth": 1920},  # depth in scene units, 32-bit floats
}
"""By ending, what files hold, the default first: each kind with its longest side in pixels unless a size is given."""


def choose_kind(path: str | Path, kind: str | None = None, size: int | None = None) -> tuple[str, int]:
    """Finds what to write to a file, and at which size.

    Args:
        path: The file.
        kind: What it is to hold; by default the first kind of its ending.
        size: Longest side in pixels; by default that of the kind.

    Returns:
        The kind, and the longest side in pixels.

    Raises:
        InputError: The ending is unknown, the file cannot hold that kind, or the size is out of range.
    """
    check_name(path)
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"cannot export to {path}: use {', '.join(FORMATS)}")
    kinds = FORMATS[ending]
    if kind not in (None, "viewer") and "viewer" in kinds:
        raise InputError(f"kind {kind} does not apply to {path}: there is one kind of page, leave it out")
    if kind is not None and kind not in kinds:
        raise InputError(f"a {ending} file cannot hold {kind!r}: choose {' or '.join(kinds)}, or another ending")
    kind = kind or next(iter(kinds))
    if size is None:
        return kind, kinds[kind]
    if kinds[kind] == 0:
        raise InputError(f"size {size} does not apply to {path}: the page has the sizes of the scene, leave it out")
    most = MAX_SIZE.get(kind, LARGEST)
    if not (isinstance(size, Integral) and 2 <= size <= most):
        raise InputError(f"size {size} is out of range for {kind}: give the longest side in pixels, 2 to {most}")
    return kind, size


PACKAGES = {".spz": "gsply", ".exr": "OpenEXR"}
"""Modules that writers need, by ending; they come with `mine[formats]`."""

LARGEST = 4096
"""Longest side in pixels that may be asked for."""

MAX_SIZE = {"splats": 2048}
"""The same of kinds whose files would be too large to open: three million Gaussians take 200 MB."""
