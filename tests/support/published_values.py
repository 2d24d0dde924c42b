"""A checkpoint in the published layout, and the values that the published code computes with it.

`values.npz` holds inputs and outputs of the published network, renderer and losses, large ones subsampled (`STEPS`).
`layout.json` holds the keys of a published checkpoint with their shapes and types. The weights depend on each key
alone, so that the same checkpoint can be made anywhere.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "parity"
STEPS = {"mpi_scale0": 4, "mpi_scale1": 2, "blended_rgb": 2}
"""Arrays of which only every n-th row and column is stored."""

State = dict[str, dict[str, Tensor]]


def published_values() -> dict[str, Tensor]:
    """Inputs and expected outputs by name, in float32, with a leading batch dimension of 1."""
    with np.load(FOLDER / "values.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def subsampled(name: str, values: Tensor) -> Tensor:
    """The rows and columns of values (..., H, W) that `values.npz` stores under `name`."""
    step = STEPS.get(name, 1)
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
    """He-scaled kernels and near-identity batch norm, sampled by a generator seeded with the key's checksum."""
    if kind == "int64":
        return torch.zeros(shape, dtype=torch.int64)
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    normal = torch.from_numpy(np.asarray(generator.standard_normal(shape), np.float32))
    if key.endswith("running_var"):
        return 1 + 0.1 * normal.abs()
    if len(shape) >= 2:
        return normal * math.sqrt(2 / math.prod(shape[1:]))
    return 1 + 0.1 * normal if key.endswith("weight") else 0.1 * normal
