"""Structure from motion by COLMAP: from a folder of images or a video to a capture."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.frames import extract_frames
from mine.data.sfm.pictures import Pictures, picture_names, prepare
from mine.errors import InputError
from mine.files import check_writable, replacing
from mine.inputs.folders import is_file, is_folder
from mine.temporary import temporary_folder

MAX_SIDE = 1600
"""Longest side in pixels at which features are extracted: more takes longer and registers few more images."""

RATE = 3.0
"""Default frames per second of a video: a hand-held camera has moved, and the views still overlap."""

MIN_IMAGES = 3
"""Fewest images of a capture: a reliable point is seen by three."""

MANY_IMAGES = 10
"""As many make a capture, however many others could not be placed."""

MIN_POINTS = 50
"""Fewest points of a capture: a reconstruction by mistake has fewer."""


@dataclass(frozen=True)
class Report:
    """Result of a reconstruction."""

    registered: tuple[str, ...]
    """names of the images whose poses were found"""
    left_out: tuple[str, ...]
    """names of the others, with too little overlap, blur, or too few features"""
    points: int
    error: float
    """mean reprojection error, in pixels"""
    not_used: tuple[str, ...] = ()
    """those of the others that could not be used at all, each with the reason"""

    def __str__(self) -> str:
        total = len(self.registered) + len(self.left_out) + len(self.not_used)
        text = f"{len(self.registered)} of {total} pictures registered, {self.points} points, {self.error:.2f} px error"
        text += _first("left out, without overlap", self.left_out)
        return text + _first("not used", self.not_used)


def _first(what: str, names: tuple[str, ...], most: int = 10) -> str:
    """The first of some names, as the end of a line; nothing if there are none."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"; {what}: {', '.join(names[:most])}{rest}" if names else ""


def reconstruct(images: str | Path, output: str | Path, progress: bool = True, rate: float = RATE) -> Report:
    """Estimates the cameras of images and writes a capture, without lens distortion.

    The capture has COLMAP's layout, `output/images/` and `output/sparse/0/*.bin`, and appears whole or not at all. Of
    several models that do not connect, the largest is kept.

    Args:
        images: Folder of images, or a video file. Frames of a video share one camera and are matched sequentially.
        output: Folder of the capture, which must not exist.
        progress: Show progress on a terminal.
        rate: Frames per second of a video.

    Raises:
        InputError: There are fewer than 3 images, the file is no video, `output` exists, or no model can be built.
    """
    images, output = Path(images), Path(output)
    video = is_file(images)
    names = [] if video else image_names(images)
    check_new(output)
    with temporary_folder("colmap") as work, quiet(), show_progress(progress) as phase:
        if video:
            phase(f"taking {rate:g} frames per second")
            names = _enough(extract_frames(images, work / "frames", rate), f"{images} at {rate:g} frames per second")
            pictures = Pictures(work / "frames", names, {}, {})
        else:
            phase(f"reading {len(names)} pictures")
            pictures = readable(images, names, work)
        phase(f"finding features in {len(pictures.names)} pictures")
        database = work / "database.db"
        mode = pycolmap.CameraMode.SINGLE if video else pycolmap.CameraMode.AUTO
        find_features(database, pictures.folder, pictures.names, mode)
        match(database, len(pictures.names), video, phase)
        model = _map_cameras(database, pictures.folder, len(pictures.names), work, phase, images)
        account = report(model, pictures)
        check_usable(account, images)
        phase("undistorting")
        model.write(work)
        with replacing(output) as folder:
            pycolmap.undistort_images(folder, work, pictures.folder)
            _tidy(folder)
    return account


def check_new(output: Path) -> None:
    """Raises InputError unless the folder of a capture can be written and does not exist yet."""
    check_writable(output, folder=True)
    if os.path.exists(output):
        raise InputError(f"{output} exists: choose another output folder")


def image_names(folder: Path) -> list[str]:
    """Names of the images in a folder and below it, in order. Raises InputError if there are fewer than 3."""
    if not is_folder(folder):
        raise InputError(f"no folder {folder}: give a folder of pictures of one scene, or a video file")
    return _enough(picture_names(folder), str(folder))


