"""iBims-1 (Koch et al., "Evaluation of CNN-based Single-Image Depth Estimation Methods", 2018): laser-scanned rooms."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mine.data.base.depth_maps import DepthMaps, MeasuredDepth, known_depth
from mine.errors import InputError
from mine.inputs.folders import matching
from mine.inputs.matlab import read_mat
from mine.scene.camera import check_intrinsics

Array = NDArray[Any]

MASKS = ("edges", "mask_invalid", "mask_transp", "mask_wall", "mask_table", "mask_floor")

PARTS = ("rgb", "depth", "calib", *MASKS)

REMEDY = "unpack ibims1_core_mat anew"

MAX_SIDE = 4096
"""Longest side of a photo in pixels: theirs have 640."""

MAX_REGIONS = 10_000
"""Largest number of a region in a mask."""


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
        self.files = matching(Path(root), "*.mat")
        if not self.files:
            raise InputError(f"no *.mat in {root}: unpack ibims1_core_mat there")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> MeasuredDepth:
        parts = _read(self.files[index])
        valid = (parts["mask_invalid"] > 0) & (parts["mask_transp"] > 0)
        return MeasuredDepth(
            image=torch.from_numpy(parts["rgb"].astype(np.float32) / 255).permute(2, 0, 1),
            K=_intrinsics(self.files[index], parts["calib"]),
            depth=known_depth(np.where(valid, parts["depth"], 0), str(self.files[index])),
            regions=torch.from_numpy(_numbered([parts[name] for name in PARTS[-3:]])),
            edges=torch.from_numpy(parts["edges"] > 0),
        )


def _numbered(masks: list[Array]) -> NDArray[np.int64]:
    """One map of the regions of several masks, each of which numbers its regions from 1."""
    regions = np.zeros(masks[0].shape, np.int64)
    for mask in masks:
        regions = np.where(mask > 0, mask.astype(np.int64) + regions.max(), regions)
    return regions


def _intrinsics(path: Path, calib: Array) -> torch.Tensor:
    """Intrinsics (3, 3), pixels counted from 0, of a calibration as MATLAB has it. Raises InputError for others."""
    K = torch.from_numpy(calib.astype(np.float32))
    if K.shape == (3, 3):
        K = K.clone() if K[2, 0] == 0 else K.T.clone()  # points are rows there
        K[:2, 2] -= 1  # its pixels count from 1
    try:
        check_intrinsics(K)
    except InputError as error:
        raise InputError(f"{path}: calib is no calibration ({error}): {REMEDY}") from error
    return K


def _read(path: Path) -> dict[str, Array]:
    """The arrays `PARTS` of a file, of types and sizes that fit to each other."""
    data = read_mat(path, "file of iBims-1", REMEDY).get("data")
    if not isinstance(data, dict) or (missing := [name for name in PARTS if name not in data]):
        told = f"numbers in data.{missing[0]}" if isinstance(data, dict) else "struct named data"
        raise InputError(f"{path} is no readable file of iBims-1 (it has no {told}): {REMEDY}")
    parts = {name: data[name] for name in PARTS}
    size = parts["depth"].shape
    if parts["rgb"].shape != (*size, 3) or any(parts[name].shape != size for name in MASKS):
        raise InputError(f"{path}: its pictures and masks differ in size: {REMEDY}")
    if len(size) != 2 or not 0 < min(size) <= max(size) <= MAX_SIDE or parts["rgb"].dtype != np.uint8:
        raise InputError(f"{path}: rgb is {parts['rgb'].dtype} of shape {parts['rgb'].shape}: {REMEDY}")
    for name in MASKS:
        if not (np.abs(parts[name]) <= MAX_REGIONS).all():  # False for what is not finite
            raise InputError(f"{path}: {name} has values beyond {MAX_REGIONS}: {REMEDY}")
    return parts
