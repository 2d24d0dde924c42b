"""What stereo output there is, known without torch, so that mistakes are told at once."""

import re
from numbers import Integral, Real
from pathlib import Path

from mine.errors import InputError, choose

LAYOUTS = {
    "sbs": "side by side, the left eye's view on the left",
    "half-sbs": "side by side in the size of one view, each squeezed to half its width",
    "over-under": "the left eye's view above the right one's",
    "cross-eyed": "side by side, the left eye's view on the right",
    "anaglyph": "for red-cyan glasses",
    "dubois": "for red-cyan glasses, with less ghosting",
    "wigglegram": "a quick motion between the eyes, for an animated image",
    "vr180": "half a sphere for each eye, for headsets",
    "quilt": "many views in one image, for Looking Glass displays",
}
"""Layouts by name."""

STILLS = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of still images; wigglegrams move in .webp too."""

LARGEST_EYE_DISTANCE = 10.0
"""Per cent of the width."""

DEFAULT_QUILT = (8, 6)
"""Columns and rows."""

LARGEST_QUILT = 16
"""Most columns or rows."""


def is_still(out: str | Path, layout: str) -> bool:
    """Whether a layout is written to `out` as one image."""
    return layout != "wigglegram" and Path(out).suffix.lower() in STILLS


def check_layout(out: str | Path, layout: str) -> None:
    """Checks a stereo layout and the kind of file for it.

    Raises:
        InputError: There is no such layout, or the file is not of a kind that holds it.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown stereo layout {layout!r}: {choose(layout, LAYOUTS)}")
    if layout == "quilt" and not is_still(out, layout):
        raise InputError(f"a quilt is one image, and {out} is none: use {', '.join(STILLS)}")
    if layout == "vr180" and not (is_still(out, layout) or Path(out).suffix.lower() in (".mp4", ".mov", ".m4v")):
        raise InputError(f"vr180 cannot be written to {out}: headsets read .mp4, .mov or .jpg")


def check_eye_distance(percent: float) -> None:
    """Raises InputError unless a per cent of the width is above 0 and at most `LARGEST_EYE_DISTANCE`."""
    if not (isinstance(percent, Real) and 0 < percent <= LARGEST_EYE_DISTANCE):
        raise InputError(
            f"eye distance {percent!r} is out of range: give a per cent of the width above 0, "
            f"at most {LARGEST_EYE_DISTANCE:g}; 1 to 4 are comfortable"
        )


def check_size(size: object) -> None:
    """Raises InputError unless a longest side in pixels is a whole number, at least 2, or None."""
    if size is not None and not (isinstance(size, Integral) and int(size) >= 2):
        raise InputError(f"size {size!r} is out of range: give the longest side in pixels, a whole number from 2 on")


def parse_quilt(text: str) -> tuple[int, int]:
    """Columns and rows of a quilt written as 8x6.

    Raises:
        InputError: It is not of that form, has a side of 0 or above `LARGEST_QUILT`, or only one view.
    """
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text.strip().lower())
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not _is_quilt((columns, rows)):
        raise InputError(f"quilt {text!r}: give columns x rows such as 8x6, at most {LARGEST_QUILT} each")
    return columns, rows


def check_quilt(quilt: object) -> None:
    """Raises InputError unless a quilt is (columns, rows), at most `LARGEST_QUILT` each, with more than one view."""
    if not _is_quilt(quilt):
        raise InputError(f"quilt is {quilt!r}: give (columns, rows) such as (8, 6), at most {LARGEST_QUILT} each")


def _is_quilt(quilt: object) -> bool:
    """Whether an argument is the columns and rows of a quilt."""
    if not (isinstance(quilt, (tuple, list)) and len(quilt) == 2 and all(isinstance(side, Integral) for side in quilt)):
        return False
    return all(1 <= side <= LARGEST_QUILT for side in quilt) and quilt[0] * quilt[1] > 1


def quilt_name(out: str | Path, columns: int, rows: int, aspect: float) -> Path:
    """The name with what Looking Glass tools read from it: columns, rows and aspect, as in `photo_qs8x6a0.75.png`."""
    path = Path(out)
    stem = re.sub(r"_qs\d+x\d+a[\d.]+$", "", path.stem)
    return path.with_name(f"{stem}_qs{columns}x{rows}a{aspect:.5g}{path.suffix}")
