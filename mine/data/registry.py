"""The data sets by the `kind` that a configuration gives them; this module imports no torch.

`docs/extending.md` shows how to add one.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from mine.data.sources import ColmapSource, FolderSource, Source, SyntheticSource
from mine.errors import InputError, choose

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from mine.data.arrays import Size
    from mine.data.base.depth_maps import DepthMaps
    from mine.data.base.sample import Sample


@dataclass(frozen=True)
class DataSetKind:
    """A kind of data set.

    What `path` names is called with the fields of `options` by name, and with those of the following that its
    signature has: `size` (H, W), `training`, `seed`, and `targets` (target views of each source view). An option of
    the same name takes precedence.

    Attributes:
        path: Module and class, or a function that returns a data set, as "module:name".
        options: Dataclass of the keys of an entry of a configuration's `data`.
        training: Whether a network can be trained on the data set.
        evaluation: Whether a network can be evaluated on it.
    """

    path: str
    options: type[Source] = FolderSource
    training: bool = True
    evaluation: bool = True

    def load(self) -> Callable[..., Any]:
        """Imports the class or function."""
        module, _, name = self.path.partition(":")
        opener: Callable[..., Any] = getattr(import_module(module), name)
        return opener


DATA_SETS = {
    "colmap": DataSetKind("mine.data.datasets.colmap:open_captures", ColmapSource),
    "depth-photos": DataSetKind("mine.data.datasets.depth_photos:DepthPhotos", evaluation=False),
    "dtu": DataSetKind("mine.data.datasets.dtu:Dtu"),
    "flowers": DataSetKind("mine.data.datasets.flowers:Flowers"),
    "ibims": DataSetKind("mine.data.datasets.ibims:Ibims", training=False),
    "kitti": DataSetKind("mine.data.datasets.kitti:Kitti"),
    "kitti-drives": DataSetKind("mine.data.datasets.kitti:KittiDrives"),
    "nyu": DataSetKind("mine.data.datasets.nyu:Nyu", training=False),
    "realestate10k": DataSetKind("mine.data.datasets.realestate10k:RealEstate10K"),
    "rgbd": DataSetKind("mine.data.datasets.rgbd:Rgbd", evaluation=False),
    "synthetic": DataSetKind("mine.data.datasets.synthetic:open_scenes", SyntheticSource),
}
"""Kinds of data sets by the `kind` of an entry of a configuration's `data`."""


def training_set(source: Source, size: "Size", seed: int = 0, targets: int = 1) -> "Dataset[Sample]":
    """Opens the training part of a data set.

    Args:
        source: Kind and options.
        size: (H, W) of the samples, in pixels.
        seed: Seed of random crops and pairs.
        targets: Target views of each source view.

    Raises:
        InputError: If the kind is unknown or has no training part, if it has fewer targets, or if the data set cannot
            be read.
    """
    entry = check_use(source, training=True)
    if targets > 1 and "targets" not in signature(entry.load()).parameters:
        raise InputError(f"targets is {targets}, but {source.kind} has one for each source: give 1")
    return _open(entry, source, size=size, training=True, seed=seed, targets=targets)


def evaluation_set(source: Source, size: "Size") -> "Dataset[Sample] | DepthMaps":
    """Opens the evaluation part of a data set: view pairs by its own protocol, or photos with measured depth.

    Args:
        source: Kind and options.
        size: (H, W) of view pairs, in pixels.

    Raises:
        InputError: If the kind is unknown or has no evaluation part, or if the data set cannot be read.
    """
    entry = check_use(source, training=False)
    return _open(entry, source, size=size, training=False)


def check_use(source: Source, training: bool) -> DataSetKind:
    """Checks that a data set can be trained on, or evaluated on.

    Args:
        source: Kind and options.
        training: Whether it is to be trained on; else evaluated on.

    Returns:
        The entry of `DATA_SETS`.

    Raises:
        InputError: There is no such kind, or it has no such part.
    """
    kind = DATA_SETS.get(source.kind)
    if kind is None:
        raise InputError(f"no data set of kind {source.kind!r}: {choose(source.kind, DATA_SETS)}")
    if training and not kind.training:
        raise InputError(f"{source.kind} is for evaluation alone: train on another kind of data")
    if not training and not kind.evaluation:
        raise InputError(f"{source.kind} has no second views to evaluate on: choose a data set of real pairs")
    return kind


def _open(kind: DataSetKind, source: Source, **run: Any) -> Any:
    """Calls what opens a data set with what it takes of the run's settings and, before these, with its own options."""
    common = {field.name for field in fields(Source)}
    options = {field.name: getattr(source, field.name) for field in fields(source) if field.name not in common}
    opener = kind.load()
    taken = signature(opener).parameters
    return opener(**{name: value for name, value in run.items() if name in taken} | options)
