"""A capture in COLMAP's layout: posed images, their pinhole cameras, and the sparse points that each of them sees.

The centre of the top-left pixel is (0.5, 0.5) in COLMAP and (0, 0) here, so principal points lose half a pixel when
they are read. Poses are OpenCV's in both. Lengths stay in COLMAP's arbitrary unit.
"""

import os
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from mine.data.arrays import Float64s, Size
from mine.data.sfm.colmap_library import pycolmap
from mine.data.sfm.layout import capture_name, check_capture_at, divisor
from mine.data.sfm.model_files import MAX_SIDE, check_model_files
from mine.data.sfm.read_model import read_model
from mine.errors import InputError
from mine.inputs.files import parsing, shorten, shown
from mine.inputs.folders import entries
from mine.inputs.images import open_image
from mine.scene.decoding.high_bit_depth import to_8bit
from mine.scene.exif import is_turned, read_exif, upright

NO_POINTS: Float64s = np.zeros((3, 0))
NO_IDS: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
"""Points, and their numbers, of images of a scene without points."""

MAX_ERROR = 2.0
"""Largest reprojection error of a point that is used, in pixels of COLMAP's images."""

MAX_FOCAL = 1000
"""Longest focal length, in units of the longest side that images may have."""

MIN_TRACK = 3
"""Fewest images that see a point that is used: a point that two rays define, a third one verifies."""


@dataclass(frozen=True, eq=False)
class PosedImage:
    """An image with its camera and the sparse points that it sees.

    Attributes:
        scene: Name of the capture.
        path: The image file.
        lens: COLMAP's camera, possibly with lens distortion, at the resolution at which the image is used.
        pose: (4, 4) pose, camera-from-world.
        points: (3, N) reliable points that it sees, world coordinates.
        ids: (N,) numbers of these points, ascending.
        turn: 6 or 8 where EXIF says that the picture must be turned to be upright, and its camera is of the picture as
            it is stored; else 1. `pose`, `K`, `size` and `load` are of the upright picture, `lens` and `pinhole` not.
    """

    scene: str
    path: Path
    lens: pycolmap.Camera
    pose: Float64s
    points: Float64s
    ids: NDArray[np.int64]
    turn: int = field(default=1, kw_only=True)

    @cached_property
    def pinhole(self) -> pycolmap.Camera:
        """The camera after undistortion, cropped so that every pixel is known."""
        if self.lens.is_undistorted():
            return self.lens
        return pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), self.lens)

    @property
    def size(self) -> Size:
        """(H, W) of the undistorted image."""
        size = self.pinhole.height, self.pinhole.width
        return size if self.turn == 1 else size[::-1]

    @cached_property
    def K(self) -> Float64s:  # noqa: N802
        """(3, 3) intrinsics of the undistorted image, in pixels whose centres are whole numbers."""
        half_pixel: Float64s = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        K: Float64s = self.pinhole.calibration_matrix() - half_pixel
        return K if self.turn == 1 else _turn_intrinsics(K, self.pinhole.width, self.pinhole.height, self.turn)

    @cached_property
    def centre(self) -> Float64s:
        """(3,) position of the camera, world coordinates."""
        return -self.pose[:3, :3].T @ self.pose[:3, 3]

    def in_camera(self, points: Float64s) -> Float64s:
        """Transforms points (3, N) from world to camera coordinates."""
        return self.pose[:3, :3] @ points + self.pose[:3, 3:]

    def project(self, points: Float64s) -> Float64s:
        """Projects points (3, N), camera coordinates, to pixels (2, N)."""
        pixel = self.K @ points
        return pixel[:2] / pixel[2:]

    def load(self) -> Image.Image:
        """Decodes the undistorted RGB image, `size` large.

        Raises:
            OSError: The file cannot be decoded, its values are out of range, or it has not the camera's aspect ratio.
        """
        size = self.lens.width, self.lens.height
        try:
            with open_image(self.path) as file:
                exif = read_exif(file)
                # Cameras are those of the stored pixels, unless the program that found them turned the picture first.
                turned = is_turned(exif) and not _same_shape(file.size, size) and _same_shape(file.size[::-1], size)
                if not (turned or _same_shape(file.size, size)):
                    raise OSError(f"it is {file.width}x{file.height}, not of the shape its camera has")
                file.draft("RGB", size[::-1] if turned else size)  # lets JPEG shrink while it decodes
                image = to_8bit(file, "it")[0].convert("RGB")
                image = upright(image, exif) if turned else image
                image = image.resize(size, Image.Resampling.LANCZOS)
        except (OSError, InputError) as error:
            raise OSError(f"{self.path} cannot be decoded ({error})") from error
        image = image if self.lens.is_undistorted() else Image.fromarray(self._undistort(np.asarray(image)))
        return image if self.turn == 1 else image.transpose(_QUARTER_TURNS[self.turn].method)

    def _undistort(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image (H, W, 3) as the pinhole camera sees it."""
        height, width = self.pinhole.height, self.pinhole.width
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        rays = self.pinhole.cam_from_img(np.stack([x.ravel(), y.ravel()], axis=1))
        distorted = self.lens.img_from_cam(np.column_stack([rays, np.ones(len(rays))])) - 0.5
        maps = distorted.astype(np.float32).reshape(height, width, 2)
        remapped = cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(remapped, dtype=np.uint8)


class _QuarterTurn(NamedTuple):
    """How a picture is made upright that was stored lying on its side."""

    method: Image.Transpose
    rotation: Float64s
    """(3, 3) from the axes of the stored picture's camera to those of the upright one"""


_QUARTER_TURNS = {
    6: _QuarterTurn(Image.Transpose.ROTATE_270, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])),
    8: _QuarterTurn(Image.Transpose.ROTATE_90, np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])),
}
"""By EXIF orientation. 3 is not among them: from its camera alone nobody knows which side of a picture is up."""


