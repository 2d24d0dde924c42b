"""Triangulation of sparse points from images with known cameras, to a capture in the unit of these poses."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.pictures import Pictures, link
from mine.data.sfm.reconstruct import (
    Report,
    check_new,
    find_features,
    image_names,
    quiet,
    readable,
    report,
    show_progress,
)
from mine.data.sfm.trajectory import Frame, read_trajectory
from mine.errors import InputError
from mine.files import replacing
from mine.temporary import temporary_folder

NEIGHBOURS = 10
"""Each image is matched with as many that follow it, and with the 16th, 32nd, ... after it."""


def triangulate(images: str | Path, poses: str | Path, output: str | Path, progress: bool = True) -> Report:
    """Writes a capture of images with known cameras, which stay unchanged.

    The capture has COLMAP's layout and appears whole or not at all. Images on the same disk are linked, not copied.

    Args:
        images: Folder of images, named by their timestamps. Those without a camera are left out.
        poses: File of cameras in RealEstate10K's format, see `read_trajectory`.
        output: Folder of the capture, which must not exist.
        progress: Show progress on a terminal.

    Raises:
        InputError: Fewer than 3 images have a camera, `output` exists, or no point is found.
    """
    images, output = Path(images), Path(output)
    names = image_names(images)
    shots = read_trajectory(Path(poses))
    files = {Path(name).stem: name for name in names}
    known = {files[shot.name]: shot for shot in shots if shot.name in files}
    if len(known) < 3:
        raise InputError(
            f"{len(known)} of the pictures in {images} have a camera in {poses}: name them by its timestamps"
        )
    check_new(output)
    with temporary_folder("colmap") as work, quiet(), show_progress(progress) as phase:
        pictures = readable(images, list(known), work)
        files = {Path(name).stem: name for name in pictures.names}
        shown = {files[shot.name]: shot for shot in shots if shot.name in files}  # in their order
        model = _triangulate(pictures.folder, shown, work, phase)
        if not model.points3D:
            raise InputError(f"no point could be found in {images}: check that {poses} belongs to these pictures")
        with replacing(output) as folder:
            (folder / "sparse" / "0").mkdir(parents=True)
            model.write(folder / "sparse" / "0")
            (folder / "images").mkdir()
            for image in model.images.values():
                _link(pictures.folder / image.name, folder / "images" / image.name)
    others = dict.fromkeys(set(names) - set(known), "it has no camera")
    return report(model, Pictures(pictures.folder, pictures.names, pictures.not_read | others, pictures.given))


def _triangulate(
    images: Path, known: dict[str, Frame], work: Path, phase: Callable[[str], None]
) -> pycolmap.Reconstruction:
    """Extracts and matches features, and triangulates their points."""
    phase(f"finding features in {len(known)} pictures")
    database = work / "database.db"
    # COLMAP's lists of pairs have no way to write a name with a space.
    names = {f"{number:06d}{Path(name).suffix}": name for number, name in enumerate(known)}
    for alias, name in names.items():
        link(images / name, work / "linked" / alias)
    images, known = work / "linked", {alias: known[name] for alias, name in names.items()}
    find_features(database, images, list(known), pycolmap.CameraMode.PER_IMAGE, "PINHOLE")
    model = _known_cameras(database, known)
    phase(f"matching {len(known)} pictures in their order")
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = work / "pairs.txt"
    pairing.match_list_path.write_text("".join(f"{a} {b}\n" for a, b in _pairs_to_match(list(known))))
    pycolmap.match_image_pairs(database, pairing_options=pairing)
    phase("triangulating")
    model = pycolmap.triangulate_points(model, database, images, work)
    for image in model.images.values():
        image.name = names[image.name]
    return model


def _known_cameras(database: Path, known: dict[str, Frame]) -> pycolmap.Reconstruction:
    """The known cameras as a reconstruction without points; their intrinsics are written to the database."""
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


def _pairs_to_match(names: list[str]) -> list[tuple[str, str]]:
    """Names of the pairs of images that are matched."""
    steps = [*range(1, NEIGHBOURS + 1), *(2**power for power in range(4, 10))]
    return [(a, names[i + step]) for i, a in enumerate(names) for step in steps if i + step < len(names)]


def _link(source: Path, target: Path) -> None:
    """Links a file, or copies it to another disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
