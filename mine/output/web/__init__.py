"""Export of scenes to other formats: a web page that shows them in 3D."""

from pathlib import Path

from mine.errors import InputError
from mine.files import check_writable
from mine.output.web.html import export_html, view
from mine.scene.mpi import MPI

__all__ = ["export", "export_html", "view"]

_WRITERS = {".html": export_html}


def export(scene: MPI, path: str | Path) -> None:
    """Writes a scene in the format that the file's extension names.

    Args:
        scene: The scene.
        path: File to write: .html, one page that shows the scene in 3D, see `export_html`.

    Raises:
        InputError: For another extension, or when the file cannot be written.
    """
    extension = Path(path).suffix.lower()
    if extension not in _WRITERS:
        raise InputError(f"cannot export to {path}: '{extension}' is no known extension, use {' or '.join(_WRITERS)}")
    check_writable(path)
    _WRITERS[extension](scene, path)
