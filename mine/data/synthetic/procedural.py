"""Procedural textures from value noise: masonry, planks, stripes, windows, clouds. They tile without a seam."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

TEXELS = 256
"""Side of a surface texture in texels."""

_POOL = 96  # textures ever made; each depends on its number alone, so they can be cached without breaking determinism


def fractal(
    rng: np.random.Generator, size: int = TEXELS, first: int = 4, octaves: int = 5, decay: float = 0.55
) -> Tensor:
    """Multi-octave value noise (size, size) in [0, 1] that tiles; the coarsest octave has `first` cells a side."""
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for octave in range(octaves):
        cells = first * 2**octave
        if cells > size:
            break
        grid = np.pad(rng.random((cells, cells), dtype=np.float32), 2, mode="wrap")
        step = size // cells
        fine = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * fine[2 * step : 2 * step + size, 2 * step : 2 * step + size]
        weight *= decay
    return torch.from_numpy((total - total.min()) / (total.max() - total.min()))


def palette(rng: np.random.Generator, spread: float = 0.25) -> tuple[Tensor, Tensor]:
    """Two related colours (3,): mostly muted, as most surfaces are."""
    grey = rng.uniform(0.15, 0.85)
    hue = rng.normal(0, 1, 3)
    base = np.clip(grey + hue * rng.choice([0.02, 0.05, 0.14], p=[0.5, 0.4, 0.1]), 0.03, 0.97)
    other = np.clip(base + rng.uniform(-spread, spread) + rng.normal(0, 0.04, 3), 0.02, 0.98)
    return torch.tensor(base, dtype=torch.float32), torch.tensor(other, dtype=torch.float32)


def _mix(colours: tuple[Tensor, Tensor], weight: Tensor) -> Tensor:
    first, second = (colour[:, None, None] for colour in colours)
    return torch.lerp(first, second, weight)


def _grain(rng: np.random.Generator) -> Tensor:
    return 1 + rng.uniform(0.05, 0.35) * (fractal(rng, first=16, octaves=5, decay=0.8) - 0.5)


def _rough(rng: np.random.Generator) -> Tensor:
    return _mix(
        palette(rng), fractal(rng, first=int(rng.choice([2, 4, 8, 16])), octaves=6, decay=rng.uniform(0.5, 0.85))
    )


def _cells(rng: np.random.Generator, rows: int, columns: int, shift: float) -> tuple[Tensor, Tensor]:
    """Per-texel random value of its cell and distance (in cells of a row) to the cell's edge, for a shifted grid."""
    v, u = torch.meshgrid(torch.arange(TEXELS) / TEXELS, torch.arange(TEXELS) / TEXELS, indexing="ij")
    row = torch.floor(v * rows)
    u = u * columns + shift * (row % 2)
    value = torch.from_numpy(rng.random((rows, columns + 1), dtype=np.float32))
    value[:, -1] = value[:, 0]
    inside_u = (u % 1.0) * rows / columns
    inside_v = v * rows - row
    edge = torch.minimum(
        torch.minimum(inside_u, rows / columns - inside_u),
        torch.minimum(inside_v, 1 - inside_v),
    )
    return value[row.long(), torch.floor(u).long() % columns], edge


def _masonry(rng: np.random.Generator, rows: int, columns: int, shift: float, joint: float) -> Tensor:
    value, edge = _cells(rng, rows, columns, shift)
    stone = _mix(palette(rng, 0.15), value * 0.7 + 0.3 * fractal(rng))
    mortar = palette(rng)[0][:, None, None]
    return torch.lerp(mortar, stone, ((edge - joint) / 0.06).clamp(0, 1)) * _grain(rng)


def _bricks(rng: np.random.Generator) -> Tensor:
    rows = 2 * int(rng.integers(4, 10))
    return _masonry(rng, rows, rows // 2 - int(rng.integers(0, 2)), 0.5, rng.uniform(0.02, 0.08))


def _tiles(rng: np.random.Generator) -> Tensor:
    rows = int(rng.integers(2, 9))
    return _masonry(rng, rows, rows, 0.0, rng.uniform(0.005, 0.04))


def _planks(rng: np.random.Generator) -> Tensor:
    rows = 2 * int(rng.integers(2, 6))
    value, edge = _cells(rng, rows, int(rng.integers(1, 3)), 0.5)
    fibre = torch.from_numpy(cv2.resize(fractal(rng)[::16].numpy(), (TEXELS, TEXELS)))
    wood = _mix(palette(rng, 0.2), 0.5 * value + 0.5 * fibre) * _grain(rng)
    return wood * (edge / 0.03).clamp(0.3, 1)


def _stripes(rng: np.random.Generator) -> Tensor:
    count = int(rng.integers(3, 20))
    wave = torch.sin(torch.arange(TEXELS) * (2 * np.pi * count / TEXELS))
    sharp = (wave * rng.uniform(0.8, 8) + 0.5).clamp(0, 1)
    stripes = _mix(palette(rng, 0.5), sharp.expand(TEXELS, TEXELS)) * _grain(rng)
    return stripes if rng.random() < 0.5 else stripes.transpose(1, 2)


def _plain(rng: np.random.Generator) -> Tensor:
    return _mix(palette(rng, 0.1), fractal(rng, first=2, octaves=3)) * _grain(rng)


def _window(rng: np.random.Generator) -> Tensor:
    """A window: frame and bars around panes that are dark below and mirror the sky above."""
    side = torch.arange(TEXELS) / TEXELS
    v, u = torch.meshgrid(side, side, indexing="ij")
    glass = _mix(
        (torch.tensor([0.08, 0.1, 0.12]), torch.tensor([0.5, 0.6, 0.7])),
        (1 - v) * fractal(rng, first=2) * rng.uniform(0.3, 1),
    )
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    bars = torch.minimum(
        (u * columns - (u * columns).round()).abs() / columns, (v * rows - (v * rows).round()).abs() / rows
    )
    frame = torch.tensor(rng.choice([[0.9, 0.9, 0.88], [0.3, 0.2, 0.12], [0.5, 0.5, 0.5]]), dtype=torch.float32)
    return torch.where(bars < rng.uniform(0.02, 0.05), frame[:, None, None], glass)


_MAKERS: dict[str, tuple[Callable[[np.random.Generator], Tensor], ...]] = {
    "wall": (_bricks, _bricks, _plain, _rough, _planks, _stripes),
    "floor": (_tiles, _planks, _planks, _rough, _plain),
    "ground": (_rough, _rough, _tiles, _plain),
    "window": (_window,),
    "object": (_plain, _rough, _stripes, _planks, _tiles),
}


@lru_cache(maxsize=len(_MAKERS) * _POOL)
def _made(role: str, number: int) -> Tensor:
    rng = np.random.default_rng([7, sorted(_MAKERS).index(role), number])
    makers = _MAKERS[role]
    return makers[number % len(makers)](rng).clamp(0, 1)


@lru_cache(maxsize=24)
def _cloud(number: int) -> Tensor:
    return fractal(np.random.default_rng([8, number]), first=4, octaves=6, decay=0.55)


def clouds(rng: np.random.Generator) -> Tensor:
    """Cloud-like noise (256, 256) in [0, 1], tiling."""
    noise = _cloud(int(rng.integers(24))).roll(int(rng.integers(TEXELS)), 1)
    return noise.flip(1) if rng.random() < 0.5 else noise


def procedural(rng: np.random.Generator, role: str) -> Tensor:
    """A texture (3, 256, 256) in [0, 1] for a surface of `role`: wall, floor, ground or object."""
    return _made(role, int(rng.integers(_POOL)))
