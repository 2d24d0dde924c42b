"""The depth map of a scene, as an image in colour."""

from pathlib import Path

import torch
from PIL import Image

from mine.files import replacing
from mine.output.video import default_size
from mine.scene.depth import colour_depth, depth_range
from mine.scene.mpi import MPI

LONGEST_SIDE = 1024
"""Longest side of the image in pixels: planes hold no finer depth."""


def write_depth_image(scene: MPI, out: str | Path) -> None:
    """Renders the source view's depth and writes it in colour: near is bright, far is dark, linear in disparity.

    Args:
        scene: The scene.
        out: Image file to write.
    """
    with torch.no_grad():
        depth = scene.render(torch.eye(4), size=default_size(scene.size, LONGEST_SIDE)).depth
    with replacing(out) as temporary:
        Image.fromarray(colour_depth(depth, *depth_range(scene))[0]).save(temporary)