def _turn_intrinsics(K: Float64s, width: int, height: int, turn: int) -> Float64s:
    """(3, 3) intrinsics of the upright picture, from those of the stored one, `width` x `height` pixels large."""
    cx, cy = (height - 1 - K[1, 2], K[0, 2]) if turn == 6 else (K[1, 2], width - 1 - K[0, 2])
    return np.array([[K[1, 1], 0, cx], [0, K[0, 0], cy], [0, 0, 1]])


def _quarter_turn(path: Path, lens: Size) -> int:
    """The EXIF orientation of a picture that lies on its side as its camera does, 1 of all others.

    Args:
        path: The picture.
        lens: (W, H) of its camera.
    """
    try:
        with open_image(path) as file:
            orientation = int(read_exif(file).get(ExifTags.Base.Orientation, 1))
            lies = _same_shape(file.size, lens) and not _same_shape(file.size[::-1], lens)
    except OSError:
        return 1  # told when it is loaded
    return orientation if orientation in _QUARTER_TURNS and lies else 1


def _same_shape(one: Size, other: Size) -> bool:
    """Whether two sizes have nearly the same aspect ratio."""
    return abs(one[0] / one[1] * other[1] / other[0] - 1) <= 0.02


def read_capture(folder: Path, cover: Size, scene: str | None = None) -> list[PosedImage]:
    """Reads a capture.

    Args:
        folder: The capture, with `images/` and `sparse/0/`.
        cover: (H, W) of the largest crop that is needed, to whose resolution images are reduced.
        scene: What the capture is called; the folder's name by default.

    Returns:
        The posed images, ordered by file name.

    Raises:
        InputError: There is no reconstruction, it cannot be read, it has no images, a pose is not finite, or image
            files are missing.
    """
    scene = scene or capture_name(folder)
    model = _read_model(folder)
    images = sorted(model.images.values(), key=lambda image: image.name)
    images = [image for image in images if image.has_pose]
    if not images:
        raise InputError(f"{folder}: the reconstruction has cameras but no pictures: reconstruct it with `mine colmap`")
    reliable = {
        number: point.xyz
        for number, point in model.points3D.items()
        if point.error <= MAX_ERROR and point.track.length() >= MIN_TRACK and np.isfinite(point.xyz).all()
    }
    names, cameras = [image.name for image in images], [_camera(scene, image) for image in images]
    turns = [1] * len(images)
    shrink = _shrink(cameras, turns, cover)
    paths = _find_images(folder, names, shrink)
    turns = [_quarter_turn(path, (lens.width, lens.height)) for path, lens in zip(paths, cameras, strict=True)]
    if set(turns) != {1}:
        shrink = _shrink(cameras, turns, cover)
        paths = _find_images(folder, names, shrink)
    found = zip(images, paths, turns, strict=True)
    return [_image(scene, image, path, shrink, reliable, turn) for image, path, turn in found]


