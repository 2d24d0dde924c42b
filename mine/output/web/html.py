"""One HTML file that shows a scene in any browser, from disk, with no network."""

import html
import json
import tempfile
import webbrowser
from importlib import resources
from pathlib import Path

from mine.files import replacing
from mine.output.web.pack import pack
from mine.scene.mpi import MPI

SCENE_SLOT = '<script type="application/json" id="scene">'
TITLE_SLOT = "<title>MINE scene</title>"


def export_html(scene: MPI, path: str | Path) -> None:
    """Writes the scene and the viewer (built from viewer) as one self-contained HTML file.

    The page renders the planes themselves by the volume rendering of `mine.render`, on WebGL 2.
    Raises InputError when the folder cannot be written.
    """
    viewer = resources.files("mine.output.web").joinpath("viewer.html").read_text(encoding="utf-8")
    page = viewer.replace(TITLE_SLOT, f"<title>{html.escape(Path(path).stem)}</title>", 1)
    page = page.replace(SCENE_SLOT, SCENE_SLOT + json.dumps(pack(scene), separators=(",", ":")), 1)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def view(scene_path: str | Path) -> Path:
    """Opens a scene file in the default browser; returns the page written for it, in a temporary folder.

    Raises InputError for a file that is missing or not a scene.
    """
    page = Path(tempfile.mkdtemp(prefix="mine-")) / f"{Path(scene_path).stem}.html"
    export_html(MPI.open(scene_path), page)
    webbrowser.open(page.as_uri())
    return page
