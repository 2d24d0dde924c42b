"""A sheet with a row for each photo: the photo, its depth, and the ends of a swing to the left and right.

python docs/gallery.py docs/teaser.png data/samples/*.jpg
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import save_image

import mine
from mine.depth import colour_depth, depth_range, near_depth
from mine.planes import MPI
from mine.video import default_size, render_path


def row(scene: MPI, height: int) -> Tensor:
    """(3, H, 4 W): photo, depth, left view, right view."""
    width = round(height * scene.size[1] / scene.size[0])
    size = default_size((height, width))
    poses = mine.paths.swing(frames=4, depth=near_depth(scene))
    views = torch.cat([view.rgb for view in render_path(scene, poses, size)])
    still = scene.render(torch.eye(4), size=size)
    depth = torch.from_numpy(colour_depth(still.depth, *depth_range(scene))[0]).movedim(-1, 0) / 255
    # A swing of four frames is at the middle, one end, the middle and the other end.
    return torch.cat([still.rgb[0], depth, views[1], views[3]], dim=2)


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--checkpoint", type=Path)
    arguments = parser.parse_args()
    model = mine.load(arguments.checkpoint)
    rows = [row(model.predict(photo), arguments.height) for photo in arguments.photos]
    widest = max(picture.shape[2] for picture in rows)
    rows = [torch.nn.functional.pad(picture, (0, widest - picture.shape[2]), value=1.0) for picture in rows]
    save_image(torch.cat(rows, dim=1), arguments.output)


if __name__ == "__main__":
    main()