def _camera(scene: str, image: pycolmap.Image) -> pycolmap.Camera:
    """The camera of one of COLMAP's images. Raises InputError if it has none."""
    if image.camera is None:
        raise InputError(f"scene {scene}: {image.name} has no camera: reconstruct it with `mine colmap`")
    return image.camera


def _shrink(cameras: list[pycolmap.Camera], turns: list[int], cover: Size) -> float:
    """The least scale, at most 1, at which all images cover a crop of `cover` (H, W) when they are upright."""
    scales = []
    for camera, turn in zip(cameras, turns, strict=True):
        height, width = (camera.height, camera.width) if turn == 1 else (camera.width, camera.height)
        scales.append(max(cover[0] / height, cover[1] / width))
    return min(1.0, max(scales))


def _read_model(folder: Path) -> pycolmap.Reconstruction:
    """The reconstruction of the capture in `folder`."""
    path = check_capture_at(folder)
    check_model_files(path)
    with parsing(f"{path} is not a readable COLMAP reconstruction", "make it anew with `mine colmap`"):
        model = read_model(path)
        names = [Path(image.name) for image in model.images.values()]  # an error for a name that is no text
    for name in names:
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{path} names the picture {shown(str(name))}, outside its folder: make it anew")
    for camera in model.cameras.values():
        check_camera(path, camera)
    return model


def check_camera(path: Path, camera: pycolmap.Camera) -> None:
    """Raises InputError for a camera without pixels, or with parameters that no lens has."""
    if not (0 < camera.width <= MAX_SIDE and 0 < camera.height <= MAX_SIDE):
        raise InputError(f"{path} has a camera of {camera.width}x{camera.height} pixels: make it anew")
    focals = [camera.params[index] for index in camera.focal_length_idxs()]
    if not np.isfinite(camera.params).all() or not all(0 < focal <= MAX_FOCAL * MAX_SIDE for focal in focals):
        raise InputError(f"{path} has a camera with the parameters {shown(camera.params_to_string())}: make it anew")


def _find_images(folder: Path, names: list[str], shrink: float) -> list[Path]:
    """Files of the named images in the smallest of images/, images_2/, ... whose scale is at least `shrink`."""
    smaller = {by: path for path in entries(folder) if (by := divisor(path.name)) and os.path.isdir(path)}
    for by in sorted(smaller, reverse=True):
        paths = [smaller[by] / name for name in names]
        if by * shrink <= 1 and all(map(os.path.isfile, paths)):
            return paths
    paths = [folder / "images" / name for name in names]
    if not os.path.isdir(folder / "images") and smaller:
        paths = [smaller[min(smaller)] / name for name in names]
    missing = [path for path in paths if not os.path.isfile(path)]  # False, unlike Path's, for names too long to exist
    if missing:
        raise InputError(
            f"{len(missing)} of {len(paths)} pictures are missing, first {shorten(str(missing[0]))}: copy them there"
        )
    return paths


def _image(
    scene: str, image: pycolmap.Image, path: Path, shrink: float, reliable: dict[int, Float64s], turn: int
) -> PosedImage:
    """The posed image of one of COLMAP's images, at a scale of `shrink`, with the reliable points that it sees."""
    pose: Float64s = np.eye(4)
    pose[:3] = image.cam_from_world().matrix()
    if not np.isfinite(pose).all():
        raise InputError(f"scene {scene}: the pose of {image.name} is not finite: reconstruct it with `mine colmap`")
    lens = copy(_camera(scene, image))
    lens.rescale(max(1, round(lens.width * shrink)), max(1, round(lens.height * shrink)))
    seen = {point.point3D_id for point in image.points2D if point.has_point3D()}
    ids = np.array(sorted(seen & reliable.keys()), dtype=np.int64)
    points: Float64s = np.array([reliable[number] for number in ids], dtype=np.float64).reshape(-1, 3).T
    in_front = pose[2, :3] @ points + pose[2, 3] > 0
    if turn != 1:
        pose[:3] = _QUARTER_TURNS[turn].rotation @ pose[:3]
    return PosedImage(scene, path, lens, pose, points[:, in_front], ids[in_front], turn=turn)
