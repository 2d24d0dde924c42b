"""From a folder of pictures to a capture that training reads: structure from motion by COLMAP."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mine.data.sfm import pycolmap
from mine.errors import InputError
from mine.files import replacing

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")

MAX_SIDE = 1600
"""Longest side in pixels at which features are found: more costs time and gains few registered pictures."""

MIN_PICTURES = 3
"""A point must be seen by three pictures to be trusted."""


@dataclass(frozen=True)
class Account:
    """What became of the pictures."""

    registered: tuple[str, ...]
    left_out: tuple[str, ...]
    """no pose was found: too little overlap, blur, or nothing to hold on to"""
    points: int
    error: float
    """mean reprojection error in pixels"""

    def __str__(self) -> str:
        total = len(self.registered) + len(self.left_out)
        text = f"{len(self.registered)} of {total} pictures registered, {self.points} points, {self.error:.2f} px error"
        if self.left_out:
            text += f"; left out for lack of overlap: {', '.join(self.left_out[:10])}"
        return text + (f" and {len(self.left_out) - 10} more" if len(self.left_out) > 10 else "")


def reconstruct(images: str | Path, output: str | Path, progress: bool = True) -> Account:
    """Finds the cameras of the pictures in the folder `images` and writes a capture to the folder `output`.

    The capture has COLMAP's layout, lens distortion removed: `output/images/` and `output/sparse/0/*.bin`. It appears
    whole or not at all. Of several models that do not connect, the largest is kept.

    Raises InputError for fewer than 3 pictures, for an `output` that exists, and when no model can be built.
    """
    images, output = Path(images), Path(output)
    names = _pictures(images)
    if output.exists():
        raise InputError(f"{output} exists: choose another output folder")
    with replacing(output) as folder, tempfile.TemporaryDirectory() as work, _quiet(), _phases(progress) as phase:
        model = _solve(images, names, Path(work), phase)
        phase("undistorting")
        model.write(work)
        pycolmap.undistort_images(folder, work, images)
        _arrange(folder)
    registered = sorted(image.name for image in model.images.values() if image.has_pose)
    left_out = sorted(set(names) - set(registered))
    return Account(tuple(registered), tuple(left_out), len(model.points3D), model.compute_mean_reprojection_error())


def _solve(images: Path, names: list[str], work: Path, phase: Callable[[str], None]) -> pycolmap.Reconstruction:
    database = work / "database.db"
    phase(f"finding features in {len(names)} pictures")
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.max_image_size = MAX_SIDE
    pycolmap.extract_features(database, images, names, extraction_options=extraction)
    phase(f"matching {len(names) * (len(names) - 1) // 2} pairs of pictures")
    pycolmap.match_exhaustive(database)
    posed = 2

    def count_one() -> None:
        nonlocal posed
        posed += 1
        phase(f"placing cameras, {posed} of {len(names)}")

    phase("placing the first two cameras")
    models = pycolmap.incremental_mapping(database, images, work, next_image_callback=count_one)
    if not models:
        raise InputError(
            f"no camera could be placed from the {len(names)} pictures in {images}: take them from different places, "
            "each overlapping the last by two thirds"
        )
    return max(models.values(), key=lambda model: model.num_reg_images())


def _arrange(folder: Path) -> None:
    """COLMAP's undistorter leaves a model in sparse/ and scripts beside it; a capture has sparse/0 and nothing else."""
    model = folder / "sparse"
    found = list(model.iterdir())
    (model / "0").mkdir()
    for path in found:
        path.rename(model / "0" / path.name)
    for path in folder.iterdir():
        if path.name not in ("images", "sparse"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: give a folder of pictures of one scene")
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if len(names) < MIN_PICTURES:
        raise InputError(f"{folder} holds {len(names)} pictures: give at least {MIN_PICTURES} of one scene")
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps COLMAP's running commentary off the screen: errors are left."""
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.ERROR.value
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


@contextmanager
def _phases(shown: bool) -> Iterator[Callable[[str], None]]:
    """A line on the screen that says what is going on and for how long."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)
