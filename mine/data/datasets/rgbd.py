"""Photographs with measured disparity: depth cameras, phones, stereo pairs, renders.

They supervise disparity networks: both images of a sample are examples of their own, and no camera links them.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.data.arrays import Size
from mine.data.base.crop_window import fit_window
from mine.data.base.image_pairs import MIN_ZOOM
from mine.data.base.resilient import ResilientDataset
from mine.data.base.rgbd_layout import INDEX, UNIT
from mine.data.base.sample import Sample
from mine.data.base.sparse_points import sample_points
from mine.errors import InputError
from mine.inputs.files import read_text
from mine.inputs.folders import matching
from mine.inputs.images import open_image
from mine.scene.decoding.high_bit_depth import to_8bit
from mine.scene.exif import read_exif, upright

FOV = 60.0
"""Horizontal field of view in degrees of photographs without a focal length: a guess, below a phone's 67."""

MIN_DISPARITY = 1e-3
"""Least known disparity relative to the nearest one: depth stays finite."""

MIN_KNOWN = 0.05
"""Fraction of a crop whose disparity must be known."""


MAX_BYTES = 1 << 26
"""Most bytes of an index: half a million photographs."""

MAX_FOCAL = 1e6
"""Longest focal length in pixels; the shortest is 1."""


class Photograph(NamedTuple):
    """One photograph and its map."""

    image: Path
    disparity: Path
    focal: float | None
    """focal length in pixels of the photograph"""


