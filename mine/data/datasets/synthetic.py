"""Synthetic scenes (`mine.data.synthetic`) as an entry of a configuration's `data`: `kind: synthetic`."""

from pathlib import Path

from torch.utils.data import Dataset

from mine.data.arrays import Size
from mine.data.base.cached import CachedDataset
from mine.data.base.resized import Resized
from mine.data.base.sample import Sample
from mine.data.synthetic import SyntheticScenes
from mine.data.synthetic.textures import fingerprint


def open_scenes(
    count: int, seed: int, textures: str | None, render_size: Size | None, cache: str | None, size: Size
) -> Dataset[Sample]:
    """Synthetic scenes with the options of a `mine.data.sources.SyntheticSource`, as samples of `size` (H, W).

    Raises:
        InputError: The cache holds samples of another seed, size or folder of textures.
    """
    folder, rendered = Path(textures) if textures else None, render_size or size
    scenes: Dataset[Sample] = SyntheticScenes(count, rendered, folder, seed)
    if cache:
        key = {"seed": seed, "size": rendered, "texture folder": fingerprint(folder) if folder else "none"}
        scenes = CachedDataset(scenes, cache, key)
    return Resized(scenes, size) if render_size else scenes
