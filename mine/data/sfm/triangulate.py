"""Sparse points of pictures whose cameras are known: a capture in the unit of the given poses."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.reconstruct import Account, account, find_features, phases, picture_names, quiet
from mine.data.sfm.trajectory import Shot, read_trajectory
from mine.errors import InputError
from mine.files import replacing

NEIGHBOURS = 10
"""Each picture is matched with as many that follow it, and with the 16th, 32nd, ... after it."""


def triangulate(images: str | Path, poses: str | Path, output: str | Path, progress: bool = True) -> Account:
    """Writes a capture of the pictures in the folder `images` with the cameras in the file `poses`, unchanged.

    poses: RealEstate10K's format (`read_trajectory`); pictures are named by their timestamps, and those without a line
    are left out. The capture has COLMAP's layout and appears whole or not at all; pictures that are on the same disk
    are linked, not copied.

    Raises InputError for fewer than 3 pictures with a camera, an `output` that exists, and when no point is found.
    """
    images, output = Path(images), Path(output)
    names = picture_names(images)
    shots = read_trajectory(Path(poses))
    files = {Path(name).stem: name for name in names}
    known = {files[shot.name]: shot for shot in shots if shot.name in files}
    if len(known) < 3:
        raise InputError(
            f"{len(known)} of the pictures in {images} have a camera in {poses}: name them by its timestamps"
        )
    if output.exists():
        raise InputError(f"{output} exists: choose another output folder")
    with replacing(output) as folder, tempfile.TemporaryDirectory() as work, quiet(), phases(progress) as phase:
        model = _solve(images, known, Path(work), phase)
        if not model.points3D:
            raise InputError(f"no point could be found in {images}: check that {poses} belongs to these pictures")
        (folder / "sparse" / "0").mkdir(parents=True)
        model.write(folder / "sparse" / "0")
        (folder / "images").mkdir()
        for image in model.images.values():
            _link(images / image.name, folder / "images" / image.name)
    return account(model, names)


def _solve(images: Path, known: dict[str, Shot], work: Path, phase: Callable[[str], None]) -> pycolmap.Reconstruction:
    phase(f"finding features in {len(known)} pictures")
    database = work / "database.db"
    find_features(database, images, list(known), pycolmap.CameraMode.PER_IMAGE, "PINHOLE")
    model = _posed(database, known)
    phase(f"matching {len(known)} pictures in their order")
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = work / "pairs.txt"
    pairing.match_list_path.write_text("".join(f"{a} {b}\n" for a, b in _neighbours(list(known))))
    pycolmap.match_image_pairs(database, pairing_options=pairing)
    phase("triangulating")
    return pycolmap.triangulate_points(model, database, images, work)


def _posed(database: Path, known: dict[str, Shot]) -> pycolmap.Reconstruction:
    """The given cameras as a reconstruction without points; the database learns their intrinsics."""
    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as stored:
        for image in stored.read_all_images():
            shot, guess = known[image.name], stored.read_camera(image.camera_id)
            camera = shot.camera(guess.width, guess.height)
            camera.camera_id, camera.has_prior_focal_length = guess.camera_id, True
            stored.update_camera(camera)
            model.add_camera_with_trivial_rig(camera)
            pose = pycolmap.Rigid3d(shot.pose[:3])
            model.add_image_with_trivial_frame(
                pycolmap.Image(name=image.name, camera_id=camera.camera_id, image_id=image.image_id), pose
            )
    return model


def _neighbours(names: list[str]) -> list[tuple[str, str]]:
    steps = [*range(1, NEIGHBOURS + 1), *(2**power for power in range(4, 10))]
    return [(a, names[i + step]) for i, a in enumerate(names) for step in steps if i + step < len(names)]


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source.resolve(), place)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, place)
