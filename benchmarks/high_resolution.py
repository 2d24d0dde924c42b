"""A 4K view beside one of upsampled planes: `python benchmarks/high_resolution.py docs/high-resolution.jpg`.

A generated photo with known depth at the network's size, seen from an end of the default path; a crop of both views.
"""

import argparse

import numpy as np
import torch
from PIL import Image
from sharpness import generated_scene

from mine.output.camera_paths import swing
from mine.scene.depth import near_depth

SIZE = (2160, 3840)

CROP = (slice(1000, 1480), slice(1240, 1720))
"""Where a silhouette uncovers what is behind it."""


def main() -> None:
    """Writes the picture: upsampled planes on the left, planes of the view's resolution on the right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", metavar="FILE")
    parser.add_argument("--planes", type=int, default=64)
    options = parser.parse_args()
    parts = []
    with torch.no_grad():
        scene = generated_scene(SIZE, options.planes)
        for fine in (False, True):
            view = scene.render(swing(4, depth=near_depth(scene))[1:2], size=SIZE, fine=fine).rgb[0]
            parts.append((view.clamp(0, 1) * 255).byte().movedim(0, 2).numpy()[CROP])
    gap = np.full((parts[0].shape[0], 8, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([parts[0], gap, parts[1]], 1)).save(options.output, quality=88)


if __name__ == "__main__":
    main()
