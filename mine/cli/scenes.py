"""The commands on one scene: render, predict, export and view.

Docstrings are the options' help. Everything heavy is imported inside the functions, so that help and mistakes in
arguments are reported at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from mine.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mine.output.camera_paths import CameraPath
    from mine.scene.mpi import MPI

Output = Annotated[Path, arg(aliases=["-o"])]


def render(
    photo: Positional[Path],
    output: Output = Path("out.mp4"),
    path: str = "swing",
    frames: int | None = None,
    fps: float = 30,
    amount: float = 1.0,
    depth: bool = True,
    size: int | None = None,
    planes: int = 32,
    fov: float | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Renders a camera path through a scene, and its depth, to video files.

    Args:
        photo: The photo, or a scene file (.mpi) written by `mine predict`.
        output: Video to write (.mp4, .m4v, .mov, .gif or .webp); a name without extension makes a folder of PNGs.
        path: Camera path: swing, zoom, circle, orbit, spiral, dolly-zoom, line or wiggle; or a JSON file of key
            poses, such as path.json.
        frames: Number of frames. By default 90, or 30 for wiggle; for a JSON file, what the file says.
        fps: Frames per second.
        amount: How far the camera moves, as a factor: 2 moves it twice as far as the default does.
        depth: Write the depth as a second video too, named like the first with -depth: out-depth.mp4. Near is bright.
        size: Longest side of the video in pixels. By default the photo's, at most 1920, or 480 for a GIF.
        planes: Number of planes of the scene. More planes make finer depth and take longer.
        fov: Horizontal field of view of the photo in degrees. By default from its EXIF data, else 90.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth). By default the shipped ones.
    """
    from mine.output.video import default_size, render_video
    from mine.output.writers import check_output

    check_output(output, (2, 2), fps)
    _check_path(path)
    if size is not None and size < 2:
        raise InputError(f"size {size} is too small: give the longest side of the video in pixels")
    scene = _scene(photo, planes, fov, checkpoint)
    depth_output = output.parent / f"{output.stem}-depth{output.suffix}"
    render_video(
        scene,
        _camera_path(path, scene, frames, amount),
        output,
        fps,
        depth=depth_output if depth else None,
        size=None if size is None else default_size(scene.size, size),
    )
    print(f"{output}" + (f" and {depth_output}" if depth else ""))


def predict(
    photo: Positional[Path],
    output: Output = Path("scene.mpi"),
    planes: int = 32,
    fov: float | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Predicts the multiplane image of a photo and saves it.

    Args:
        photo: The photo.
        output: Scene file to write (.mpi).
        planes: Number of planes of the scene. More planes make finer depth and take longer.
        fov: Horizontal field of view of the photo in degrees. By default from its EXIF data, else 90.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth). By default the shipped ones.
    """
    from mine.files import check_writable

    check_writable(output)
    _scene(photo, planes, fov, checkpoint).save(output)
    print(output)


def export(scene: Positional[Path], output: Output) -> None:
    """Writes a scene in the format that the output's extension names.

    Args:
        scene: A scene file (.mpi) written by `mine predict`, or a photo.
        output: File to write: .html, one page that needs no server and no network.
    """
    from mine.output.web import export as export_scene

    export_scene(_scene(scene), output)
    print(output)


def view(scene: Positional[Path]) -> None:
    """Opens a scene in the default browser.

    Args:
        scene: A scene file (.mpi) written by `mine predict`.
    """
    from mine.output.web import view as view_scene

    print(view_scene(scene))


def _scene(source: Path, planes: int = 32, fov: float | None = None, checkpoint: Path | None = None) -> "MPI":
    """The scene of a file: read from a scene file, predicted from a photo."""
    if source.suffix.lower() == ".mpi":
        from mine.scene.mpi import MPI

        return MPI.open(source)
    from mine.model import load
    from mine.scene.photo import read_photo

    photo = read_photo(source)  # before the network is loaded, so that a wrong name is reported at once
    return load(checkpoint).predict(photo, planes=planes, fov=fov)


def _check_path(name: str) -> None:
    """Raises InputError unless `name` is that of a camera path or of a JSON file."""
    from mine.output.camera_paths import PATHS

    if name not in PATHS and not name.endswith(".json"):
        raise InputError(f"no camera path {name!r}: choose {', '.join(PATHS)} or a .json file")


def _camera_path(name: str, scene: "MPI", frames: int | None, amount: float) -> "Tensor | CameraPath":
    """The camera path of that name, scaled to the scene, or the one in a JSON file."""
    from mine.output.camera_paths import PATHS, load, near_depth

    if name.endswith(".json"):
        return load(name, frames)
    length = {} if frames is None else {"frames": frames}
    return PATHS[name](amount=amount, depth=near_depth(scene), **length)
