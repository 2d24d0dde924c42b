"""Photos with depth maps as training pairs, by warp-back.

Han et al., "Single-View View Synthesis in the Wild with Learned Adaptive Multiplane Images", 2022, section 3.4: a photo
is warped to another viewpoint by its depth, and disoccluded pixels are filled. The warped image is the source and the
photo is the target, so that the network is supervised by real images only.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.spatial.transform import Rotation
from torch import Tensor

from mine.data.arrays import Float32s, Size
from mine.data.base.crop_window import Window, fit_window
from mine.data.base.image_pairs import MIN_ZOOM, NEAR_DEPTH, NEAR_QUANTILE
from mine.data.base.resilient import ResilientDataset
from mine.data.base.sample import Sample
from mine.data.base.sparse_points import sample_points
from mine.data.datasets.forward_warp import fill_holes, forward_warp
from mine.errors import InputError
from mine.inputs.files import open_regular
from mine.inputs.folders import matching
from mine.inputs.images import open_image
from mine.scene.photo import read_photo

FOV = 60.0
"""Horizontal field of view in degrees of photos without EXIF data: a guess, below a phone's 67."""

MAX_BASELINE = (0.16, 0.08, 0.1)
"""Largest translation of the source from the photo's camera along x, y, z, in units of the near depth."""

ROTATION = (1.5, 1.5, 0.5)
"""Standard deviations in degrees of its rotation about the axes x, y, z."""

MARGIN = 0.12
"""Margin that is warped beyond each border of a sample, as a fraction of its size."""

MAX_DEPTH_RATIO = 50.0
"""Largest depth read from a disparity map, in units of the nearest depth: zero disparity is arbitrary."""

MAX_DEPTH = 1e6
"""Depth to which what is farther is brought, in units of the nearest one: some maps have 1e10 or more for the sky."""

MIN_KNOWN = 0.3
"""Fraction of a crop whose depth must be known."""


class DepthPhotos(ResilientDataset):
    """Training pairs from a folder of photos with depth maps; `metric` is 0.

    The target is a random crop of a photo, 0.7 to 1 times the largest of the size's aspect ratio; the source is the
    view of a camera nearby. Samples are scaled so that the nearest surface of the target lies at 1 to 1.25. Depth maps
    are 0 where unknown or filled in; sparse points are sampled from them. A photo or map that cannot be read is
    skipped, see `ResilientDataset`.

    Args:
        root: Folder with `photos/NAME.jpg` (anything `read_photo` reads) and, for each photo, `depths/NAME.png` or
            `.npy` (depth z in any unit, 0 or not finite where unknown), or `disparities/NAME.png` or `.npy` (0 at
            infinity). PNGs have 8 or 16 bits. Maps may be smaller than their photos, but of the same aspect ratio.
        size: (H, W) of the samples, in pixels.
        points: Number of sparse points in a sample.
        seed: Seed of the samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each photo.

    Raises:
        InputError: No photo has a map.
    """

    def __init__(
        self, root: str | Path, size: Size = (256, 384), points: int = 256, seed: int = 0, epochs: int = 1000
    ) -> None:
        super().__init__()
        self.root, self.size, self.points, self.seed = Path(root), size, points, seed
        maps = {
            path.stem: path
            for kind in ("disparities", "depths")
            for path in matching(self.root / kind, "*")
            if path.suffix.lower() in (".png", ".npy")
        }
        photos = matching(self.root / "photos", "*")
        self.files = [(photo, maps[photo.stem]) for photo in photos if photo.stem in maps]
        if not self.files:
            raise InputError(
                f"{self.root}: of {len(photos)} photos in photos/ none has a map of its name in depths/ or disparities/"
            )
        self.length = len(self.files) * epochs

    def __len__(self) -> int:
        return self.length

    def make(self, index: int) -> Sample:
        rng = np.random.default_rng([self.seed, index])
        photo, depth, K = self._crop(*self.files[index % len(self.files)], rng)
        known = depth > 0
        scale = rng.uniform(*NEAR_DEPTH) / float(np.quantile(depth[known], NEAR_QUANTILE))
        depth = np.minimum(depth.astype(np.float64) * scale, MAX_DEPTH).astype(np.float32)
        T_src_tgt = _random_pose(rng)
        warped, warped_depth = forward_warp(photo, _fill_unknown(depth), K, T_src_tgt)
        source = fill_holes(warped, warped_depth)
        K_inner = K - np.array([[0, 0, self._margin[1]], [0, 0, self._margin[0]], [0, 0, 0]], np.float32)
        depth_src, depth_tgt = self._without_margin(warped_depth), self._without_margin(depth)
        return Sample(
            source=self._without_margin(source).clamp(0, 1),
            target=self._without_margin(photo).clamp(0, 1),
            K_src=torch.from_numpy(K_inner),
            K_tgt=torch.from_numpy(K_inner),
            T_tgt_src=torch.from_numpy(np.linalg.inv(T_src_tgt)).float(),
            points_src=sample_points(depth_src, K_inner, self.points, rng),
            points_tgt=sample_points(depth_tgt, K_inner, self.points, rng),
            depth_src=depth_src,
            depth_tgt=depth_tgt,
            metric=torch.tensor(0.0),
        )

    @property
    def _margin(self) -> Size:
        return round(MARGIN * self.size[0]), round(MARGIN * self.size[1])

    def _without_margin(self, values: Float32s) -> Tensor:
        """An array (H, W, C) or (H, W) without its margin, as a tensor (C, H, W)."""
        top, left = self._margin
        inner = values[top : top + self.size[0], left : left + self.size[1]]
        return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(inner).transpose(2, 0, 1)))

    def _crop(self, path: Path, map_path: Path, rng: np.random.Generator) -> tuple[Float32s, Float32s, Float32s]:
        """A random crop with its margin: colours (H', W', 3), depth (H', W'), 0 where unknown, and intrinsics (3, 3).

        Raises OSError if the photo or its map cannot be read, or too little of the depth is known.
        """
        try:
            rgb, fov = read_photo(path)
        except InputError as error:
            raise OSError(str(error)) from error
        height, width = rgb.shape[-2:]
        depth = read_depth(map_path)
        if abs(depth.shape[1] / depth.shape[0] * height / width - 1) > 0.02:
            raise OSError(f"{map_path} is {depth.shape[1]}x{depth.shape[0]}, not of its photo's shape {width}x{height}")
        size = self.size[0] + 2 * self._margin[0], self.size[1] + 2 * self._margin[1]
        window = fit_window((height, width), size, rng.uniform(MIN_ZOOM, 1), rng.uniform(0, 1, 2) * (width, height))
        focal = width / 2 / np.tan(np.radians(fov or FOV) / 2)
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        pixels = Image.fromarray((rgb.movedim(0, 2).numpy() * 255).round().astype(np.uint8))
        photo = pixels.resize(size[::-1], Image.Resampling.BICUBIC, box=window.box)
        cut = _nearest_pixels(depth, window, (height, width), size)
        if (cut > 0).mean() < MIN_KNOWN:
            raise OSError(f"{map_path} knows too little of the depth of its photo")
        return np.asarray(photo, np.float32) / np.float32(255), cut, window.intrinsics(K, size).astype(np.float32)


