"""The sample photos, whose scenes are packed beforehand: a click shows them at once."""

import shutil
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("samples")
"""For each sample: NAME.jpg, the photo; and by scripts/pack_samples.py NAME.json, the scene as in its page; NAME.mp4;
NAME-depth.jpg; NAME-motions.webp, the moving thumbnails."""

TITLES = {
    "temple": "Temple",
    "koala": "Koala",
    "portrait": "Portrait",
    "coffee": "Coffee",
    "street": "Street",
    "flower": "Flower",
    "cat": "Cat",
    "pavilion": "Pavilion",
}
"""Samples in the order in which they are shown, the first at once."""


@dataclass(frozen=True)
class Sample:
    """The files of a sample."""

    name: str
    folder: Path = FOLDER

    @property
    def title(self) -> str:
        """What it shows."""
        return TITLES[self.name]

    @property
    def photo(self) -> Path:
        """The photo."""
        return self.folder / f"{self.name}.jpg"

    @property
    def scene(self) -> Path:
        """The packed scene."""
        return self.folder / f"{self.name}.json"

    @property
    def video(self) -> Path:
        """A video of it."""
        return self.folder / f"{self.name}.mp4"

    @property
    def depth(self) -> Path:
        """Its depth in colour."""
        return self.folder / f"{self.name}-depth.jpg"

    @property
    def motions(self) -> Path:
        """Its moving thumbnails."""
        return self.folder / f"{self.name}-motions.webp"


def samples() -> list[Sample]:
    """The samples that are packed."""
    return [sample for sample in map(Sample, TITLES) if sample.scene.is_file()]


def unpack(folder: Path) -> list[Sample]:
    """Copies the samples to a folder that the demo serves."""
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for sample in samples():
        copy = Sample(sample.name, folder)
        for part in ("photo", "scene", "video", "depth", "motions"):
            shutil.copyfile(getattr(sample, part), getattr(copy, part))
        copies.append(copy)
    return copies
