"""Flowers light fields (Srinivasan et al., "Learning to Synthesize a 4D RGBD Light Field", 2017).

A lenslet image has 14x14 pixels under each microlens. The pixels at one position under all lenses are a sub-aperture
image: the view from one point of the aperture. The central 8x8 of these are free of vignetting.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mine.data.base.image_pairs import Pair
from mine.data.base.metric_pairs import MetricPairs
from mine.data.sfm.capture import NO_IDS, NO_POINTS, PosedImage
from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError
from mine.inputs.folders import matching
from mine.inputs.images import open_image

ANGLES = 14
"""Pixels under each microlens, in each direction."""

VIEWS = 8
"""Central views in each direction, which are used."""

GAMMA = 0.4
"""Exponent that brightens the files, which are stored dark."""

MAX_DISPARITY = 1.5
"""Disparity in pixels between neighbouring views at depth 1. It is 0 at depth 2, which is in focus, and the negative of
this at infinity. The data set does not give its cameras: this is an assumption, which fixes the unit of length."""

CENTRE = (4, 4)
CORNERS = ((0, 0), (0, VIEWS - 1), (VIEWS - 1, 0), (VIEWS - 1, VIEWS - 1))

TEST_EVERY = 33
"""Every 33rd light field is in the test split: about a hundred of 3343."""


@dataclass(frozen=True, eq=False)
class SubAperture(PosedImage):
    """A sub-aperture image; its `path` is that of the lenslet image, followed by row and column."""

    row: int
    column: int

    def load(self) -> Image.Image:
        return Image.fromarray(decode_light_field(self.path.parent)[self.row, self.column])


class Flowers(MetricPairs):
    """Pairs of views of one light field. There are no points; `metric` is 1, in the unit that `MAX_DISPARITY` fixes.

    Training takes random source and target views (`targets` of them) of the central 8x8; evaluation takes a central
    view as the source and the four corner views as targets.

    Args:
        root: Folder of lenslet images NAME_eslf.png, whose sides are multiples of 14. By name, every 33rd is in the
            test split.
        size: (H, W) of the samples, in pixels.
        training: Whether this is the training split.
        seed: Seed of training samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each light field.
        targets: Target views of each source view.

    Raises:
        InputError: There are no lenslet images.
    """

    def read(self) -> int:
        files = matching(self.root, "*.png")
        self.files = [file for i, file in enumerate(files) if (i % TEST_EVERY == 0) != self.training]
        if not self.files:
            raise InputError(f"{len(files)} lenslet pictures *.png in {self.root}: unpack the light fields there")
        self.stride = 1 if self.training else len(CORNERS)
        return len(self.files) * self.stride

    def pair(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        if not self.training:
            number, corner = divmod(index, len(CORNERS))
            return Pair(
                sub_aperture(self.files[number], *CENTRE),
                sub_aperture(self.files[number], *CORNERS[corner]),
                rng,
            )
        chosen = rng.choice(VIEWS * VIEWS, 1 + self.targets, replace=False)
        file = self.files[index % len(self.files)]
        source, target, *others = (sub_aperture(file, *divmod(int(number), VIEWS)) for number in chosen)
        return Pair(source, target, rng, tuple(others))

    def row(self, index: int) -> str:
        return "corners"

    def source_of(self, index: int) -> object:
        return index // len(CORNERS)


def sub_aperture(file: Path, row: int, column: int) -> SubAperture:
    """A sub-aperture image of a light field, row and column 0 to 7 from the top left.

    The cameras lie in one plane and look the same way. Refocusing shifts their principal points, so that what is in
    focus has no disparity, while infinity has.

    Raises:
        OSError: The file is no image.
    """
    width, height = _size(file)
    right, down = column - (VIEWS - 1) / 2, row - (VIEWS - 1) / 2
    step = 2 * MAX_DISPARITY / width  # times the focal length, which is taken to be the width: the shift of depth 1
    params = [width, width, width / 2 + MAX_DISPARITY * right, height / 2 + MAX_DISPARITY * down]
    pose = np.eye(4)
    pose[:2, 3] = -step * right, -step * down
    lens = pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params)
    return SubAperture(file.stem, file / f"{row}-{column}", lens, pose, NO_POINTS, NO_IDS, row, column)


@lru_cache(maxsize=1)
def decode_light_field(file: Path) -> NDArray[np.uint8]:
    """The central sub-aperture images (8, 8, H, W, 3) of a lenslet image, brightened.

    Raises:
        OSError: The file cannot be decoded.
    """
    width, height = _size(file)
    try:
        with open_image(file) as picture:
            lenslets = np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise OSError(f"{file} cannot be decoded ({error})") from error
    first = (ANGLES - VIEWS) // 2
    grid = lenslets.reshape(height, ANGLES, width, ANGLES, 3)[:, first : first + VIEWS, :, first : first + VIEWS]
    table = (255 * (np.arange(256) / 255) ** GAMMA).round().astype(np.uint8)
    return table[grid.transpose(1, 3, 0, 2, 4)]


def _size(file: Path) -> tuple[int, int]:
    """Width and height of the sub-aperture images in a lenslet image."""
    with open_image(file) as picture:
        width, height = picture.size
    if width % ANGLES or height % ANGLES:
        raise OSError(f"{file} is {width}x{height}: not a grid of lenslets of {ANGLES}x{ANGLES} pixels")
    return width // ANGLES, height // ANGLES
