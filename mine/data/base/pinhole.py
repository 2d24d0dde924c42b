"""COLMAP's pinhole cameras of data sets that give matrices."""

from pathlib import Path

import torch

from mine.data.arrays import Float64s, Size
from mine.data.sfm.capture import check_camera
from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError
from mine.scene.camera import check_intrinsics


def pinhole(path: Path, K: Float64s, size: Size) -> pycolmap.Camera:
    """The camera of intrinsics.

    Args:
        path: The file that gives them, for messages.
        K: (3, 3) intrinsics in pixels whose centres are whole numbers.
        size: (H, W) of the images.

    Raises:
        InputError: K is none of a camera, or the size none of an image.
    """
    try:
        check_intrinsics(torch.from_numpy(K))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    params = [K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5]  # COLMAP counts from the first pixel's corner
    camera = pycolmap.Camera(model="PINHOLE", width=size[1], height=size[0], params=params)
    check_camera(path, camera)
    return camera
