"""Flowers light fields (Srinivasan et al., "Learning to Synthesize a 4D RGBD Light Field", 2017): lenslet pictures.

Under each lens of the camera are 14x14 pixels, one for each direction; the pixel at the same place under every lens,
taken together, is a small picture through one part of the aperture. The central 8x8 of these are free of vignetting.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mine.data.base.image_pairs import ImagePairs, Pair
from mine.data.registry import register
from mine.data.sfm.capture import NO_IDS, NO_POINTS, Picture, Size
from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError

ANGLES = 14
"""Pixels under each lens, in each direction."""

VIEWS = 8
"""Views used in each direction, the central ones."""

GAMMA = 0.4
"""Pictures are stored dark: this power of their values is shown."""

SHIFT = 1.5
"""Pixels by which the nearest thing moves from one view to the next, in units of depth at 1; infinity moves as far the
other way, and what is in focus, at 2, stays. The data set says nothing of its cameras: this is assumed."""

CENTRE = (4, 4)
CORNERS = ((0, 0), (0, VIEWS - 1), (VIEWS - 1, 0), (VIEWS - 1, VIEWS - 1))

EVALUATED = 33
"""Every 33rd light field is kept for evaluation: about a hundred of 3343."""


@dataclass(frozen=True, eq=False)
class View(Picture):
    """One view of a light field; `path` is the lenslet picture's, with row and column behind it."""

    row: int
    column: int

    def load(self) -> Image.Image:
        return Image.fromarray(sub_apertures(self.path.parent)[self.row, self.column])


@register("flowers")
class Flowers(ImagePairs):
    """Pairs of views of one light field. There are no points and `metric` is 1, in the unit that SHIFT fixes.

    root: folder of lenslet pictures NAME_eslf.png, of width and height that are multiples of 14. By name, every 33rd is
    kept for evaluation. Training draws source and target (or `targets` of them) from the central 8x8 views; index i and
    i + n (n light fields) are the same one drawn anew, `epochs` times over, and a sample depends on (seed, index)
    alone. Evaluation takes a central view as the source and the four corners as targets.

    Raises InputError when there are no lenslet pictures.
    """

    def __init__(
        self,
        root: str | Path,
        size: Size = (256, 384),
        training: bool = True,
        seed: int = 0,
        epochs: int = 100,
        targets: int = 1,
    ) -> None:
        super().__init__(size, training, points=0, metric=True, targets=targets)
        self.seed = seed
        files = sorted(Path(root).glob("*.png"))
        self.files = [file for i, file in enumerate(files) if (i % EVALUATED == 0) != training]
        if not self.files:
            raise InputError(f"{len(files)} lenslet pictures *.png in {root}: unpack the light fields there")
        self.stride = 1 if training else len(CORNERS)
        self.length = len(self.files) * (epochs if training else len(CORNERS))

    def __len__(self) -> int:
        return self.length

    def pair(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        if not self.training:
            number, corner = divmod(index, len(CORNERS))
            return Pair(view(self.files[number], *CENTRE), view(self.files[number], *CORNERS[corner]), rng)
        chosen = rng.choice(VIEWS * VIEWS, 1 + self.targets, replace=False)
        file = self.files[index % len(self.files)]
        source, target, *others = (view(file, *divmod(int(number), VIEWS)) for number in chosen)
        return Pair(source, target, rng, tuple(others))

    def row(self, index: int) -> str:
        return "corners"

    def source_of(self, index: int) -> object:
        return index // len(CORNERS)


def view(file: Path, row: int, column: int) -> View:
    """A view of the light field, 0 to 7 from the top and from the left. Raises OSError when the file is no picture.

    Views lie in one plane and look the same way. They are refocused, which moves their principal points: so that what
    is in focus is at the same place in all of them, while infinity is not.
    """
    width, height = _size(file)
    right, down = column - (VIEWS - 1) / 2, row - (VIEWS - 1) / 2
    step = 2 * SHIFT / width  # times the focal length, which is taken to be the width: the shift of depth 1
    params = [width, width, width / 2 + SHIFT * right, height / 2 + SHIFT * down]
    pose = np.eye(4)
    pose[:2, 3] = -step * right, -step * down
    lens = pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params)
    return View(file.stem, file / f"{row}-{column}", lens, pose, NO_POINTS, NO_IDS, row, column)


@lru_cache(maxsize=1)
def sub_apertures(file: Path) -> NDArray[np.uint8]:
    """The central views (8, 8, H, W, 3) of a lenslet picture, brightened. Raises OSError when it cannot be decoded."""
    width, height = _size(file)
    try:
        with Image.open(file) as picture:
            lenslets = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise OSError(f"{file} cannot be decoded ({error})") from error
    first = (ANGLES - VIEWS) // 2
    grid = lenslets.reshape(height, ANGLES, width, ANGLES, 3)[:, first : first + VIEWS, :, first : first + VIEWS]
    table = (255 * (np.arange(256) / 255) ** GAMMA).round().astype(np.uint8)
    return table[grid.transpose(1, 3, 0, 2, 4)]


def _size(file: Path) -> tuple[int, int]:
    """Width and height of the views in a lenslet picture."""
    with Image.open(file) as picture:
        width, height = picture.size
    if width % ANGLES or height % ANGLES:
        raise OSError(f"{file} is {width}x{height}: not a grid of lenslets of {ANGLES}x{ANGLES} pixels")
    return width // ANGLES, height // ANGLES
