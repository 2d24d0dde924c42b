"""The table of commands: name, one line of help, and the function that runs it.

It imports nothing heavy, so that `mine --help` need not load torch or tyro. The same line of help appears in
`mine --help` and in `mine COMMAND --help`.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """One command of the command line."""

    help: str
    """What the command does, in one line"""
    function: str
    """`module:function`; the function's parameters are the command's arguments and options"""
    examples: tuple[str, ...] = ()
    """lines that `mine COMMAND --help` shows"""


COMMANDS = {
    "render": Command(
        "Make a video that moves a camera through a photo.",
        "mine.cli.scenes:render",
        (
            "mine render photo.jpg",
            "mine render photo.heic -o loop.gif --path wiggle",
            "mine render photo.jpg -o zoom.mp4 --path dolly-zoom --frames 150 --size 1280 --no-depth",
            "mine render photo.jpg -o pair.jpg --stereo sbs --eye-distance 2",
            "mine render photo.jpg -o headset.mp4 --stereo vr180",
        ),
    ),
    "predict": Command(
        "Predict a photo's scene and save it, to render, export or view later.",
        "mine.cli.scenes:predict",
        ("mine predict photo.jpg -o photo.mpi", "mine predict photo.jpg -o photo.mpi --planes 64 --fov 65"),
    ),
    "export": Command(
        "Export a scene: a web page, 3D model, splats, point cloud, layers or depth.",
        "mine.cli.scenes:export",
        (
            "mine export photo.mpi -o photo.html",
            "mine export photo.jpg -o photo.glb",
            "mine export photo.jpg -o points.ply --kind points --size 512",
        ),
    ),
    "view": Command(
        "Open a scene or a photo in the web browser, in 3D.",
        "mine.cli.scenes:view",
        ("mine view photo.jpg", "mine view photo.mpi"),
    ),
    "demo": Command(
        "Start the web demo: upload a photo, see it in 3D, download videos.",
        "mine.cli.tools:demo",
        ("mine demo", "mine demo --host 0.0.0.0 --port 8000 --auth-file password.txt"),
    ),
    "colmap": Command(
        "Compute the cameras of photos or of a video by COLMAP, to train on.",
        "mine.cli.training:colmap",
        ("mine colmap photos -o data/captures/holiday", "mine colmap walk.mp4 -o data/captures/walk --fps 2"),
    ),
    "train": Command(
        "Train a network, or resume an interrupted run.",
        "mine.cli.training:train",
        ("mine train configs/own.yaml batch=2 steps=100",),
    ),
    "eval": Command(
        "Evaluate a checkpoint on held-out data, beside simple baselines.",
        "mine.cli.training:evaluate",
        ("mine eval configs/eval-llff.yaml planes=64 -o report.md",),
    ),
    "bench": Command(
        "Time prediction, rendering and a whole video on this machine.",
        "mine.cli.tools:bench",
        ("mine bench", "mine bench --json"),
    ),
}
"""All commands, in the order in which `mine --help` lists them."""