class Rgbd(ResilientDataset):
    """Pairs of independent photographs with dense or sparse disparity, for disparity networks.

    Each place contributes in proportion to the square root of its number of photographs, so that a long video of one
    room does not outweigh many rooms. Samples are random crops, 0.7 to 1 times the largest of the size's aspect ratio.

    Args:
        root: Folder in which `frames.jsonl` files lie, at any depth, with one JSON object a line: `name`, and where
            known `place` and `fx` (focal length in pixels). `NAME.jpg` and `NAME.png`, 16 bits, lie beside it:
            round(65535 nearest depth / depth), 0 where unknown, of the photograph as its EXIF orientation turns it.
        size: (H, W) of the samples, in pixels.
        points: Number of sparse points in a sample.
        seed: Seed of the samples; a sample depends on (seed, index) alone.
        length: Number of different samples.

    Raises:
        InputError: There is no photograph, or a line of an index is not valid.
    """

    second_views = False
    """Whether the target is another view of the source's scene"""

    def __init__(
        self, root: str | Path, size: Size = (256, 384), points: int = 256, seed: int = 0, length: int = 100_000
    ) -> None:
        super().__init__()
        self.size, self.points, self.seed, self.length = size, points, seed, length
        places: dict[str, list[Photograph]] = {}
        for index in matching(Path(root), f"**/{INDEX}"):
            for place, photograph in read_index(index):
                places.setdefault(place, []).append(photograph)
        if not places:
            raise InputError(f"no photographs in {root}: give a folder with {INDEX}, NAME.jpg and NAME.png of 16 bits")
        self.places = list(places.values())
        weights = np.sqrt([len(photographs) for photographs in self.places])
        self.probabilities = weights / weights.sum()

    def __len__(self) -> int:
        return self.length

    def make(self, index: int) -> Sample:
        rng = np.random.default_rng([self.seed, index])
        (source, K_src, depth_src), (target, K_tgt, depth_tgt) = (self._crop(rng) for _ in range(2))
        return Sample(
            source=source,
            target=target,
            K_src=K_src,
            K_tgt=K_tgt,
            T_tgt_src=torch.eye(4),
            points_src=sample_points(depth_src, K_src.numpy(), self.points, rng),
            points_tgt=sample_points(depth_tgt, K_tgt.numpy(), self.points, rng),
            depth_src=depth_src,
            depth_tgt=depth_tgt,
            metric=torch.tensor(1.0),
        )

    def _crop(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A random crop of a random photograph: image (3, H, W), intrinsics (3, 3), depth (1, H, W)."""
        photographs = self.places[rng.choice(len(self.places), p=self.probabilities)]
        photograph = photographs[rng.integers(len(photographs))]
        image, disparity = read_photograph(photograph)
        width, height = image.size
        centre = rng.uniform(0, 1, 2) * (width, height)
        window = fit_window((height, width), self.size, rng.uniform(MIN_ZOOM, 1), centre)
        focal = photograph.focal or width / 2 / np.tan(np.radians(FOV) / 2)
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        pixels = image.resize(self.size[::-1], Image.Resampling.BICUBIC, box=window.box)
        # Picked, not interpolated: between two surfaces there is nothing.
        picked = Image.fromarray(disparity).resize(self.size[::-1], Image.Resampling.NEAREST, box=window.box)
        known = np.asarray(picked)
        if (known > 0).mean() < MIN_KNOWN:
            raise OSError(f"{photograph.disparity} knows too little of the disparity")
        depth = np.where(known > 0, 1 / np.maximum(known, MIN_DISPARITY), 0).astype(np.float32)
        return (
            torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255,
            torch.from_numpy(window.intrinsics(K, self.size)).float(),
            torch.from_numpy(depth)[None],
        )


def read_index(path: Path) -> list[tuple[str, Photograph]]:
    """Reads a `frames.jsonl`.

    Returns:
        Place and files of each line; a photograph without a place is a place of its own.

    Raises:
        InputError: The file is no UTF-8 text, a line is not a JSON object with a `name` in the folder of the index, or
            its focal length is not positive, or longer than a million pixels.
    """
    found = []
    for number, line in enumerate(read_text(path, "index", "write it as UTF-8 text", MAX_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            name, focal = entry["name"], entry.get("fx")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            name = focal = None
        if not _is_name(name) or not (focal is None or _is_focal(focal)):
            raise InputError(
                f'{path}, line {number}, is not a photograph: give {{"name": "NAME", "place": "kitchen", "fx": 500}}'
            )
        place = entry.get("place", f"{path.parent}/{name}")
        files = path.parent / f"{name}.jpg", path.parent / f"{name}.png"
        found.append((str(place), Photograph(*files, None if focal is None else float(focal))))
    return found


def _is_name(name: object) -> bool:
    """Whether a value of an index names files in its folder, or below."""
    return isinstance(name, str) and not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_focal(focal: object) -> bool:
    """Whether a value of an index is a focal length."""
    return isinstance(focal, (int, float)) and not isinstance(focal, bool) and 1 <= focal <= MAX_FOCAL


def read_photograph(photograph: Photograph) -> tuple[Image.Image, np.ndarray]:
    """Reads an image, RGB and upright, and its disparity (H, W) relative to the nearest, float32, 0 where unknown.

    Raises:
        OSError: A file cannot be read, the map has not 16 bits, or it has another aspect ratio than the image.
    """
    try:
        with open_image(photograph.image) as file:
            image = upright(to_8bit(file, "it")[0].convert("RGB"), read_exif(file))
        with open_image(photograph.disparity) as file:
            values = np.asarray(file)
    except (InputError, SyntaxError) as error:
        raise OSError(f"{photograph.image}: {error}") from error
    if values.ndim != 2 or values.dtype not in (np.uint16, np.int32):
        raise OSError(f"{photograph.disparity} has not one channel of 16 bits")
    if abs(values.shape[1] / values.shape[0] * image.height / image.width - 1) > 0.02:
        raise OSError(f"{photograph.disparity} has another aspect ratio than {photograph.image.name}")
    disparity = values.astype(np.float32) / UNIT
    if disparity.shape != (image.height, image.width):
        disparity = np.asarray(Image.fromarray(disparity).resize(image.size, Image.Resampling.NEAREST))
    return image, disparity
