"""How sharp, alias-free, straight and steady clips are, without regard to depth: what sampling alone does to a photo.

    python benchmarks/detail.py photo.jpg large_photo.jpg

Prints for each photo, shown as a wall at the pivot:

- detail: variance of the Laplacian of a view at the photo's own size, cropped by 1.034, over the photo's; beside it
  that of the same crop by Pillow's Lanczos filter, the best that a crop leaves;
- aliasing: variance of the Laplacian of a view 640 pixels wide, over that of the same view at 1920 pixels shrunk by
  Pillow (Lanczos and box), for photos of at least 1920 pixels;
- keystone: by how much the left border of a wall becomes higher than the right one at the end of the default swing;
- flicker: second differences from frame to frame of the values at points tracked on the wall, as it moves 0.137 pixels
  a frame, in levels of 255, root mean square; 0 would be ideal.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import mine
from mine.output.camera_paths import PIVOT
from mine.output.framing import zoom_intrinsics
from mine.scene.camera import intrinsics
from mine.scene.photo import read_photo
from mine.scene.pixels import to_pixels
from mine.scene.resize import resize

CROP = 1.034
"""Zoom of the crop: what the default swing's was when this was first measured."""

NARROW, WIDE = 640, 1920
"""Widths in pixels of the views whose aliasing is compared."""


def wall(photo: Tensor, depth: float = PIVOT) -> mine.MPI:
    """The photo (3, H, W) on an opaque wall at a depth, with planes 384 pixels wide; larger views have their own."""
    height, width = photo.shape[-2:]
    size = (round(384 * height / width), 384)
    rgb = resize(photo, size)[None].repeat(2, 1, 1, 1)
    K = intrinsics(size, 67, aspect=width / height)
    surface = torch.full((1, *size), 1 / depth)
    return mine.MPI(rgb, torch.full((2, 1, *size), 1e5), 1 / torch.tensor([depth, 100 * depth]), K, photo, surface)


def fine_detail(image: Tensor) -> float:
    """Variance of the Laplacian of an image (3, H, W)."""
    grey = image.mean(0)
    across = grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((across + grey[:-2, 1:-1] + grey[2:, 1:-1] - 4 * grey[1:-1, 1:-1]).var())


def pillow(image: Tensor, size: tuple[int, int], method: Image.Resampling, zoom: float = 1.0) -> Tensor:
    """An image (3, H, W) cropped by `zoom` and resized to `size` (h, w)."""
    height, width = image.shape[-2:]
    x, y = width * (1 - 1 / zoom) / 2, height * (1 - 1 / zoom) / 2
    pixels = Image.fromarray(to_pixels(image))
    resized = pixels.resize(size[::-1], method, box=(x, y, width - x, height - y))
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255


def cropped(scene: mine.MPI, size: tuple[int, int]) -> Tensor:
    """The source view (3, H, W) zoomed in by CROP."""
    K = zoom_intrinsics(scene.intrinsics(size), torch.tensor([CROP]))
    return scene.render(torch.eye(4), K, size).rgb[0]


def detail_ratios(photo: Tensor) -> tuple[float, float]:
    """Detail that a crop of 1.034 keeps: ours, Lanczos."""
    size = (photo.shape[-2], photo.shape[-1])
    ours, ideal = cropped(wall(photo), size), pillow(photo, size, Image.Resampling.LANCZOS, CROP)
    return fine_detail(ours) / fine_detail(photo), fine_detail(ideal) / fine_detail(photo)


def aliasing_ratios(photo: Tensor) -> tuple[float, float]:
    """Detail of a narrow view over that of a wide view shrunk to its size by Lanczos, and by a box."""
    aspect = photo.shape[-2] / photo.shape[-1]
    narrow, wide = ((round(width * aspect), width) for width in (NARROW, WIDE))
    scene = wall(photo)
    large, small = cropped(scene, wide), fine_detail(cropped(scene, narrow))
    methods = Image.Resampling.LANCZOS, Image.Resampling.BOX
    lanczos, box = (small / fine_detail(pillow(large, narrow, method)) for method in methods)
    return lanczos, box


def keystone() -> float:
    """Height of a wall's left border over that of its right border, minus 1, at the end of the default swing."""
    pose = mine.paths.swing(frames=4)[1]
    corners = torch.tensor([[x, y, PIVOT, 1.0] for x in (-1.3, 1.3) for y in (-0.9, 0.9)])
    seen = corners @ pose.T
    rows = seen[:, 1] / seen[:, 2]
    return float(((rows[1] - rows[0]) / (rows[3] - rows[2]) - 1).abs())


def steadiness(photo: Tensor) -> float:
    """Root mean square of second differences, in levels of 255, of the values at points tracked on the wall."""
    size = (photo.shape[-2], photo.shape[-1])
    shifts = 0.137 * torch.arange(16)  # pixels: phases of all kinds
    scene = wall(photo)
    K = scene.intrinsics(size).repeat(len(shifts), 1, 1)
    K[:, 0, 2] += shifts
    moved = scene.render(torch.eye(4).repeat(len(shifts), 1, 1), K, size).rgb
    # Each frame is moved back by its spectrum, which adds no error but at the borders.
    back = torch.exp(2j * torch.pi * shifts[:, None] * torch.fft.fftfreq(size[1]))
    tracked = torch.fft.ifft(torch.fft.fft(moved) * back[:, None, None]).real[..., 16:-16]
    return float((255 * tracked.diff(n=2, dim=0)).square().mean().sqrt())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    photos = parser.parse_args().photos
    print(f"keystone {keystone():.2%}")
    for path in photos:
        photo = read_photo(path).rgb
        line = f"{path.name}: " + "detail {:.2f}, Lanczos {:.2f}".format(*detail_ratios(photo))
        if photo.shape[-1] >= WIDE:
            line += "; aliasing {:.2f} of Lanczos, {:.2f} of box".format(*aliasing_ratios(photo))
        print(f"{line}; flicker {steadiness(photo):.2f}")


if __name__ == "__main__":
    main()
