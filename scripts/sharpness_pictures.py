"""The pictures of docs/sharpness.md: crops without what makes views sharp, and beside them with it.

python scripts/sharpness_pictures.py
"""

from argparse import ArgumentParser
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

import mine
from mine.evaluation.silhouettes import disparity_of_photo, generate_photo
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.input_size import network_size
from mine.output.camera_path import CameraPath
from mine.output.camera_paths import PIVOT, swing
from mine.output.framing import covering_zoom, crop_intrinsics, zoom_intrinsics
from mine.scene import silhouettes as layers
from mine.scene.camera import intrinsics, shift_principal_point
from mine.scene.depth import near_depth
from mine.scene.inpaint import Propagated
from mine.scene.mpi import MPI
from mine.scene.photo import read_photo
from mine.scene.pixels import to_pixels
from mine.scene.resize import resize

DOCS = Path(__file__).parents[1] / "docs"
MARGIN = 6
"""Pixels of white between two crops."""


def beside(before: Tensor, after: Tensor, magnify: int) -> Tensor:
    """Two crops (3, h, w) side by side, each pixel a square of `magnify` pixels."""
    pair = [interpolate(crop[None].clamp(0, 1), scale_factor=magnify, mode="nearest")[0] for crop in (before, after)]
    return torch.cat([pad(pair[0], (0, MARGIN), value=1.0), pair[1]], dim=2)


def save(name: str, rows: list[Tensor]) -> None:
    """Writes rows, one below the other, as docs/sharpness-`name`.png."""
    widest = max(row.shape[2] for row in rows)
    sheet = torch.cat([pad(row, (0, widest - row.shape[2], 0, MARGIN), value=1.0) for row in rows], dim=1)
    pixels = to_pixels(sheet[:, :-MARGIN])
    Image.fromarray(pixels).save(DOCS / f"sharpness-{name}.jpg", quality=92, subsampling=0)


def crop(image: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Part of an image (3, H, W)."""
    return image[:, y : y + height, x : x + width]


def ends(scene: MPI, size: tuple[int, int], fine: bool) -> tuple[Tensor, Tensor]:
    """The views (3, H, W) from the right and from the left end of the default path, as videos show them."""
    path = CameraPath.of(swing(4, depth=near_depth(scene)))
    K = crop_intrinsics(zoom_intrinsics(scene.intrinsics(size), path.focal), covering_zoom(scene, *path), size)
    if path.shift is not None:
        K = shift_principal_point(K, path.shift)
    right, left = scene.render(path.poses[[1, 3]], K[[1, 3]], size, fine=fine).rgb
    return right, left


def silhouettes() -> None:
    """A generated shape at 1920x1280, and photos at their own size."""
    size = (1280, 1920)
    photo, plane_size = generate_photo(size), network_size(*size)
    surface = disparity_of_photo(size, plane_size)
    disparity = plane_disparities(surface[None], 32)
    planes = lift_to_mpi(resize(photo, plane_size)[None], surface[None], disparity[None])[0]
    scene = MPI.from_planes(planes, disparity, intrinsics(plane_size, 65.0, aspect=1.5), photo, surface)
    places = [(scene, size, 1, (1380, 150, 160, 100))]
    model = mine.load()
    for name, end, where in (("portrait", 0, (330, 50, 160, 100)), ("street", 1, (0, 20, 160, 120))):
        lifted = model.predict(DOCS / "gallery" / f"{name}.jpg")
        places.append((lifted, lifted.size, end, where))
    rows = []
    for scene, view_size, end, where in places:
        coarse, sharp = (crop(ends(scene, view_size, fine)[end], *where) for fine in (False, True))
        rows.append(beside(coarse, sharp, magnify=3))
    save("silhouettes", rows)


def propagated_colour(found: Propagated, disparity_map: Tensor, image: Tensor) -> Tensor:
    """The colours of a background without texture, instead of `mine.scene.mirror.mirrored_colour`."""
    return interpolate(found.rgb, image.shape[-2:], mode="bilinear")


def hidden() -> None:
    """What photos hide, in the colours beside it and as their mirror image."""
    model, rows = mine.load(), []
    for name, end, where in (("kitten", 0, (370, 70, 160, 110)), ("koala", 0, (30, 60, 160, 110))):
        scene = model.predict(DOCS / "gallery" / f"{name}.jpg")
        with patch.object(layers, "mirrored_colour", propagated_colour):
            before = ends(scene, scene.size, True)[end]
        after = ends(model.predict(DOCS / "gallery" / f"{name}.jpg"), scene.size, True)[end]
        rows.append(beside(crop(before, *where), crop(after, *where), magnify=3))
    save("hidden", rows)


def wall(photo: Tensor) -> MPI:
    """The photo (3, H, W) on an opaque wall."""
    size = network_size(photo.shape[-2], photo.shape[-1])
    rgb, K = resize(photo, size).repeat(2, 1, 1, 1), intrinsics(size, 67, aspect=photo.shape[-1] / photo.shape[-2])
    return MPI(rgb, torch.full((2, 1, *size), 1e5), torch.tensor([0.5, 0.005]), K, photo)


def bilinear(photo: Tensor, zoom: float, size: tuple[int, int]) -> Tensor:
    """Bilinear samples of the photo's own pixels, zoomed in about its centre."""
    height, width = photo.shape[-2:]
    scale = [width / size[1] / zoom, height / size[0] / zoom]
    x, y = (width - 1 - scale[0] * (size[1] - 1)) / 2, (height - 1 - scale[1] * (size[0] - 1)) / 2
    matrix = np.array([[scale[0], 0, x], [0, scale[1], y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(photo.permute(1, 2, 0).numpy(), matrix, size[::-1], flags=flags)
    return torch.from_numpy(sampled).permute(2, 0, 1)


def sampling() -> None:
    """The crop of 1.034 that videos had, at the photo's size, and a view of a fifth of the photo's size."""
    rows = []
    for name, zoom, shrink, where in (
        ("koala", 1.034, 1.0, (170, 190, 160, 120)),
        ("street", 1.034, 0.2, (0, 0, 128, 83)),
    ):
        photo = read_photo(DOCS / "gallery" / f"{name}.jpg").rgb
        size = (round(photo.shape[-2] * shrink), round(photo.shape[-1] * shrink))
        scene = wall(photo)
        K = zoom_intrinsics(scene.intrinsics(size), torch.tensor([zoom]))
        after = scene.render(torch.eye(4), K, size).rgb[0]
        rows.append(beside(crop(bilinear(photo, zoom, size), *where), crop(after, *where), magnify=3))
    save("sampling", rows)


def keystone() -> None:
    """A wall of squares at the pivot, from the right end of the path: turned towards it, and with an off-axis shift."""
    y, x = torch.meshgrid(torch.arange(320), torch.arange(480), indexing="ij")
    squares = torch.where(((x // 40 + y // 40) % 2).bool(), 0.85, 0.35).expand(3, -1, -1).contiguous()
    scene = wall(squares)
    scene = MPI(scene.rgb, scene.sigma, torch.tensor([1 / PIVOT, 0.005]), scene.K, squares)
    turned, shifted = (scene.render(swing(4, amount=3, turn=turn)[1]).rgb[0] for turn in (True, False))
    save("keystone", [beside(turned, shifted, magnify=1)])


def main() -> None:
    """Writes all pictures."""
    torch.set_grad_enabled(False)
    silhouettes()
    hidden()
    sampling()
    keystone()


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()  # there are no options but --help
    main()
