"""The commands on one scene: render, predict, export and view.

Docstrings are the options' help. Everything heavy is imported inside the functions, after the checks, so that help and
mistakes are reported at once.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from tyro.conf import Positional, arg

from mine.cli import options
from mine.cli.checks import (
    check_apart,
    check_checkpoint,
    check_ending,
    check_export,
    check_maker,
    check_path,
    check_source,
    is_scene,
    path_files,
)
from mine.cli.depth import NO_DEPTH, DepthOptions
from mine.cli.render_options import ONE_VIEW, OWN_SIZES, PLAIN_CAMERA, CameraOptions, StereoOptions
from mine.errors import InputError
from mine.scene.limits import LARGEST_SIDE, MAX_SIDE

if TYPE_CHECKING:
    from mine.network.disparity.hub import DepthModel
    from mine.scene.depth_maps.depth_map import DepthMap
    from mine.scene.mpi import MPI

EXPORT_SIZES = (
    "(default: the photo's, at most 2048 for a mesh, 1920 for depth, 1024 for planes and points, 768 for splats)"
)

FOV_DEFAULT = "(default: from the photo's EXIF data, else a phone's 67 at 4:3; 90 with published checkpoints)"

Photo = Annotated[Path, arg(metavar="PHOTO")]
Output = Annotated[Path, arg(aliases=["-o"], metavar="FILE")]
Planes = Annotated[int | None, options.PLANES, arg(help_behavior_hint="(default: 32)")]
Fov = Annotated[float | None, options.FOV, arg(help_behavior_hint=FOV_DEFAULT)]
Depth = Annotated[DepthOptions, arg(name="")]
Checkpoint = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: the one that comes with MINE)")]


def render(
    photo: Positional[Photo],
    output: Output = Path("out.mp4"),
    path: Annotated[str, arg(metavar="NAME|FILE")] = "swing",
    frames: Annotated[
        int | None, options.FRAMES, arg(help_behavior_hint="(default: 90; wiggle 30; FILE.json what the file says)")
    ] = None,
    fps: Annotated[float | None, options.FPS, arg(help_behavior_hint="(default: 30)")] = None,
    amount: Annotated[float | None, options.AMOUNT, arg(help_behavior_hint="(default: 1)")] = None,
    depth: bool = True,
    size: Annotated[
        int | None, options.SIZE, arg(help_behavior_hint="(default: the photo's, at most 1920, a GIF's 480)")
    ] = None,
    codec: Annotated[str | None, arg(metavar="CODEC", help_behavior_hint="(default: h264; vp9 in .webm)")] = None,
    camera: Annotated[CameraOptions, arg(name="")] = PLAIN_CAMERA,
    stereo: Annotated[StereoOptions, arg(name="")] = ONE_VIEW,
    planes: Planes = None,
    fov: Fov = None,
    checkpoint: Checkpoint = None,
    own_depth: Depth = NO_DEPTH,
) -> None:
    """Renders a camera path through a scene, and its depth, to video files.

    Args:
        photo: The photo, or a scene file (.mpi) written by `mine predict`.
        output: Video to write (.mp4, .m4v, .mov, .mkv, .webm, .gif, .webp or .apng); a name without extension makes a
            folder of PNGs.
        path: How the camera moves: swing (left and right), zoom (into the photo and back), circle, orbit (around
            the middle), spiral, dolly-zoom (the background grows, the subject stays), line (left to right) or wiggle (a
            quick swing); or a JSON file of key poses: {"frames": 90, "keys": [{"position": [0, 0, 0]}, ...]}; or a path
            of nerfstudio (.json), Blender (transforms.json) or COLMAP (images.txt). A plus joins several: zoom+swing.
        frames: Number of frames: seconds times --fps.
        fps: Frames per second.
        amount: How far the camera moves, as a factor: 2 moves it twice as far as usual, 0.5 half as far.
        depth: Also write the depth as a second video, named like the first with -depth: out-depth.mp4. Near is bright.
            With --stereo there is none.
        size: Longest side of the video in pixels, at most the photo's.
        codec: How a video is encoded: h264, hevc, vp9, av1, or prores in .mov for editing.
        camera: Options of the camera.
        stereo: Options for two eyes.
        planes: Number of planes of the scene, in depth. More planes make finer depth and take longer.
        fov: Horizontal field of view of the photo in degrees. A wide-angle lens has 90, a phone 65 to 70.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth).
        own_depth: Depth in place of the network's prediction.
    """
    from mine.output.writers import check_output, is_folder

    camera.check(stereo.stereo)
    named = None if path == "swing" else path
    of_videos = {"frames": frames, "fps": fps, "amount": amount, "codec": codec, "path": named, **camera.of_motion()}
    stereo.check(output, **of_videos)
    depth = depth and stereo.stereo is None
    depth_output = output.parent / f"{output.stem}-depth{output.suffix}"
    for written in [] if stereo.is_still(output) else [output, depth_output] if depth else [output]:
        check_output(written, (2, 2), 30 if fps is None else fps, codec)
    check_path(path, frames, amount)
    read = {"photo": photo, "checkpoint": checkpoint, "depth map": own_depth.depth_map}
    check_apart([output, depth_output if depth else None, camera.save_path], read | path_files(path))
    check_source(photo, planes=planes, fov=fov, checkpoint=checkpoint, **own_depth.named())
    depth_source = own_depth.check(photo, checkpoint)
    check_checkpoint(checkpoint)
    scene = _scene(photo, planes, fov, checkpoint, own_depth.load(depth_source), max(MAX_SIDE, size or 0))
    from mine.output.video import default_size, render_video  # it imports torch

    if size is not None and size > max(scene.size) and stereo.stereo not in OWN_SIZES:
        _note(f"--size {size} is more than the photo has: the video is {max(default_size(scene.size, size))} pixels")
    if fps is not None and is_folder(output):
        _note(f"a folder of PNGs has no frame rate: --fps {fps:g} has no effect on {output}")
    moving = camera.make_path(path, scene, frames, amount, 30 if fps is None else fps)
    if stereo.stereo is not None:
        print(stereo.render(scene, moving, output, fps, size, codec))
        return
    render_video(
        scene,
        moving,
        output,
        30 if fps is None else fps,
        codec=codec,
        lens=camera.make_lens(scene, len(moving.poses)),
        depth=depth_output if depth else None,
        size=None if size is None else default_size(scene.size, size),
    )
    print(f"{output}" + (f" and {depth_output}" if depth else ""))


def predict(
    photo: Positional[Photo],
    output: Output = Path("scene.mpi"),
    planes: Planes = None,
    fov: Fov = None,
    checkpoint: Checkpoint = None,
    own_depth: Depth = NO_DEPTH,
    size: Annotated[
        int | None, options.SCENE_SIZE, arg(help_behavior_hint="(default: the photo's, at most 2048)")
    ] = None,
) -> None:
    """Predicts the multiplane image of a photo and saves it.

    Args:
        photo: The photo.
        output: Scene file to write (.mpi).
        planes: Number of planes of the scene, in depth. More planes make finer depth and take longer.
        fov: Horizontal field of view of the photo in degrees. A wide-angle lens has 90, a phone 65 to 70.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth).
        own_depth: Depth in place of the network's prediction.
        size: Longest side in pixels at which the scene keeps the photo, 16 to 4096: views show no more detail.
    """
    check_maker(output, "predict")
    check_ending(output, (".mpi",))
    check_apart([output], {"photo": photo, "checkpoint": checkpoint, "depth map": own_depth.depth_map})
    check_source(photo)
    if is_scene(photo):
        raise InputError(f"{photo} is a scene already: render, export or view it, or give a photo")
    depth_source = own_depth.check(photo, checkpoint)
    check_checkpoint(checkpoint)
    _scene(photo, planes, fov, checkpoint, own_depth.load(depth_source), MAX_SIDE if size is None else size).save(
        output
    )
    print(output)


def export(
    scene: Positional[Annotated[Path, arg(metavar="SCENE")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE")],
    kind: Annotated[
        str | None, arg(metavar="KIND", help_behavior_hint="(default: mesh in .glb, splats in .ply)")
    ] = None,
    size: Annotated[int | None, options.SIZE, arg(help_behavior_hint=EXPORT_SIZES)] = None,
) -> None:
    """Writes a scene in the format that the output's extension names.

    Args:
        scene: A scene file (.mpi) written by `mine predict`, or a photo.
        output: File to write. .html is one page that needs no server and no network; .glb a 3D model for Blender,
            three.js and phones; .ply 3D Gaussian splats or a point cloud, .spz compressed splats; .zip the planes as
            PNGs with transparency, and a JSON file; .png the depth in 16 bits, .exr in floats. .spz and .exr need
            mine[formats].
        kind: What the file holds where there is a choice: mesh or planes in .glb, splats or points in .ply.
        size: Longest side in pixels of textures, planes, depth, or of the grid of splats or points, at most the
            photo's.
    """
    check_export(output, kind, size)
    check_apart([output], {"scene" if is_scene(scene) else "photo": scene})
    check_source(scene)
    planes = _scene(scene, side=max(MAX_SIDE, size or 0))
    from mine.output.export import export as export_scene  # it imports torch

    if size is not None and size > max(planes.size):
        _note(f"--size {size} is more than the photo has: {output} has {max(planes.size)} pixels")
    with _status(f"writing {output}"):
        export_scene(planes, output, kind, size)
    print(output)


def view(scene: Positional[Annotated[Path, arg(metavar="SCENE")]]) -> None:
    """Opens a scene in the default browser.

    Args:
        scene: A scene file (.mpi) written by `mine predict`, or a photo.
    """
    check_source(scene)
    planes = _scene(scene)
    from mine.output.web import view as view_scene  # it imports torch

    with _status("writing the page"):
        page = view_scene(planes, scene.stem)
    print(page)


@contextmanager
def _status(text: str) -> Iterator[None]:
    """Shows on a terminal what is going on, while it does."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


