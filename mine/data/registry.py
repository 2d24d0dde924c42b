"""Data sets by name: those that one folder in a fixed layout holds whole."""

from pathlib import Path

from mine.data.base.image_pairs import ImagePairs
from mine.data.datasets.depth_maps import DepthMaps
from mine.data.datasets.depth_photos import DepthPhotos
from mine.data.datasets.dtu import Dtu
from mine.data.datasets.flowers import Flowers
from mine.data.datasets.ibims import Ibims
from mine.data.datasets.kitti import Kitti, KittiDrives
from mine.data.datasets.nyu import Nyu
from mine.data.datasets.realestate10k import RealEstate10K
from mine.data.sfm.capture import Size
from mine.errors import InputError

SEVERAL: dict[str, type[Dtu] | type[Flowers] | type[RealEstate10K]] = {
    "dtu": Dtu,
    "flowers": Flowers,
    "realestate10k": RealEstate10K,
}
"""Those that know several targets of a source."""

PAIRS: dict[str, type[Dtu] | type[Flowers] | type[Kitti] | type[RealEstate10K]] = {
    **SEVERAL,
    "kitti": Kitti,
    "kitti-drives": KittiDrives,
}

KINDS = ("depth-photos", *sorted(PAIRS))

DEPTHS: dict[str, type[Ibims] | type[Nyu]] = {"ibims": Ibims, "nyu": Nyu}
"""Measured depth, for evaluation alone."""


def training_set(kind: str, root: str | Path, size: Size, seed: int, targets: int = 1) -> ImagePairs | DepthPhotos:
    """The training samples of `size` (H, W) of the data set of this kind in the folder `root`, with so many targets.

    Raises InputError for a kind that is none of KINDS or has no several targets, and for what the data set says of its
    folder.
    """
    if kind in SEVERAL:
        return SEVERAL[kind](root, size, training=True, seed=seed, targets=targets)
    found = DepthPhotos(root, size, seed=seed) if kind == "depth-photos" else _class(kind)(root, size, seed=seed)
    if targets > 1:
        raise InputError(f"targets is {targets}, but {kind} has one for each source: give 1")
    return found


def evaluation_set(kind: str, root: str | Path, size: Size) -> ImagePairs:
    """The evaluation pairs of the data set of this kind in the folder `root`, by its own protocol.

    Raises InputError for a kind that is none of KINDS or has no evaluation, and for what the data set says.
    """
    if kind == "depth-photos":
        raise InputError("depth-photos has no second views to evaluate on: choose a data set of real pairs")
    return _class(kind)(root, size, training=False)


def measured_depths(kind: str, root: str | Path) -> DepthMaps:
    """Photos with measured depth of the data set of this kind in the folder `root`.

    Raises InputError for a kind that is none of DEPTHS, and for what the data set says.
    """
    if kind not in DEPTHS:
        raise InputError(f"no measured depth of kind {kind!r}: choose {', '.join(DEPTHS)}")
    return DEPTHS[kind](root)


def _class(kind: str) -> type[Dtu] | type[Flowers] | type[Kitti] | type[RealEstate10K]:
    if kind not in PAIRS:
        raise InputError(f"no data set of kind {kind!r}: choose {', '.join(KINDS)}")
    return PAIRS[kind]
