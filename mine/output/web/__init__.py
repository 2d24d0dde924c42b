"""Scenes in other programs' formats."""

from pathlib import Path

from mine.errors import InputError
from mine.output.web.html import export_html, view
from mine.scene.mpi import MPI

__all__ = ["export", "export_html", "view"]

_WRITERS = {".html": export_html}


def export(scene: MPI, path: str | Path) -> None:
    """Writes the scene in the format that the ending of `path` names: .html, a page to drag around in.

    Raises InputError for other endings, and when the folder cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise InputError(f"cannot export to {path}: '{ending}' is no known ending, use {' or '.join(_WRITERS)}")
    _WRITERS[ending](scene, path)
