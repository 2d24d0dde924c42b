"""Photos with depth maps as training pairs: each photo is the target of a picture made from it.

After the warp-back idea of Han et al., "Single-View View Synthesis in the Wild with Learned Adaptive Multiplane
Images", 2022, section 3.4: a photo is warped to another place by its depth and the holes are filled; then the warped
picture is taken for the source and the real photo for the target. What the network learns to draw is thus always real;
only what it looks at is made up in parts.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mine.data.base.crop_window import Size, Window, fit_window
from mine.data.base.image_pairs import MIN_ZOOM, NEAREST, NEAREST_QUANTILE
from mine.data.base.resilient import ResilientDataset
from mine.data.base.sample import Sample
from mine.data.datasets.forward_warp import Floats, fill_holes, forward_warp
from mine.data.registry import register
from mine.errors import InputError
from mine.scene.photo import read_photo

FOV = 60.0
"""Horizontal field of view in degrees of photos that do not say: that of a telephone's main camera, or near it."""

REACH = (0.16, 0.08, 0.1)
"""How far the source is at most from the photo's camera: sideways, up or down, ahead; in units of the near depth."""

TURN = (1.5, 1.5, 0.5)
"""Standard deviations in degrees of its turn about the axes x, y, z."""

MARGIN = 0.12
"""Share of the sample's size that is warped beyond each of its borders."""

FARTHEST = 50.0
"""Disparity maps put nothing farther than this many times the nearest depth: their zero is arbitrary."""

MIN_KNOWN = 0.3
"""Share of a crop whose depth must be known."""


@register("depth-photos", evaluation=False)
class DepthPhotos(ResilientDataset):
    """Training pairs of `size` (H, W) from a folder of photos with depth maps.

    root: folder with `photos/NAME.jpg` (anything `read_photo` reads), and for each `depths/NAME.png` or `.npy`, depth z
    in any unit, 0 or not finite where unknown; or `disparities/NAME.png` or `.npy`, as networks predict them, 0 far
    away. PNGs are of 8 or 16 bits. Maps may be smaller than the photos, but of their shape.

    The target is a random crop, 0.7 to 1 times the largest of the size's aspect; the source is what a camera nearby
    sees of it. Samples are scaled so that the nearest surface (2% quantile of the target's depths) lies at 1 to 1.25.
    Depth maps are 0 where unknown or filled in; points (3, `points`) are drawn from them. `metric` is 0.

    Index i and i + n (n photos) are the same photo drawn anew, `epochs` times over, and a sample depends on (seed,
    index) alone. A photo or a map that cannot be read is skipped, see `ResilientDataset`.

    Raises InputError when no photo has a map.
    """

    def __init__(
        self, root: str | Path, size: Size = (256, 384), points: int = 256, seed: int = 0, epochs: int = 1000
    ) -> None:
        super().__init__()
        self.root, self.size, self.points, self.seed = Path(root), size, points, seed
        maps = {
            path.stem: path
            for kind in ("disparities", "depths")
            for path in sorted((self.root / kind).glob("*"))
            if path.suffix.lower() in (".png", ".npy")
        }
        photos = sorted((self.root / "photos").glob("*"))
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
        depth = depth * np.float32(rng.uniform(*NEAREST) / np.quantile(depth[known], NEAREST_QUANTILE))
        T_src_tgt = _move(rng)
        warped, warped_depth = forward_warp(photo, _everywhere(depth), K, T_src_tgt)
        source = fill_holes(warped, warped_depth)
        K_inner = K - np.array([[0, 0, self._margin[1]], [0, 0, self._margin[0]], [0, 0, 0]], np.float32)
        depth_src, depth_tgt = self._inner(warped_depth), self._inner(depth)
        return Sample(
            source=self._inner(source).clamp(0, 1),
            target=self._inner(photo).clamp(0, 1),
            K_src=torch.from_numpy(K_inner),
            K_tgt=torch.from_numpy(K_inner),
            T_tgt_src=torch.from_numpy(np.linalg.inv(T_src_tgt)).float(),
            points_src=_points(depth_src, K_inner, self.points, rng),
            points_tgt=_points(depth_tgt, K_inner, self.points, rng),
            depth_src=depth_src,
            depth_tgt=depth_tgt,
            metric=torch.tensor(0.0),
        )

    @property
    def _margin(self) -> Size:
        return round(MARGIN * self.size[0]), round(MARGIN * self.size[1])

    def _inner(self, values: Floats) -> Tensor:
        """(C, H, W) of an array (H, W, C) or (H, W), its margin cut off."""
        top, left = self._margin
        inner = values[top : top + self.size[0], left : left + self.size[1]]
        return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(inner).transpose(2, 0, 1)))

    def _crop(self, path: Path, map_path: Path, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """A random crop with its margin: colours (H', W', 3), depth (H', W') with 0 where unknown, intrinsics (3, 3).

        Raises OSError when the photo or its map cannot be read, or too little of the depth is known.
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


def read_depth(path: Path) -> Floats:
    """Depth (H, W) in any unit, 0 where unknown, from a .npy or .png file; of disparities when its folder is named so.

    Raises OSError when the file cannot be read or does not hold one value a pixel.
    """
    try:
        values = np.load(path) if path.suffix.lower() == ".npy" else np.asarray(Image.open(path))
        values = np.squeeze(values).astype(np.float32)
    except (OSError, SyntaxError, ValueError) as error:
        raise OSError(f"{path} cannot be read ({error})") from error
    if values.ndim != 2 or not np.isfinite(values).any() or np.nanmax(np.where(np.isfinite(values), values, 0)) <= 0:
        raise OSError(f"{path} holds no depth: give one number a pixel, above 0 where it is known")
    known = np.isfinite(values)
    values = np.where(known, values, 0)
    if path.parent.name == "disparities":
        values = np.where(known, 1 / np.maximum(values / values.max(), 1 / FARTHEST), 0)
    return np.maximum(values, 0).astype(np.float32)


def _nearest_pixels(depth: Floats, window: Window, photo: Size, size: Size) -> Floats:
    """The window of a photo (H, W) at `size` from a depth map of another resolution: picked, not mixed."""
    rows = (window.top + (np.arange(size[0]) + 0.5) * window.height / size[0]) * depth.shape[0] / photo[0]
    columns = (window.left + (np.arange(size[1]) + 0.5) * window.width / size[1]) * depth.shape[1] / photo[1]
    return depth[np.ix_(rows.astype(int), columns.astype(int))]


def _everywhere(depth: Floats) -> Floats:
    """Depth (H, W) with the nearest known one where it is 0."""
    rows, columns = distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    return depth[rows, columns]


def _move(rng: np.random.Generator) -> Floats:
    """Pose (4, 4) of the source from the target: a small random step and turn."""
    x, y, z = np.radians(rng.normal(0, TURN))
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = about_z @ about_y @ about_x
    pose[:3, 3] = rng.uniform(-1, 1, 3) * REACH
    return pose


def _points(depth: Tensor, K: Floats, count: int, rng: np.random.Generator) -> Tensor:
    """Points (3, count) at random pixels of a depth map (1, H, W) where it is known, in camera coordinates."""
    y, x = torch.nonzero(depth[0], as_tuple=True)
    chosen = torch.from_numpy(rng.integers(len(y), size=count))
    y, x = y[chosen], x[chosen]
    return torch.from_numpy(np.linalg.inv(K)) @ torch.stack([x, y, torch.ones_like(x)]).float() * depth[0, y, x]
