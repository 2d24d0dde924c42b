"""The commands: thin functions over the library.

Everything heavy is imported inside them, so that their help comes soon. `mine.cli.main` lists them
without importing this.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, arg

from mine.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mine.output.camera_paths import CameraPath
    from mine.scene.mpi import MPI

app = tyro.extras.SubcommandApp()

Output = Annotated[Path, arg(aliases=["-o"])]


@app.command
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
    """Make a video that flies through a photo.

    Args:
        photo: The photo, or a scene saved by `mine predict`.
        output: Video (.mp4, .gif, .webp), or a folder for PNGs.
        path: swing, zoom, circle, orbit, spiral, dolly-zoom, line, wiggle, or a JSON file of key poses.
        frames: Number of frames (90; 30 for wiggle).
        fps: Frames per second.
        amount: How far the camera moves, relative to what suits the scene.
        depth: Write the depth beside it too, as NAME-depth.
        size: Longest side of the video in pixels (the photo's, at most 1920).
        planes: Number of planes.
        fov: Horizontal field of view of the photo in degrees (from its EXIF data, else 90).
        checkpoint: A checkpoint of ours or a published MINE checkpoint (the shipped one).
    """
    from mine.output.video import default_size, render_video
    from mine.output.writers import check_output

    check_output(output, (2, 2), fps)
    _check_path(path)
    if size is not None and size < 2:
        raise InputError(f"size {size} is too small: give the longest side of the video in pixels")
    scene = _scene(photo, planes, fov, checkpoint)
    beside = output.parent / f"{output.stem}-depth{output.suffix}"
    render_video(
        scene,
        _path(path, scene, frames, amount),
        output,
        fps,
        depth=beside if depth else None,
        size=None if size is None else default_size(scene.size, size),
    )
    _say(f"{output}" + (f" and {beside}" if depth else ""))


@app.command
def predict(
    photo: Positional[Path],
    output: Output = Path("scene.mpi"),
    planes: int = 32,
    fov: float | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Save the scene in a photo, to render, export or view later.

    Args:
        photo: The photo.
        output: The scene file (.mpi).
        planes: Number of planes.
        fov: Horizontal field of view of the photo in degrees (from its EXIF data, else 90).
        checkpoint: A checkpoint of ours or a published MINE checkpoint (the shipped one).
    """
    from mine.files import check_writable

    check_writable(output)
    _scene(photo, planes, fov, checkpoint).save(output)
    _say(f"{output}")


@app.command
def export(scene: Positional[Path], output: Output) -> None:
    """Write a scene in another form: .html, a page that anyone can drag, with no server and no network.

    Args:
        scene: A scene saved by `mine predict`, or a photo.
        output: The file to write.
    """
    from mine.output.web import export as write

    write(_scene(scene), output)
    _say(f"{output}")


@app.command
def view(scene: Positional[Path]) -> None:
    """Open a scene in the browser.

    Args:
        scene: A scene saved by `mine predict`.
    """
    from mine.output.web import view as show

    _say(f"{show(scene)}")


@app.command
def colmap(
    images: Positional[Path], output: Output, poses: Path | None = None, fps: float = 3, progress: bool = True
) -> None:
    """Turn photos of one scene, or a video, into a capture to train on: cameras and points by COLMAP.

    Args:
        images: Folder of photos, or a video file.
        output: The capture, a new folder: images/ and sparse/0/.
        poses: Camera file in RealEstate10K's format, when the cameras are known: only points are then computed.
        fps: Frames per second taken of a video.
        progress: Show what is going on.
    """
    from mine.data.sfm.reconstruct import reconstruct
    from mine.data.sfm.triangulate import triangulate

    account = triangulate(images, poses, output, progress) if poses else reconstruct(images, output, progress, fps)
    _say(f"{output}: {account}")


@app.command
def train(config: Positional[Path], overrides: Positional[tuple[str, ...]] = (), resume: bool = True) -> None:
    """Train a network; goes on where an earlier run with the same output folder stopped.

    Args:
        config: YAML file, such as those in configs/.
        overrides: Settings to change: key=value, dots reach into sections.
        resume: Go on with an earlier run.
    """
    from mine.config import load_config
    from mine.training.distributed import first_process
    from mine.training.train import train as run

    checkpoint = run(load_config(config, list(overrides)), resume)
    if first_process():
        _say(f"{checkpoint}")


@app.command(name="eval")
def evaluate(
    config: Positional[Path],
    overrides: Positional[tuple[str, ...]] = (),
    checkpoint: Path | None = None,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
) -> None:
    """Measure a checkpoint on views it did not see, beside simple references.

    Args:
        config: YAML file, such as configs/eval.yaml.
        overrides: Settings to change: key=value, dots reach into sections.
        checkpoint: A checkpoint of ours or a published MINE checkpoint (the shipped one).
        output: Where to write the figures as well, .json or .md.
    """
    from mine.config import EvalConfig, load_config
    from mine.evaluation.protocol import judge
    from mine.evaluation.report import write_report
    from mine.model import load

    report = judge(load(checkpoint), load_config(config, list(overrides), EvalConfig))
    _say(report.markdown())
    if output:
        write_report(report, output)


@app.command
def bench(json: bool = False) -> None:
    """Time prediction, rendering and a whole video on this machine, beside the plain forms of the same work.

    Args:
        json: Print JSON instead of a table.
    """
    from json import dumps

    from mine.cli.bench import as_dict, table
    from mine.cli.bench import bench as run

    rows = run()
    _say(dumps(as_dict(rows), indent=2) if json else table(rows))


@app.command
def demo(
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
    auth: str | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Start the web page: upload a photo, drag the scene, download videos.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        share: Make a public link, through Gradio.
        auth: Ask for this NAME:PASSWORD.
        checkpoint: A checkpoint of ours or a published MINE checkpoint (the shipped one).
    """
    from demo.app import launch

    launch(host, port, share, auth, checkpoint)


def _scene(source: Path, planes: int = 32, fov: float | None = None, checkpoint: Path | None = None) -> "MPI":
    """The scene in a file: read if it is one, predicted if it is a photo."""
    if source.suffix.lower() == ".mpi":
        from mine.scene.mpi import MPI

        return MPI.open(source)
    from mine.model import load
    from mine.scene.photo import read_photo

    photo = read_photo(source)  # a wrong name is told before the network is loaded
    return load(checkpoint).predict(photo, planes=planes, fov=fov)


def _check_path(name: str) -> None:
    from mine.output.camera_paths import PATHS

    if name not in PATHS and not name.endswith(".json"):
        raise InputError(f"no camera path {name!r}: choose {', '.join(PATHS)} or a .json file")


def _path(name: str, scene: "MPI", frames: int | None, amount: float) -> "Tensor | CameraPath":
    from mine.output.camera_paths import PATHS, load, near_depth

    if name.endswith(".json"):
        return load(name, frames)
    length = {} if frames is None else {"frames": frames}
    return PATHS[name](amount=amount, depth=near_depth(scene), **length)


def _say(text: str) -> None:
    print(text, file=sys.stdout)
