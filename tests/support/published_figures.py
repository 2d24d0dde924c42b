"""A checkpoint in the published layout, and what the published code computes with it.

`figures.npz` was computed by the published network and renderer with weights that depend on each key alone;
`layout.json` lists these keys with their shapes and types, so that the same checkpoint can be rebuilt anywhere.
Of `mpi_scale0` every fourth row and column is kept, of `mpi_scale1` and `blended_rgb` every second.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "parity"
KEPT = {"mpi_scale0": 4, "mpi_scale1": 2, "blended_rgb": 2}
"""Figures of which only every n-th row and column is kept."""

State = dict[str, dict[str, Tensor]]


def figures() -> dict[str, Tensor]:
    """Inputs and expected results by name: float32, a leading batch of 1."""
    with np.load(FOLDER / "figures.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def thinned(name: str, values: Tensor) -> Tensor:
    """The rows and columns of values (..., H, W) that the figure `name` keeps."""
    step = KEPT.get(name, 1)
    return values[..., ::step, ::step]


def published_state() -> State:
    """{"backbone": {key: tensor}, "decoder": {key: tensor}} in the published layout, filled by `_fill`."""
    return {
        part: {key: _fill(f"{part}/{key}", shape, kind) for key, (shape, kind) in entries.items()}
        for part, entries in _layout().items()
    }


def empty_state() -> State:
    """The published layout filled with zeros that take no memory, for what depends on keys and shapes only."""
    return {
        part: {key: torch.zeros((), dtype=getattr(torch, kind)).expand(shape) for key, (shape, kind) in entries.items()}
        for part, entries in _layout().items()
    }


def _layout() -> dict[str, dict[str, tuple[list[int], str]]]:
    return json.loads((FOLDER / "layout.json").read_text())


def _fill(key: str, shape: list[int], kind: str) -> Tensor:
    """He-scaled kernels and near-identity batch norm, drawn from a generator seeded with the key's checksum."""
    if kind == "int64":
        return torch.zeros(shape, dtype=torch.int64)
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    normal = torch.from_numpy(np.asarray(generator.standard_normal(shape), np.float32))
    if key.endswith("running_var"):
        return 1 + 0.1 * normal.abs()
    if len(shape) >= 2:
        return normal * math.sqrt(2 / math.prod(shape[1:]))
    return 1 + 0.1 * normal if key.endswith("weight") else 0.1 * normal
