"""Contact sheets with a row per photo: the photo, its depth, and the views from the ends of a swing, left and right.

python scripts/gallery.py                                  # docs/teaser.webp, which moves, and docs/gallery.md's sheets
python scripts/gallery.py sheet.png one.jpg another.jpg    # a sheet of these photos
python scripts/gallery.py sheet.png one.jpg --before old.safetensors    # depth and left view, each before and after
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
from mine.scene.resize import resize

DOCS = Path(__file__).parents[1] / "docs"
SAMPLES, GALLERY = DOCS.parent / "data" / "samples", DOCS / "gallery"
TEASER = [SAMPLES / "astronaut.jpg", GALLERY / "statue.jpg", SAMPLES / "coffee.jpg"]
SHEETS = {
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
    "gallery-3.jpg": [
        GALLERY / f"{name}.jpg"
        for name in ("mariachi", "kitten", "panda", "opera", "louvre", "mountain", "painting", "windmill")
    ],
}
TEASER_HEIGHT, TEASER_FRAMES, TEASER_FPS = 224, 60, 20
MARGIN = 4  # pixels of white between the images
WIDEST = 1.8  # width / height up to which photos fill the height of a row


def images_of(scene: MPI, height: int) -> list[Tensor]:
    """Photo, depth, left view and right view of a scene, `height` pixels high.

    Views are rendered at twice that size and shrunk.
    """
    width = round(height * scene.size[1] / scene.size[0])
    size = default_size((2 * height, 2 * width))
    poses = mine.paths.swing(frames=4, depth=near_depth(scene))
    views = torch.cat([view.rgb for view in render_path(scene, poses, size)])
    source = scene.render(torch.eye(4), size=size)
    depth = torch.from_numpy(colour_depth(source.depth, *depth_range(scene))[0]).movedim(-1, 0) / 255
    # The four poses of the swing: centre, right end, centre, left end.
    right, left = views[1], views[3]
    return [resize(image, (height, width)) for image in (source.rgb[0], depth, left, right)]


def row(images: list[Tensor]) -> Tensor:
    """Images (3, H, W) beside each other, with white between them."""
    return torch.cat([*(pad(image, (0, MARGIN), value=1.0) for image in images[:-1]), images[-1]], dim=2)


def row_of_photo(model: Model, before: Model | None, photo: Path, height: int) -> Tensor:
    """Photo, depth, left and right view; or photo, depth and left view of both models."""
    scene = model.predict(photo)
    height = min(height, round(WIDEST * height * scene.size[0] / scene.size[1]))
    source, depth, left, right = images_of(scene, height)
    if before is None:
        return row([source, depth, left, right])
    _, old_depth, old_left, _ = images_of(before.predict(photo), height)
    return row([source, old_depth, depth, old_left, left])


def moving(model: Model, photo: Path, height: int, frames: int) -> Tensor:
    """A swing (N, 3, 2H + margin, W) through the scene of a photo, above its depth."""
    scene = model.predict(photo)
    size = default_size((2 * height, round(2 * height * scene.size[1] / scene.size[0])))
    poses = mine.paths.swing(frames=frames, depth=near_depth(scene))
    views = list(render_path(scene, poses, size))
    colour = torch.cat([view.rgb for view in views])
    coded = colour_depth(torch.cat([view.depth for view in views]), *depth_range(scene))
    depth = torch.from_numpy(coded).movedim(-1, 1) / 255
    small_size = height, round(height * size[1] / size[0])
    small = [torch.stack([resize(frame, small_size) for frame in clip]) for clip in (colour, depth)]
    return torch.cat([pad(small[0], (0, 0, 0, MARGIN), value=1.0), small[1]], dim=2)


def write_teaser(model: Model, photos: list[Path], output: Path) -> None:
    """Writes an endless animation of photos beside each other."""
    clips = [moving(model, photo, TEASER_HEIGHT, TEASER_FRAMES) for photo in photos]
    joined = torch.cat([*(pad(clip, (0, MARGIN), value=1.0) for clip in clips[:-1]), clips[-1]], dim=3)
    first, *rest = (to_pil_image(frame.clamp(0, 1)) for frame in joined)
    first.save(output, save_all=True, append_images=rest, duration=1000 // TEASER_FPS, loop=0, quality=60, method=6)


def write_sheet(rows: list[Tensor], output: Path) -> None:
    """Writes rows, one below the other, to the image `output`."""
    widest = max(image.shape[2] for image in rows)
    rows = [pad(image, (0, widest - image.shape[2], 0, MARGIN), value=1.0) for image in rows]
    sheet = torch.cat(rows, dim=1)[:, :-MARGIN]
    to_pil_image(sheet.clamp(0, 1)).save(output, quality=85)


def main() -> None:
    """Writes one sheet of the given photos, or without any all sheets of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", help="sheet to write, .jpg or .png")
    parser.add_argument("photos", type=Path, nargs="*", help="photos of its rows")
    parser.add_argument("--height", type=int, default=240, help="height of a row in pixels")
    parser.add_argument("--checkpoint", type=Path, help="network weights; by default the shipped ones")
    parser.add_argument("--before", type=Path, help="earlier network weights, to compare with")
    arguments = parser.parse_args()
    if arguments.output and not arguments.photos:
        parser.error("give the photos after the sheet, or no arguments for the sheets of the documentation")
    sheets = {arguments.output: arguments.photos} if arguments.output else {DOCS / k: v for k, v in SHEETS.items()}
    model = mine.load(arguments.checkpoint)
    before = None if arguments.before is None else mine.load(arguments.before)
    if not arguments.output:
        write_teaser(model, TEASER, DOCS / "teaser.webp")
    for output, photos in sheets.items():
        write_sheet([row_of_photo(model, before, photo, arguments.height) for photo in photos], output)


if __name__ == "__main__":
    main()
