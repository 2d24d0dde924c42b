"""From a folder of pictures or a video to a capture that training reads: structure from motion by COLMAP."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.frames import extract_frames
from mine.errors import InputError
from mine.files import replacing

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")

MAX_SIDE = 1600
"""Longest side in pixels at which features are found: more costs time and gains few registered pictures."""

RATE = 3.0
"""Frames per second taken of a video: a hand-held camera has moved by then, and the views still overlap."""

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
            text += f"; left out, unreadable or without overlap: {', '.join(self.left_out[:10])}"
        return text + (f" and {len(self.left_out) - 10} more" if len(self.left_out) > 10 else "")


def reconstruct(images: str | Path, output: str | Path, progress: bool = True, rate: float = RATE) -> Account:
    """Finds the cameras of the pictures in the folder `images` and writes a capture to the folder `output`.

    `images` may also be a video file, of which `rate` frames per second are taken; these are matched with the next ones
    only, and share one camera. The capture has COLMAP's layout, lens distortion removed: `output/images/` and
    `output/sparse/0/*.bin`. It appears whole or not at all. Of several models that do not connect, the largest is kept.

    Raises InputError for fewer than 3 pictures, for a file that is no video, for an `output` that exists, and when no
    model can be built.
    """
    images, output = Path(images), Path(output)
    video = images.is_file()
    names = [] if video else picture_names(images)
    if output.exists():
        raise InputError(f"{output} exists: choose another output folder")
    with replacing(output) as folder, tempfile.TemporaryDirectory() as work, quiet(), phases(progress) as phase:
        pictures = images
        if video:
            phase(f"taking {rate:g} frames per second")
            pictures = Path(work) / "frames"
            names = _enough(extract_frames(images, pictures, rate), f"{images} at {rate:g} frames per second")
        phase(f"finding features in {len(names)} pictures")
        database = Path(work) / "database.db"
        find_features(database, pictures, names, pycolmap.CameraMode.SINGLE if video else pycolmap.CameraMode.AUTO)
        match(database, len(names), video, phase)
        model = _place(database, pictures, len(names), Path(work), phase, images)
        phase("undistorting")
        model.write(work)
        pycolmap.undistort_images(folder, work, pictures)
        _arrange(folder)
    return account(model, names)


def picture_names(folder: Path) -> list[str]:
    """Names of the pictures directly in `folder`, in order. Raises InputError for fewer than 3."""
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: give a folder of pictures of one scene, or a video file")
    return _enough(sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES), str(folder))


def find_features(
    database: Path, images: Path, names: list[str], mode: pycolmap.CameraMode, model: str = "SIMPLE_RADIAL"
) -> None:
    """Finds features of the named pictures and stores them; cameras are of COLMAP's `model`, shared as `mode` says."""
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.max_image_size = MAX_SIDE
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = model
    pycolmap.extract_features(database, images, names, mode, reader, extraction)


def match(database: Path, count: int, in_order: bool, phase: Callable[[str], None]) -> None:
    """Matches the features of all pairs of `count` pictures, or of each picture and the next ones where `in_order`."""
    if in_order:
        phase(f"matching {count} pictures in their order")
        pycolmap.match_sequential(database)
    else:
        phase(f"matching {count * (count - 1) // 2} pairs of pictures")
        pycolmap.match_exhaustive(database)


def account(model: pycolmap.Reconstruction, names: list[str]) -> Account:
    """What became of the pictures `names` in `model`."""
    registered = sorted(image.name for image in model.images.values() if image.has_pose)
    left_out = sorted(set(names) - set(registered))
    return Account(tuple(registered), tuple(left_out), len(model.points3D), model.compute_mean_reprojection_error())


def _place(
    database: Path, pictures: Path, count: int, work: Path, phase: Callable[[str], None], given: Path
) -> pycolmap.Reconstruction:
    posed = 2

    def count_one() -> None:
        nonlocal posed
        posed += 1
        phase(f"placing cameras, {posed} of {count}")

    phase("placing the first two cameras")
    models = pycolmap.incremental_mapping(database, pictures, work, next_image_callback=count_one)
    if not models:
        raise InputError(
            f"no camera could be placed from the {count} pictures in {given}: take them from different places, "
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


def _enough(names: list[str], place: str) -> list[str]:
    if len(names) < MIN_PICTURES:
        raise InputError(f"{place} holds {len(names)} pictures: give at least {MIN_PICTURES} of one scene")
    return names


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps COLMAP's running commentary off the screen: errors are left."""
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.ERROR.value
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


@contextmanager
def phases(shown: bool) -> Iterator[Callable[[str], None]]:
    """A line on standard error, when that is a terminal, that says what is going on and for how long."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)
