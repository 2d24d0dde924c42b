"""Photographs and films of two textured boards, for structure from motion."""

from pathlib import Path
from typing import Any

import cv2
import imageio.v2 as imageio
import numpy as np
from PIL import Image

WIDTH, HEIGHT, FOCAL = 320, 240, 384.0  # 1.2 times the width: what COLMAP assumes without EXIF
CENTRES = np.array([[-0.5, 0, 0], [-0.25, 0.1, 0], [0, 0, 0.1], [0.25, -0.1, 0], [0.5, 0, 0]])


def texture(seed: int) -> np.ndarray:
    """Blobs of many sizes, 512x512."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((n, n)).astype(np.float32), (512, 512), interpolation=2) for n in (32, 64, 128)]
    mean: np.ndarray = np.mean(layers, axis=0)
    return mean


def photograph(centre: np.ndarray) -> Image.Image:
    """A view of two textured boards, the left one at depth 3 and the right one at depth 4.5."""
    v, u = np.indices((HEIGHT, WIDTH), dtype=np.float32) + 0.5
    ray = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL], axis=-1)
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    for seed, depth, (left, right) in ((0, 4.5, (-9.0, 9.0)), (1, 3.0, (-9.0, 0.0))):
        place = ray * (depth - centre[2]) + centre[:2]
        place = place.astype(np.float32)
        board = cv2.remap(texture(seed), place[..., 0] * 100 + 256, place[..., 1] * 100 + 256, cv2.INTER_LINEAR)
        picture = np.where((place[..., 0] > left) & (place[..., 0] < right), board, picture)
    return Image.fromarray((255 * picture).clip(0, 255).astype(np.uint8)).convert("RGB")


def film(path: Path, centres: np.ndarray, fps: float = 3) -> Path:
    """A video of the boards, one frame from each place."""
    pictures: list[Any] = [np.asarray(photograph(centre)) for centre in centres]
    imageio.mimwrite(path, pictures, fps=fps, codec="libx264", quality=10, macro_block_size=1)
    return path
