"""Entries of a configuration's `data`: the options of each kind of data set. This module imports no torch."""

from dataclasses import dataclass


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


@dataclass(frozen=True, kw_only=True)
class ColmapSource(Source):
    """Captures in COLMAP's layout."""

    root: str
    """folder of captures"""
    scenes: tuple[str, ...] = ()
    """names of the captures in `root` to use, all by default"""


@dataclass(frozen=True, kw_only=True)
class SyntheticSource(Source):
    """Synthetic scenes."""

    count: int = 20000
    """number of scenes"""
    seed: int = 0
    """number of the first scene; scene n is the same in every data set with equal textures and size"""
    textures: str | None = None
    """folder of photos from which textures are cropped; procedural textures by default"""
    render_size: tuple[int, int] | None = None
    """(H, W) at which scenes are ray-cast, to save time, and then resized to the run's size, which is the default"""
    cache: str | None = None
    """folder in which each sample is kept once it is generated; another seed, size or textures need another folder"""