def _note(text: str) -> None:
    """Tells on standard error what an option does not do."""
    print(f"mine: {text}", file=sys.stderr)


def _scene(
    source: Path,
    planes: int | None = None,
    fov: float | None = None,
    checkpoint: Path | None = None,
    depth: "DepthMap | DepthModel | None" = None,
    side: int = MAX_SIDE,
) -> "MPI":
    """The scene of a file: read from a scene file, or predicted from a photo, whose longest side is at most `side`."""
    if is_scene(source):
        from mine.scene.mpi import MPI

        return MPI.open(source)
    from mine.scene.decoding.decode import decode_file

    # Before torch is imported: what is damaged, and a map of another shape, are told at once.
    decoded = decode_file(source, min(side, LARGEST_SIDE))
    _check_shape(depth, decoded.full_size)
    from mine.model import load
    from mine.scene.photo import use_decoded

    photo = use_decoded(decoded, side)
    with _status("predicting"):
        return load(checkpoint).predict(photo, planes=32 if planes is None else planes, fov=fov, depth=depth)


def _check_shape(depth: "DepthMap | DepthModel | None", size: tuple[int, int]) -> None:
    """Raises InputError for a depth map that cannot be one of a photo of `size` (H, W)."""
    from mine.scene.depth_maps.depth_map import DepthMap, check_aspect

    if isinstance(depth, DepthMap):
        check_aspect(depth, size)
