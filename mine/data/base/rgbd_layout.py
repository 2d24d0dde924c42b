"""The files of photographs with measured disparity: what `kind: rgbd` reads and `mine colmap --dense` writes."""

from pathlib import Path

import numpy as np
from PIL import Image

INDEX = "frames.jsonl"
"""File with one JSON line a photograph, beside the photographs."""

UNIT = 65535
"""Disparity of the nearest depth in 16 bits."""


def write_photograph(stem: Path, picture: Image.Image, depth: np.ndarray) -> None:
    """Writes a photograph, `stem`.jpg, and its disparity relative to the nearest, `stem`.png.

    Args:
        stem: Path without its ending.
        picture: The photograph, RGB.
        depth: Its depth (H, W), 0 where unknown; some is known.
    """
    nearest = depth[depth > 0].min()
    disparity = np.where(depth > 0, nearest / np.maximum(depth, nearest), 0)
    picture.save(stem.with_suffix(".jpg"), quality=92)
    Image.fromarray(np.round(UNIT * disparity).astype(np.uint16)).save(stem.with_suffix(".png"))
