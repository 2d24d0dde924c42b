"""Synthetic scenes (`mine.data.synthetic`) as an entry of a configuration's `data`: `kind: synthetic`."""

from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import Dataset

from mine.data.base.cached import CachedDataset
from mine.data.base.resized import Resized
from mine.data.base.sample import Sample
from mine.data.registry import Source, register
from mine.data.sfm.capture import Size
from mine.data.synthetic import SyntheticScenes


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
    """folder in which each sample is kept once it is generated"""


@register("synthetic", SyntheticSource)
def open_scenes(
    count: int, seed: int, textures: str | None, render_size: Size | None, cache: str | None, size: Size
) -> Dataset[Sample]:
    """Synthetic scenes with the options of a `SyntheticSource`, as samples of `size` (H, W)."""
    scenes: Dataset[Sample] = SyntheticScenes(count, render_size or size, Path(textures) if textures else None, seed)
    if cache:
        scenes = CachedDataset(scenes, cache)
    return Resized(scenes, size) if render_size else scenes
