"""The data sets by the `kind` that a configuration gives them.

A data set registers itself where it is defined, with `@register("its-kind")`. Modules in `mine.data.datasets` are found
without being listed anywhere; `docs/extending.md` shows how to add one.
"""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from mine.errors import InputError

if TYPE_CHECKING:  # configurations are checked without torch
    from torch.utils.data import Dataset

    from mine.data.base.depth_maps import DepthMaps
    from mine.data.base.sample import Sample
    from mine.data.sfm.capture import Size

Opener = TypeVar("Opener", bound="Callable[..., Dataset[Sample] | DepthMaps]")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One entry of a configuration's `data`; derived classes add the options of one kind of data set."""

    kind: str
    share: float = 1.0
    """weight of this source's samples in training, relative to those of the other sources"""


@dataclass(frozen=True, kw_only=True)
class FolderSource(Source):
    """A data set that lies whole in one folder."""

    root: str


@dataclass(frozen=True)
class Entry:
    """A registered data set."""

    open: Callable[..., Any]
    options: type[Source]
    training: bool
    evaluation: bool


_ENTRIES: dict[str, Entry] = {}


def register(
    kind: str, options: type[Source] = FolderSource, training: bool = True, evaluation: bool = True
) -> Callable[[Opener], Opener]:
    """Decorates the class of a data set, or a function that returns one, with the kind that configurations name.

    The decorated object is called with the fields of `options` by name, and with those of the following that its
    signature has: `size` (H, W), `training`, `seed`, and `targets` (target views of each source view). An option of
    the same name takes precedence.

    Args:
        kind: Value of `kind` in an entry of a configuration's `data`.
        options: Dataclass of the other keys of such an entry.
        training: Whether a network can be trained on the data set.
        evaluation: Whether a network can be evaluated on it.
    """

    def add(found: Opener) -> Opener:
        _ENTRIES[kind] = Entry(found, options, training, evaluation)
        return found

    return add


def registry() -> Mapping[str, Entry]:
    """All registered data sets by kind. The first call imports their modules."""
    _import_data_sets()
    return dict(sorted(_ENTRIES.items()))


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
    entry = _entry(source.kind)
    if not entry.training:
        raise InputError(f"{source.kind} is for evaluation alone: train on another kind of data")
    if targets > 1 and "targets" not in signature(entry.open).parameters:
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
    entry = _entry(source.kind)
    if not entry.evaluation:
        raise InputError(f"{source.kind} has no second views to evaluate on: choose a data set of real pairs")
    return _open(entry, source, size=size, training=False)


def _entry(kind: str) -> Entry:
    known = registry()
    if kind not in known:
        raise InputError(f"no data set of kind {kind!r}: choose {', '.join(known)}")
    return known[kind]


def _open(entry: Entry, source: Source, **run: Any) -> Any:
    """Calls what was registered with what it takes of the run's settings and, before these, with its own options."""
    common = {field.name for field in fields(Source)}
    options = {field.name: getattr(source, field.name) for field in fields(source) if field.name not in common}
    taken = signature(entry.open).parameters
    return entry.open(**{name: value for name, value in run.items() if name in taken} | options)


@cache
def _import_data_sets() -> None:
    package = import_module("mine.data.datasets")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
