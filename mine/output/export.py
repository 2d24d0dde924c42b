"""Export of a scene to the file formats of others: the ending of the file's name chooses."""

from collections.abc import Callable
from pathlib import Path

from mine.errors import extras_required
from mine.files import check_writable
from mine.output.depth_files import write_depth_exr, write_depth_png
from mine.output.formats import choose_kind
from mine.output.gltf import write_glb
from mine.output.layers_zip import write_layers_zip
from mine.output.meshes import make_meshes, make_plane_meshes
from mine.output.ply import write_points_ply
from mine.output.splats import make_gaussians, write_splats_ply, write_spz
from mine.output.surface_layers import SurfaceLayers, find_surface_layers
from mine.output.web.html import export_html
from mine.scene.mpi import MPI, check_is_scene

_Writer = Callable[[SurfaceLayers, MPI, Path], None]

_WRITERS: dict[tuple[str, str], _Writer] = {
    (".glb", "mesh"): lambda s, scene, path: write_glb(make_meshes(s), s.K, s.size, path),
    (".glb", "planes"): lambda s, scene, path: write_glb(make_plane_meshes(s, scene.disparity), s.K, s.size, path),
    (".ply", "splats"): lambda s, scene, path: write_splats_ply(make_gaussians(s), path),
    (".ply", "points"): lambda s, scene, path: write_points_ply(s, path),
    (".spz", "splats"): lambda s, scene, path: write_spz(make_gaussians(s), path),
    (".zip", "planes"): lambda s, scene, path: write_layers_zip(s, scene.disparity, path),
    (".png", "depth"): lambda s, scene, path: write_depth_png(s, path),
    (".exr", "depth"): lambda s, scene, path: write_depth_exr(s, path),
}
"""By ending and kind; the page (.html) has the scene's own sizes and stands apart."""


def export(scene: MPI, path: str | Path, kind: str | None = None, size: int | None = None) -> None:
    """Writes a scene in the format that the file's ending names.

    Args:
        scene: The scene.
        path: File to write. .html is one page that shows the scene in 3D (`mine.output.web`); .glb a glTF model of
            textured meshes (`mine.output.meshes`); .ply 3D Gaussians in the layout of 3DGS or coloured points; .spz
            Gaussians, compressed (`mine.output.splats`); .zip PNGs of the planes (`mine.output.layers_zip`); .png and
            .exr the depth (`mine.output.depth_files`).
        kind: What the file holds where there is a choice: "mesh" (the default) or "planes" for .glb, "splats" (the
            default) or "points" for .ply.
        size: Longest side in pixels of textures, planes, grids of Gaussians or points, or of the depth; the photo's at
            most. `mine.output.formats.FORMATS` has the defaults.

    Raises:
        InputError: For another ending, kind or size, when the file cannot be written, or when the format needs a
            package that is not installed.
    """
    check_is_scene(scene)
    kind, longest = choose_kind(path, kind, size)
    check_writable(path)
    ending = Path(path).suffix.lower()
    if ending == ".html":
        export_html(scene, path)
        return
    with extras_required():
        _WRITERS[ending, kind](find_surface_layers(scene, longest), scene, Path(path))
