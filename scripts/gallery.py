"""Sheets with a row for each photo: the photo, its depth, and the ends of a swing to the left and right.

python scripts/gallery.py                                  # docs/teaser.jpg and the sheets of docs/gallery.md
python scripts/gallery.py sheet.png one.jpg another.jpg    # a sheet of any photos
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.functional import to_pil_image

import mine
from mine.model import Model
from mine.output.video import default_size, render_path
from mine.scene.depth import colour_depth, depth_range, near_depth
from mine.scene.mpi import MPI

DOCS = Path(__file__).parents[1] / "docs"
SAMPLES, GALLERY = DOCS.parent / "data" / "samples", DOCS / "gallery"
SHEETS = {
    "teaser.jpg": [SAMPLES / f"{name}.jpg" for name in ("astronaut", "cat", "coffee")],
    "gallery-1.jpg": [
        GALLERY / "portrait.jpg",
        GALLERY / "koala.jpg",
        GALLERY / "raccoon.jpg",
        SAMPLES / "coffee.jpg",
        GALLERY / "drums.jpg",
        GALLERY / "flower.jpg",
    ],
    "gallery-2.jpg": [
        GALLERY / f"{name}.jpg" for name in ("street", "pavilion", "temple", "minaret", "statue", "hills")
    ],
}
MARGIN = 4  # pixels of white between the pictures


def row(scene: MPI, height: int) -> Tensor:
    """(3, H, 4 W + 3 MARGIN): photo, depth, left view, right view."""
    width = round(height * scene.size[1] / scene.size[0])
    size = default_size((height, width))
    poses = mine.paths.swing(frames=4, depth=near_depth(scene))
    views = torch.cat([view.rgb for view in render_path(scene, poses, size)])
    still = scene.render(torch.eye(4), size=size)
    depth = torch.from_numpy(colour_depth(still.depth, *depth_range(scene))[0]).movedim(-1, 0) / 255
    # A swing of four frames is at the middle, its right end, the middle and its left end.
    right, left = views[1], views[3]
    return torch.cat([*(pad(picture, (0, MARGIN), value=1.0) for picture in (still.rgb[0], depth, left)), right], dim=2)


def write_sheet(model: Model, photos: list[Path], output: Path, height: int) -> None:
    """Writes the rows of `photos`, one under the other, to `output`."""
    rows = [row(model.predict(photo), height) for photo in photos]
    widest = max(picture.shape[2] for picture in rows)
    rows = [pad(picture, (0, widest - picture.shape[2], 0, MARGIN), value=1.0) for picture in rows]
    sheet = torch.cat(rows, dim=1)[:, :-MARGIN]
    to_pil_image(sheet.clamp(0, 1)).save(output, quality=85)


def main() -> None:
    """Writes one sheet of the photos given, or else all sheets of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--checkpoint", type=Path)
    arguments = parser.parse_args()
    if arguments.output and not arguments.photos:
        parser.error("name the photos after the sheet, or nothing at all for the sheets of the documentation")
    sheets = {arguments.output: arguments.photos} if arguments.output else {DOCS / k: v for k, v in SHEETS.items()}
    model = mine.load(arguments.checkpoint)
    for output, photos in sheets.items():
        write_sheet(model, photos, output, arguments.height)


if __name__ == "__main__":
    main()
