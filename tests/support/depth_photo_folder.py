"""A folder of photos with depth maps, in the layout of `DepthPhotos`."""

from pathlib import Path

import numpy as np
from PIL import Image

NEAR, FAR = 2.0, 8.0


def card(height: int = 64, width: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A red card before a wall that is green and blue: colours (H, W, 3) in [0, 1] and depth (H, W)."""
    y, x = np.indices((height, width), dtype=np.float32)
    image = np.stack([np.zeros_like(x), 0.5 + 0.4 * np.sin(x / 9), 0.5 + 0.4 * np.cos(y / 7)], axis=-1)
    near = (np.abs(x / width - 0.5) < 0.2) & (np.abs(y / height - 0.5) < 0.2)
    image[near] = [1, 0, 0]
    return image.astype(np.float32), np.where(near, NEAR, FAR).astype(np.float32)


def write_photo(root: Path, name: str, kind: str = "depths", suffix: str = ".png") -> None:
    image, depth = card(128, 192)
    (root / "photos").mkdir(parents=True, exist_ok=True)
    (root / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * image).astype(np.uint8)).save(root / "photos" / f"{name}.png")
    values = depth if kind == "depths" else 1 / depth
    if suffix == ".npy":
        np.save(root / kind / f"{name}.npy", values)
    else:
        Image.fromarray((1000 * values).astype(np.uint16)).save(root / kind / f"{name}.png")
