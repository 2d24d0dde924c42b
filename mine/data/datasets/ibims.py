"""iBims-1 (Koch et al., "Evaluation of CNN-based Single-Image Depth Estimation Methods", 2018): laser-scanned rooms."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from mine.data.base.depth_maps import DepthMap, DepthMaps
from mine.errors import InputError

Array = NDArray[Any]

PARTS = ("rgb", "depth", "edges", "calib", "mask_invalid", "mask_transp", "mask_wall", "mask_table", "mask_floor")


class Ibims(DepthMaps):
    """Photos with depth, depth discontinuities, and planar regions: walls, tables and floors.

    Depth that is invalid or behind glass is unknown.

    Args:
        root: Folder of the data set's files NAME.mat (`ibims1_core_mat`).

    Raises:
        InputError: There are no such files, or one cannot be read.
    """

    name = "ibims"

    def __init__(self, root: str | Path) -> None:
        self.files = sorted(Path(root).glob("*.mat"))
        if not self.files:
            raise InputError(f"no *.mat in {root}: unpack ibims1_core_mat there")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> DepthMap:
        parts = _read(self.files[index])
        valid = (parts["mask_invalid"] > 0) & (parts["mask_transp"] > 0) & np.isfinite(parts["depth"])
        calib = parts["calib"].astype(np.float32)
        K = calib.copy() if calib[2, 0] == 0 else calib.T.copy()  # as MATLAB has it: points are rows there
        K[:2, 2] -= 1  # its pixels count from 1
        return DepthMap(
            image=torch.from_numpy(parts["rgb"].astype(np.float32) / 255).permute(2, 0, 1),
            K=torch.from_numpy(K),
            depth=torch.from_numpy(np.where(valid, parts["depth"], 0).astype(np.float32)),
            regions=torch.from_numpy(_numbered([parts[name] for name in PARTS[-3:]])),
            edges=torch.from_numpy(parts["edges"] > 0),
        )


def _numbered(masks: list[Array]) -> NDArray[np.int64]:
    """One map of the regions of several masks, each of which numbers its regions from 1."""
    regions = np.zeros(masks[0].shape, np.int64)
    for mask in masks:
        regions = np.where(mask > 0, mask.astype(np.int64) + regions.max(), regions)
    return regions


def _read(path: Path) -> dict[str, Array]:
    """The arrays `PARTS` of a file."""
    try:
        data = loadmat(path)["data"][0, 0]
        parts = {name: data[name] for name in PARTS}
    except (MatReadError, OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise InputError(f"{path} is no readable file of iBims-1 ({error}): unpack ibims1_core_mat anew") from error
    size = parts["depth"].shape
    if parts["rgb"].shape != (*size, 3) or any(parts[n].shape != size for n in PARTS if n not in ("rgb", "calib")):
        raise InputError(f"{path}: its pictures and masks differ in size: unpack ibims1_core_mat anew")
    return parts