def readable(folder: Path, names: list[str], work: Path) -> Pictures:
    """The named images of a folder as COLMAP reads them, see `prepare`. Raises InputError if fewer than 3 can be read.

    Args:
        folder: Folder of the images.
        names: Names of the images in it.
        work: Folder that may be filled.
    """
    pictures = prepare(folder, names, work)
    if len(pictures.names) < MIN_IMAGES:
        why = next(iter(pictures.not_read.values()))
        raise InputError(f"{len(pictures.names)} of {len(names)} pictures in {folder} can be read (first other: {why})")
    return pictures


def check_usable(account: Report, given: Path) -> None:
    """Checks that a reconstruction can be trained on.

    Args:
        account: What it holds.
        given: Where its images come from, for the message.

    Raises:
        InputError: It holds only a few of the images, or few points.
    """
    found = len(account.registered)
    total = found + len(account.left_out) + len(account.not_used)
    if found < min(max(MIN_IMAGES, total / 4), MANY_IMAGES) or account.points < MIN_POINTS:
        raise InputError(
            f"{found} of {total} pictures in {given} could be placed, with {account.points} points, too few "
            "to train on: take more pictures from different places, sharp, each overlapping the last by two thirds"
        )


def find_features(
    database: Path, images: Path, names: list[str], mode: pycolmap.CameraMode, model: str = "SIMPLE_RADIAL"
) -> None:
    """Extracts features of images into a database.

    Args:
        database: COLMAP's database file.
        images: Folder of the images.
        names: Names of the images in it.
        mode: Which images share a camera.
        model: COLMAP's camera model.
    """
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.max_image_size = MAX_SIDE
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = model
    pycolmap.extract_features(database, images, names, mode, reader, extraction)


def match(database: Path, count: int, in_order: bool, phase: Callable[[str], None]) -> None:
    """Matches features of all pairs of `count` images or, if `in_order`, of successive ones; reports to `phase`."""
    if in_order:
        phase(f"matching {count} pictures in their order")
        pycolmap.match_sequential(database)
    else:
        phase(f"matching {count * (count - 1) // 2} pairs of pictures")
        pycolmap.match_exhaustive(database)


def report(model: pycolmap.Reconstruction, pictures: Pictures) -> Report:
    """The report on a model of these images, by the names that they have in the folder that was given."""
    registered = {image.name for image in model.images.values() if image.has_pose}
    found, left_out = (
        tuple(sorted(pictures.given.get(name, name) for name in names))
        for names in (registered, set(pictures.names) - registered)
    )
    # A reason names the file already.
    not_used = tuple(why if name in why else f"{name} ({why})" for name, why in sorted(pictures.not_read.items()))
    return Report(found, left_out, len(model.points3D), model.compute_mean_reprojection_error(), not_used)


def _map_cameras(
    database: Path, pictures: Path, count: int, work: Path, phase: Callable[[str], None], given: Path
) -> pycolmap.Reconstruction:
    """Estimates poses and points (incremental mapping), and returns the largest model."""
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


def _tidy(folder: Path) -> None:
    """Moves the model that COLMAP's undistorter leaves in sparse/ to sparse/0, and deletes its scripts."""
    model = folder / "sparse"
    found = list(model.iterdir())
    (model / "0").mkdir()
    for path in found:
        path.rename(model / "0" / path.name)
    for path in folder.iterdir():
        if path.name not in ("images", "sparse"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _enough(names: list[str], place: str) -> list[str]:
    """The names, if they are at least `MIN_IMAGES`. Raises InputError otherwise."""
    if len(names) < MIN_IMAGES:
        pictures = "1 picture" if len(names) == 1 else f"{len(names)} pictures"
        raise InputError(f"{place} holds {pictures}: give at least {MIN_IMAGES} of one scene")
    return names


@contextmanager
def quiet() -> Iterator[None]:
    """Context in which COLMAP logs nothing: what went wrong is told in a line of ours."""
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


@contextmanager
def show_progress(shown: bool) -> Iterator[Callable[[str], None]]:
    """Context with a function that shows the current phase and its duration, if standard error is a terminal."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)
