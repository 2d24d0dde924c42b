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


COMMANDS = {
    "render": Command("Make a video that moves a camera through a photo.", "mine.cli.scenes:render"),
    "predict": Command(
        "Predict a photo's scene and save it, to render, export or view later.", "mine.cli.scenes:predict"
    ),
    "export": Command("Export a scene as one HTML page that shows it in 3D, also offline.", "mine.cli.scenes:export"),
    "view": Command("Open a scene in the web browser, in 3D.", "mine.cli.scenes:view"),
    "demo": Command("Start the web demo: upload a photo, see it in 3D, download videos.", "mine.cli.tools:demo"),
    "colmap": Command(
        "Compute the cameras of photos or of a video by COLMAP, to train on.", "mine.cli.training:colmap"
    ),
    "train": Command("Train a network, or resume an interrupted run.", "mine.cli.training:train"),
    "eval": Command("Evaluate a checkpoint on held-out data, beside simple baselines.", "mine.cli.training:evaluate"),
    "bench": Command("Time prediction, rendering and a whole video on this machine.", "mine.cli.tools:bench"),
}
"""All commands, in the order in which `mine --help` lists them."""
