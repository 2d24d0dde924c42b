"""NYU Depth v2 (Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images", 2012)."""

from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from mine.data.base.depth_maps import DepthMap, DepthMaps
from mine.errors import InputError

K = ((518.8579, 0.0, 324.5824), (0.0, 519.4696, 252.7362), (0.0, 0.0, 1.0))
"""Intrinsics of the colour camera, from the data set's toolbox, whose pixels count from 1 (325.5824, 253.7362)."""

CROP = (slice(45, 471), slice(41, 601))
"""Rows and columns that are evaluated (Eigen et al. 2014): at the borders depth is extrapolated."""


class Nyu(DepthMaps):
    """The 654 test photos with their filled-in depth.

    Args:
        root: Folder with `nyu_depth_v2_labeled.mat` and `splits.mat`.

    Raises:
        InputError: The files cannot be read.
    """

    name = "nyu"

    def __init__(self, root: str | Path) -> None:
        import h5py  # type: ignore[import-untyped]

        root = Path(root)
        self.path = root / "nyu_depth_v2_labeled.mat"
        try:
            self.numbers = loadmat(root / "splits.mat")["testNdxs"].ravel().astype(int) - 1  # MATLAB counts from 1
            with h5py.File(self.path) as file:
                count = min(len(file["images"]), len(file["depths"]))
        except (MatReadError, OSError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{root} lacks NYU Depth v2 ({reason}): put both .mat files there") from error
        if not len(self.numbers) or not 0 <= self.numbers.min() <= self.numbers.max() < count:
            raise InputError(f"{root}: splits.mat does not fit to nyu_depth_v2_labeled.mat: download both again")

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> DepthMap:
        import h5py

        number = int(self.numbers[index])
        with h5py.File(self.path) as file:
            image, depth = file["images"][number], file["depths"][number]  # (3, W, H), (W, H)
        valid = np.zeros(depth.T.shape, np.float32)
        valid[CROP] = depth.T[CROP]
        return DepthMap(torch.from_numpy(image).mT.float() / 255, torch.tensor(K), torch.from_numpy(valid))