def read_depth(path: Path) -> Float32s:
    """Reads a depth map from a .npy or .png file, or from a disparity map in a folder named `disparities`.

    Returns:
        Depth (H, W) in any unit, 0 where unknown.

    Raises:
        OSError: The file cannot be read or does not hold one value a pixel.
    """
    try:
        if path.suffix.lower() == ".npy":
            with open_regular(path):  # refuses pipes and devices
                values = np.load(path, mmap_mode="r")  # mapped, as the header may promise more than there is
        else:
            with open_image(path) as image:
                values = np.asarray(image)
        values = np.squeeze(values).astype(np.float32)
    except (OSError, ValueError, TypeError, AttributeError, EOFError) as error:
        raise OSError(f"{path} cannot be read ({error})") from error
    if values.ndim != 2 or not np.isfinite(values).any() or np.nanmax(np.where(np.isfinite(values), values, 0)) <= 0:
        raise OSError(f"{path} holds no depth: give one number a pixel, above 0 where it is known")
    known = np.isfinite(values)
    values = np.where(known, values, 0)
    if path.parent.name == "disparities":
        values = np.where(known, 1 / np.maximum(values / values.max(), 1 / MAX_DEPTH_RATIO), 0)
    return np.maximum(values, 0).astype(np.float32)


def _nearest_pixels(depth: Float32s, window: Window, photo: Size, size: Size) -> Float32s:
    """Crops and resizes a depth map to `size` (H, W) by nearest neighbour; `window` is in pixels of `photo` (H, W)."""
    rows = (window.top + (np.arange(size[0]) + 0.5) * window.height / size[0]) * depth.shape[0] / photo[0]
    columns = (window.left + (np.arange(size[1]) + 0.5) * window.width / size[1]) * depth.shape[1] / photo[1]
    return depth[np.ix_(rows.astype(int), columns.astype(int))]


def _fill_unknown(depth: Float32s) -> Float32s:
    """Fills unknown depth (H, W) with that of the nearest pixel of known depth."""
    rows, columns = distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    return depth[rows, columns]


def _random_pose(rng: np.random.Generator) -> Float32s:
    """Random pose (4, 4), source-from-target: a small translation and rotation R = R_z R_y R_x."""
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = Rotation.from_euler("xyz", rng.normal(0, ROTATION), degrees=True).as_matrix()
    pose[:3, 3] = rng.uniform(-1, 1, 3) * MAX_BASELINE
    return pose
