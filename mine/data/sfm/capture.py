"""One capture in COLMAP's layout: registered pictures, their pinhole cameras, and the points each of them sees.

COLMAP puts (0.5, 0.5) at the centre of the top-left pixel and we put (0, 0) there, so principal points lose half a
pixel on the way in. Poses are OpenCV's, as ours. Lengths stay in COLMAP's arbitrary unit.
"""

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mine.data.sfm.colmap_library import pycolmap
from mine.errors import InputError

Floats = NDArray[np.float64]
Size = tuple[int, int]

NO_POINTS: Floats = np.zeros((3, 0))
NO_IDS: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
"""What a picture sees of whose scene no points are known."""

MAX_ERROR = 2.0
"""Reprojection error in pixels of COLMAP's pictures above which a point is dropped."""

MIN_TRACK = 3
"""Pictures that must see a point: two rays always meet somewhere, the third one checks."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A registered picture, as its undistorted pinhole camera sees it.

    scene: the capture's name. path: the file. lens: COLMAP's camera at the resolution the picture is worked with.
    pose: (4, 4) camera-from-world. points: (3, N) world coordinates of the reliable points it sees. ids: (N,) their
    numbers, ascending.
    """

    scene: str
    path: Path
    lens: pycolmap.Camera
    pose: Floats
    points: Floats
    ids: NDArray[np.int64]

    @cached_property
    def pinhole(self) -> pycolmap.Camera:
        """The camera after undistortion, cropped so that no pixel is blank."""
        if self.lens.is_undistorted():
            return self.lens
        return pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), self.lens)

    @property
    def size(self) -> Size:
        """(H, W) of the undistorted picture."""
        return self.pinhole.height, self.pinhole.width

    @cached_property
    def K(self) -> Floats:  # noqa: N802
        """(3, 3) intrinsics in pixels of the undistorted picture, in our convention."""
        half_pixel: Floats = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        return self.pinhole.calibration_matrix() - half_pixel

    @cached_property
    def centre(self) -> Floats:
        """(3,) the camera's place in the world."""
        return -self.pose[:3, :3].T @ self.pose[:3, 3]

    def in_camera(self, points: Floats) -> Floats:
        """World points (3, N) in this camera's coordinates (3, N)."""
        return self.pose[:3, :3] @ points + self.pose[:3, 3:]

    def project(self, points: Floats) -> Floats:
        """Pixels (2, N) of points (3, N) in camera coordinates."""
        pixel = self.K @ points
        return pixel[:2] / pixel[2:]

    def load(self) -> Image.Image:
        """The undistorted picture, RGB, `size` large. Raises OSError when the file is not a readable picture of it."""
        size = self.lens.width, self.lens.height
        try:
            with Image.open(self.path) as file:
                if abs(file.width / file.height * size[1] / size[0] - 1) > 0.02:
                    raise OSError(f"it is {file.width}x{file.height}, not of the shape its camera has")
                file.draft("RGB", size)  # lets JPEG shrink while it decodes
                image = file.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        except (OSError, SyntaxError) as error:  # Pillow's PNG reader raises SyntaxError for broken chunks
            raise OSError(f"{self.path} cannot be decoded ({error})") from error
        return image if self.lens.is_undistorted() else Image.fromarray(self._undistort(np.asarray(image)))

    def _undistort(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = self.size
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        rays = self.pinhole.cam_from_img(np.stack([x.ravel(), y.ravel()], axis=1))
        distorted = self.lens.img_from_cam(np.column_stack([rays, np.ones(len(rays))])) - 0.5
        maps = distorted.astype(np.float32).reshape(height, width, 2)
        remapped = cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(remapped, dtype=np.uint8)


def read_capture(folder: Path, cover: Size) -> list[Picture]:
    """Pictures of the capture in `folder`, ordered by file name, about as large as is useful to crop `cover` (H, W).

    Raises InputError when there is no reconstruction, it cannot be read, it has no pictures, a pose is not finite, or
    pictures are missing on disk.
    """
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
    shrink = min(1.0, max(max(cover[0] / image.camera.height, cover[1] / image.camera.width) for image in images))
    paths = _find_pictures(folder, [image.name for image in images], shrink)
    return [_picture(folder.name, image, path, shrink, reliable) for image, path in zip(images, paths, strict=True)]


def captures_in(root: str | Path) -> list[Path]:
    """Folders of captures directly in `root`, or `root` alone when it is one itself; sorted by name.

    Raises InputError when there is none.
    """
    root = Path(root)
    if model_folder(root):
        return [root]
    found = sorted(path for path in root.iterdir() if model_folder(path)) if root.is_dir() else []
    if not found:
        raise InputError(f"no capture in {root}: give a folder with images/ and sparse/0 of COLMAP, or of such folders")
    return found


def model_folder(folder: Path) -> Path | None:
    """Where the capture in `folder` keeps its reconstruction, or None when it has none."""
    for name in ("sparse/0", "sparse"):
        if any((folder / name / f"images.{suffix}").is_file() for suffix in ("bin", "txt")):
            return folder / name
    return None


def _read_model(folder: Path) -> pycolmap.Reconstruction:
    path = model_folder(folder)
    if path is None:
        raise InputError(f"{folder} has no sparse/0 with a COLMAP reconstruction: make one with `mine colmap`")
    try:
        return pycolmap.Reconstruction(path)
    except (ValueError, RuntimeError, IndexError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path} is not a readable COLMAP reconstruction ({reason}): make it anew") from error


def _find_pictures(folder: Path, names: list[str], shrink: float) -> list[Path]:
    """Files of the named pictures in the smallest of images/, images_2/, ... that still has `shrink` of the pixels."""
    divisors = [int(path.name[7:]) for path in folder.glob("images_*") if path.name[7:].isdigit() and path.is_dir()]
    for divisor in sorted(divisors, reverse=True):
        paths = [folder / f"images_{divisor}" / name for name in names]
        if divisor * shrink <= 1 and all(path.is_file() for path in paths):
            return paths
    paths = [folder / "images" / name for name in names]
    if not (folder / "images").is_dir() and divisors:
        paths = [folder / f"images_{min(divisors)}" / name for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"{len(missing)} of {len(paths)} pictures are missing, first {missing[0]}: copy them there")
    return paths


def _picture(scene: str, image: pycolmap.Image, path: Path, shrink: float, reliable: dict[int, Floats]) -> Picture:
    pose: Floats = np.eye(4)
    pose[:3] = image.cam_from_world().matrix()
    if not np.isfinite(pose).all():
        raise InputError(f"scene {scene}: the pose of {image.name} is not finite: reconstruct it with `mine colmap`")
    if image.camera is None:
        raise InputError(f"scene {scene}: {image.name} has no camera: reconstruct it with `mine colmap`")
    lens = copy(image.camera)
    lens.rescale(round(lens.width * shrink), round(lens.height * shrink))
    seen = {point.point3D_id for point in image.points2D if point.has_point3D()}
    ids = np.array(sorted(seen & reliable.keys()), dtype=np.int64)
    points: Floats = np.array([reliable[number] for number in ids], dtype=np.float64).reshape(-1, 3).T
    in_front = pose[2, :3] @ points + pose[2, 3] > 0
    return Picture(scene, path, lens, pose, points[:, in_front], ids[in_front])
