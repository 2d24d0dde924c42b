"""The files that a scene can be taken away in, in words that people use."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mine import MPI, render_stereo
from mine.output.camera_paths import scene_path
from mine.output.export import export
from mine.output.formats import PACKAGES


@dataclass(frozen=True)
class Form:
    """A kind of file."""

    title: str
    ending: str
    kind: str | None = None
    """what the file holds, see `mine.output.formats`; None for a stereo picture or video"""
    layout: str = ""
    """stereo layout, see `mine.output.stereo_options`"""


FORMS: dict[str, Form] = {
    "model": Form("3D model (.glb), for Blender and game engines", ".glb", "mesh"),
    "splats": Form("Gaussian splats (.ply), for splat viewers", ".ply", "splats"),
    "spz": Form("Gaussian splats, small (.spz)", ".spz", "splats"),
    "points": Form("Coloured points (.ply)", ".ply", "points"),
    "layers": Form("Transparent layers (.zip), for After Effects", ".zip", "planes"),
    "depth16": Form("Depth in 16 bits (.png)", ".png", "depth"),
    "depth-exr": Form("Depth in floats (.exr)", ".exr", "depth"),
    "wigglegram": Form("Wigglegram (.gif): 3D without glasses", ".gif", None, "wigglegram"),
    "stereo-video": Form("Stereo video (.mp4), side by side", ".mp4", None, "half-sbs"),
    "vr180": Form("VR180 picture (.jpg), for headsets", ".jpg", None, "vr180"),
}
"""All forms by the names that the API uses."""


def available() -> dict[str, Form]:
    """The forms whose packages are installed."""
    return {
        name: form for name, form in FORMS.items() if form.ending not in PACKAGES or find_spec(PACKAGES[form.ending])
    }


def write_form(scene: MPI, name: str, out: Path) -> None:
    """Writes a scene in one of the forms.

    Args:
        scene: The scene.
        name: Name of the form.
        out: File to write, with the form's ending.
    """
    form = FORMS[name]
    if form.kind is not None:
        export(scene, out, form.kind)
        return
    path = scene_path(scene) if form.ending == ".mp4" else None
    render_stereo(scene, out, form.layout, path=path, progress=lambda done: None)
