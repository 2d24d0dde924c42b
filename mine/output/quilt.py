"""Quilts: the views of a row of cameras in one image, as Looking Glass displays take them.

Tiles go from the leftmost camera to the rightmost one, from left to right and from the bottom row to the top one
(https://docs.lookingglassfactory.com/keyconcepts/quilts).
"""

import torch
from torch import Tensor

from mine.output.camera_path import CameraPath
from mine.output.video import render_path
from mine.scene.mpi import MPI

DEFAULT_SIDE = 3360
"""Longest side in pixels of a quilt: what the portrait display takes."""

SPAN = 4.0
"""Distance between the outermost cameras in eye distances: the viewer's eyes see views a quarter of it apart."""


def make_quilt(scene: MPI, baseline: float, pivot: float, form: tuple[int, int], longest: int) -> Tensor:
    """Renders a quilt.

    Args:
        scene: The scene.
        baseline: Distance between a viewer's eyes in scene units.
        pivot: Depth of what appears in the plane of the display, in scene units.
        form: Columns and rows.
        longest: Longest side of the quilt in pixels.

    Returns:
        (3, H, W) in [0, 1].
    """
    columns, rows = form
    height, width = scene.size
    scale = min(1.0 * longest / (columns * width), longest / (rows * height))
    size = (max(2, round(height * scale)), max(2, round(width * scale)))
    offset = torch.linspace(-1, 1, columns * rows, dtype=torch.float32) * SPAN * baseline / 2
    poses = torch.eye(4, dtype=offset.dtype).repeat(len(offset), 1, 1)
    poses[:, 0, 3] = -offset
    path = CameraPath(poses, torch.ones(len(offset)), torch.stack([offset / pivot, 0 * offset], dim=1))
    views = torch.cat([view.rgb for view in render_path(scene, path, size)])
    tiles = views.unflatten(0, (rows, columns)).flip(0)  # the first row is the lowest
    return tiles.permute(2, 0, 3, 1, 4).reshape(3, rows * size[0], columns * size[1])
