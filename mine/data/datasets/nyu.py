"""NYU Depth v2 (Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images", 2012)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mine.data.base.depth_maps import DepthMaps, MeasuredDepth, known_depth
from mine.errors import InputError
from mine.inputs.files import open_input, parsing
from mine.inputs.matlab import read_mat

K = ((518.8579, 0.0, 324.5824), (0.0, 519.4696, 252.7362), (0.0, 0.0, 1.0))
"""Intrinsics of the colour camera, from the data set's toolbox, whose pixels count from 1 (325.5824, 253.7362)."""

CROP = (slice(45, 471), slice(41, 601))
"""Rows and columns that are evaluated (Eigen et al. 2014): at the borders depth is extrapolated."""

SHAPES = {"images": (3, 640, 480), "depths": (640, 480)}
"""Shapes of a photo and of its depth: columns come first, as MATLAB stores them."""

DTYPES = {"images": np.uint8, "depths": np.float32}

MAX_CHUNK = 1 << 26
"""Most bytes of a part of the file that is unfolded at once."""

REMEDY = "download both .mat files again"


class Nyu(DepthMaps):
    """The 654 test photos with their filled-in depth.

    Args:
        root: Folder with `nyu_depth_v2_labeled.mat` and `splits.mat`.

    Raises:
        InputError: The files cannot be read.
    """

    name = "nyu"

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        self.path = root / "nyu_depth_v2_labeled.mat"
        found = read_mat(root / "splits.mat", "list of NYU Depth v2", "put splits.mat there").get("testNdxs")
        numbers = found.ravel() if isinstance(found, np.ndarray) else np.zeros(0)
        with _opened(self.path) as file:
            count = min(len(_dataset(self.path, file, name)) for name in SHAPES)
        if not len(numbers) or not ((numbers >= 1) & (numbers <= count)).all():
            raise InputError(f"{root}: splits.mat does not fit to nyu_depth_v2_labeled.mat: {REMEDY}")
        self.numbers = numbers.astype(np.int64) - 1  # MATLAB counts from 1

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> MeasuredDepth:
        number = int(self.numbers[index])
        with _opened(self.path) as file:
            datasets = [_dataset(self.path, file, name) for name in SHAPES]
            with parsing(f"{self.path}: photo {number + 1} cannot be read", REMEDY):
                image, depth = (dataset[number] for dataset in datasets)
        valid = np.zeros(depth.T.shape, np.float32)
        valid[CROP] = depth.T[CROP]
        named = f"{self.path}: photo {number + 1}"
        return MeasuredDepth(torch.from_numpy(image).mT.float() / 255, torch.tensor(K), known_depth(valid, named))


def _opened(path: Path) -> Any:
    """The open HDF5 file. Raises InputError if it is none."""
    import h5py

    open_input(path, "file of NYU Depth v2", "put nyu_depth_v2_labeled.mat there").close()
    with parsing(f"file of NYU Depth v2 {path} cannot be read", REMEDY):
        return h5py.File(path)


def _dataset(path: Path, file: Any, name: str) -> Any:
    """A data set of an open HDF5 file. Raises InputError unless it is in the file, and of its shape and type."""
    import h5py

    with parsing(f"{path} has no readable {name}", REMEDY):
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):  # others lead to other files
            raise ValueError("it is not there")
        found = file[name]
        bytes_at_once = np.prod(found.chunks or SHAPES[name], dtype=float) * found.dtype.itemsize
        elsewhere = found.external or found.is_virtual
        expected = found.dtype == DTYPES[name] and found.shape[1:] == SHAPES[name]
        if not expected or elsewhere or bytes_at_once > MAX_CHUNK:
            raise ValueError(f"it has type {found.dtype} and shape {found.shape}, in parts {found.chunks}")
    return found
