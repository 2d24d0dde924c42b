"""Dense depth of a capture as photographs with measured disparity, which `kind: rgbd` of a configuration reads."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from mine.data.base.rgbd_layout import INDEX, write_photograph
from mine.data.sfm.capture import PosedImage, read_capture
from mine.data.sfm.dense import View, dense_depth
from mine.data.sfm.layout import capture_name
from mine.data.sfm.reconstruct import check_new
from mine.errors import InputError
from mine.files import replacing

LONGEST = 384
"""Longer side of the photographs in pixels: that of a network's input."""

NEIGHBOURS = 4
"""Images that each image is compared with."""

ANGLES = (1.5, 30.0)
"""Smallest and largest median angle in degrees between the rays of two images to the points that both see."""

MIN_SHARED = 12
"""Fewest points that two compared images share."""

RANGE = (0.75, 1.6)
"""Nearest and farthest plane, relative to the nearest and farthest point that an image sees."""

QUANTILE = 0.005
"""Quantile of the points' depths, from either end, that counts as the nearest and the farthest."""

MIN_KNOWN = 0.02
"""Fraction of a photograph whose depth must be known for it to be written."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DenseReport:
    """What was written."""

    photographs: int
    images: int
    known: float
    """mean fraction of the written photographs whose depth is known"""
    unreadable: int
    """of the images, those that cannot be decoded"""

    def __str__(self) -> str:
        text = f"dense depth of {self.photographs} of {self.images} pictures, {self.known:.0%} of their pixels"
        return f"{text}; {self.unreadable} cannot be decoded" if self.unreadable else text


def write_dense(capture: str | Path, output: str | Path, progress: bool = True) -> DenseReport:
    """Computes dense depth for the images of a capture and writes it in the layout of `kind: rgbd`.

    The folder appears whole or not at all. Pictures that cannot be decoded are left out, with a note.

    Args:
        capture: Folder of the capture, with `images/` and `sparse/0/`.
        output: Folder of the photographs, which must not exist.
        progress: Show progress on a terminal.

    Raises:
        InputError: The capture or all of its pictures cannot be read, `output` exists, or no depth is found.
    """
    capture, output = Path(capture), Path(output)
    check_new(output)
    posed = [image for image in read_capture(capture, (LONGEST, LONGEST)) if image.points.shape[1] >= MIN_SHARED]
    known: list[float] = []
    console = Console(stderr=True)
    shown = progress and console.is_terminal
    with replacing(output) as folder, Progress(console=console, disable=not shown, transient=True) as bar:
        folder.mkdir(exist_ok=True)
        images, pictures = _decoded(posed)
        task = bar.add_task("dense depth", total=2 * len(images))
        views = [_view(image, images, picture) for image, picture in zip(images, pictures, strict=True)]
        lines = []
        for number, depth in enumerate(dense_depth(views, lambda: bar.advance(task))):
            share = float((depth > 0).float().mean())
            if share < MIN_KNOWN:
                continue
            name = f"{number:04d}"
            write_photograph(folder / name, pictures[number], depth.numpy())
            line = {"name": name, "place": capture_name(capture), "fx": round(float(views[number].K[0, 0]), 2)}
            lines.append(json.dumps(line | {"picture": images[number].path.name}))
            known.append(share)
        if not known:
            raise InputError(f"no dense depth in {capture}: its pictures overlap too little, or are too plain")
        (folder / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return DenseReport(len(known), len(posed), float(np.mean(known)), len(posed) - len(images))


def neighbours(image: PosedImage, images: list[PosedImage]) -> tuple[int, ...]:
    """Chooses the images to compare an image with: those sharing most points, seen from well apart.

    Args:
        image: The image.
        images: All images of the capture.

    Returns:
        Indices in `images`, the best first, at most `NEIGHBOURS`.
    """
    found = []
    for index, other in enumerate(images):
        shared = np.isin(image.ids, other.ids, assume_unique=True)
        if other is image or shared.sum() < MIN_SHARED:
            continue
        rays = [image.points[:, shared] - camera.centre[:, None] for camera in (image, other)]
        one, two = (ray / np.linalg.norm(ray, axis=0) for ray in rays)
        angle = np.degrees(np.median(np.arccos(np.clip((one * two).sum(0), -1, 1))))
        if ANGLES[0] <= angle <= ANGLES[1]:
            found.append((-int(shared.sum()), index))
    return tuple(index for _, index in sorted(found)[:NEIGHBOURS])


def _decoded(posed: list[PosedImage]) -> tuple[list[PosedImage], list[Image.Image]]:
    """The images that can be decoded, and their reduced pictures. Raises InputError if there are images, but none."""
    images: list[PosedImage] = []
    pictures: list[Image.Image] = []
    failed: OSError | None = None
    for image in posed:
        try:
            pictures.append(_reduced(image))
        except OSError as error:
            log.warning("left out a picture: %s", error)
            failed = error
        else:
            images.append(image)
    if failed and not images:
        raise InputError(f"none of {len(posed)} pictures can be decoded ({failed}): copy them again")
    return images, pictures


def _reduced(image: PosedImage) -> Image.Image:
    """The image, at most `LONGEST` long."""
    height, width = image.size
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image.load().resize(size, Image.Resampling.LANCZOS)


def _view(image: PosedImage, images: list[PosedImage], picture: Image.Image) -> View:
    """An image of a capture as a sweep needs it."""
    factors = np.array([picture.width / image.size[1], picture.height / image.size[0]])
    K = image.K.copy()
    K[:2] *= factors[:, None]
    K[:2, 2] += (factors - 1) / 2  # the image's corner, at -0.5, stays there
    near, far = np.quantile(image.in_camera(image.points)[2], [QUANTILE, 1 - QUANTILE])
    return View(
        torch.from_numpy(np.asarray(picture.convert("L"), dtype=np.float32) / 255),
        torch.from_numpy(K).float(),
        torch.from_numpy(image.pose).float(),
        (float(near) * RANGE[0], float(far) * RANGE[1]),
        neighbours(image, images),
    )
