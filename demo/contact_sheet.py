"""Moving thumbnails: one picture with a row of frames for each camera path, which the page plays by moving it along."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from mine import MPI
from mine.files import replacing
from mine.output.camera_paths import PATHS, scene_path
from mine.output.video import render_path

FRAMES = 12
"""Frames of a thumbnail."""

CELL = (96, 144)
"""(H, W) of a thumbnail in pixels."""

AMOUNT = 1.6
"""Size of the motion: thumbnails are small, so that the normal one would hardly show."""


def write_contact_sheet(scene: MPI, out: Path, progress: Callable[[float], None]) -> None:
    """Renders all camera paths of a scene, FRAMES frames each, and writes them as one WebP: a row for each path.

    Args:
        scene: The scene.
        out: File to write.
        progress: Called with the fraction done, 0 to 1.
    """
    height, width = CELL
    aspect = scene.size[1] / scene.size[0]
    # Frames cover the cell, in the photo's aspect, and are cut to it.
    size = (height, round(height * aspect)) if aspect > width / height else (round(width / aspect), width)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    sheet = torch.empty(len(PATHS), height, FRAMES, width, 3, dtype=torch.uint8)
    for row, name in enumerate(PATHS):
        path = scene_path(scene, name, FRAMES, AMOUNT)
        rgb = torch.cat([view.rgb for view in render_path(scene, path, size)])
        rgb = rgb[..., top : top + height, left : left + width].clamp(0, 1)
        sheet[row] = (rgb * 255).round().to(torch.uint8).permute(2, 0, 3, 1)
        progress((row + 1) / len(PATHS))
    pixels = sheet.reshape(len(PATHS) * height, FRAMES * width, 3).numpy()
    with replacing(out) as temporary:
        Image.fromarray(pixels).save(temporary, "WEBP", quality=70, method=2)
