"""The depth map of a scene, as an image in colour."""

from pathlib import Path

import torch
from PIL import Image

from mine.files import replacing
from mine.output.video import default_size
from mine.scene.depth import colour_depth, depth_range
from mine.scene.mpi import MPI
from mine.scene.photo_layers import photo_layers

LONGEST_SIDE = 960
"""Longest side of the image in pixels, as of the planes that the web page stores."""


def write_depth_image(scene: MPI, out: str | Path) -> None:
    """Writes the source view's depth in colour: near is bright, far is dark, linear in disparity.

    Args:
        scene: The scene.
        out: Image file to write.
    """
    layers = photo_layers(scene, LONGEST_SIDE)
    if layers is not None:
        depth = 1 / layers.disparity.clamp(min=1e-6)[None]
    else:
        with torch.no_grad():
            depth = scene.render(torch.eye(4), size=default_size(scene.size, LONGEST_SIDE)).depth
    with replacing(out) as temporary:
        Image.fromarray(colour_depth(depth, *depth_range(scene))[0]).save(temporary)
