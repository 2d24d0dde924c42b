"""The web page of a scene: the viewer, built from `viewer/`, with the scene inside, in one HTML file."""

import html
import json
import shutil
import webbrowser
from importlib import resources
from pathlib import Path
from typing import Any

from mine.errors import warn
from mine.files import replacing
from mine.inputs.names import as_text
from mine.output.web.pack import pack
from mine.scene.mpi import MPI
from mine.temporary import make_folder

# The elements of viewer.html that hold the scene and the title.
SCENE_SLOT = '<script type="application/json" id="scene">'
TITLE_SLOT = "<title>MINE scene</title>"


def export_html(scene: MPI, path: str | Path) -> None:
    """Writes one self-contained HTML file that shows the scene in 3D, from disk and with no network.

    The page renders the planes in WebGL 2 by the same volume rendering as `mine.render`. How the scene is stored in it
    is documented in `mine.output.web.pack`.

    Args:
        scene: The scene.
        path: File to write; its name becomes the page's title.

    Raises:
        InputError: When the file cannot be written.
    """
    write_page(pack(scene), path)


def write_page(packed: dict[str, Any], path: str | Path) -> None:
    """Writes the page of a scene that is packed already.

    Args:
        packed: The scene, see `mine.output.web.pack`.
        path: File to write; its name becomes the page's title.

    Raises:
        InputError: When the file cannot be written.
    """
    page = viewer_page().replace(TITLE_SLOT, f"<title>{html.escape(as_text(Path(path).stem))}</title>", 1)
    page = page.replace(SCENE_SLOT, SCENE_SLOT + json.dumps(packed, separators=(",", ":"), allow_nan=False), 1)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def viewer_page() -> str:
    """The viewer without a scene: the page around it sends one, see viewer/README.md."""
    return resources.files("mine.output.web").joinpath("viewer.html").read_text(encoding="utf-8")


def view(scene: MPI | str | Path, name: str | None = None) -> Path:
    """Opens a scene in the default browser. Where there is none, a warning says so.

    Args:
        scene: The scene, or a scene file (.mpi).
        name: Title of the page; by default the file's name.

    Returns:
        The page written for it, in a temporary folder, which a later run removes after an hour.

    Raises:
        InputError: When the file is missing or holds no scene.
    """
    if not isinstance(scene, MPI):
        name, scene = name or Path(scene).stem, MPI.open(scene)
    folder = make_folder("view")
    page = folder / f"{(name or 'scene')[:60]}.html"
    try:
        export_html(scene, page)
        if not webbrowser.open(page.as_uri()):
            warn(f"no browser could be started: open {page} in one")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return page
