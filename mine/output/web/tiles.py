"""Tiles: of each plane, the web page stores only the parts that show.

A photo's surface shows on a few of the planes at each pixel, so that these tiles have a fifth of the planes' pixels:
they are encoded, sent and decoded in a fraction of the time. Tiles overlap by the rim of their neighbours, because
lossy WebP mixes colours across borders.
"""

import base64
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mine.scene.resize import size_within

CORE = 14
"""Pixels a side of a tile's own part of the plane."""

RIM = 1
"""Pixels around it that repeat the neighbours'."""

TILE = CORE + 2 * RIM
"""Pixels a side of a tile as stored: a block of WebP."""

COLUMNS = 64
"""Tiles in a row of an image of tiles."""

STRIP_TILES = 1 << 11
"""Tiles from which on an image is full: several images are encoded and decoded at the same time."""


MOST_TILES = 16383 // TILE * COLUMNS
"""Most tiles of an image, and so of a plane: WebP has at most 16383 pixels a side."""


def plane_within(size: tuple[int, int]) -> tuple[int, int]:
    """`size` (H, W) of planes, or the largest in its aspect, about, of which an image holds all tiles of a plane."""
    fitting, longest = size, float(max(size))
    while math.prod(-(-side // CORE) for side in fitting) > MOST_TILES:
        longest *= 0.95
        fitting = size_within(size, round(longest))
    return fitting


def used_tiles(shown: Tensor) -> Tensor:
    """Which tiles of planes show anything.

    Args:
        shown: (S, H, W), true where a plane shows.

    Returns:
        (S, h, w), true where a tile's own part has such a pixel.
    """
    height, width = shown.shape[-2:]
    whole = F.pad(shown, (0, -width % CORE, 0, -height % CORE))
    return whole.reshape(len(whole), whole.shape[1] // CORE, CORE, -1, CORE).any(dim=4).any(dim=2)


def take_tiles(planes: Tensor, used: Tensor) -> Tensor:
    """The tiles of planes that are used, in one sequence: by planes, then by rows.

    Args:
        planes: (S, C, H, W).
        used: (S, h, w), see `used_tiles`.

    Returns:
        (N, C, TILE, TILE). What lies outside the plane repeats its border.
    """
    height, width = planes.shape[-2:]
    margin = (RIM, RIM + -width % CORE, RIM, RIM + -height % CORE)
    tiles = []
    for plane, wanted in zip(planes, used, strict=True):
        whole = F.pad(plane[None].float(), margin, mode="replicate")[0].to(plane.dtype)
        row, column = wanted.nonzero(as_tuple=True)
        tiles.append(whole.unfold(1, TILE, CORE).unfold(2, TILE, CORE)[:, row, column].transpose(0, 1))
    return torch.cat(tiles)


def split_planes(used: Tensor) -> list[tuple[int, int]]:
    """Splits planes into runs of about `STRIP_TILES` used tiles.

    Args:
        used: (S, h, w), see `used_tiles`.

    Returns:
        For each run, its first plane and the one after its last.
    """
    runs, start, tiles = [], 0, 0
    for plane, count in enumerate(used.sum(dim=(1, 2)).tolist()):
        tiles += count
        if tiles >= STRIP_TILES:
            runs.append((start, plane + 1))
            start, tiles = plane + 1, 0
    return [*runs, (start, len(used))] if start < len(used) else runs


def arrange(tiles: Tensor) -> Tensor:
    """Tiles (N, C, TILE, TILE) as one image (C, H, W): rows of `COLUMNS` tiles, the last one filled with zeros."""
    count, channels = tiles.shape[:2]
    rows = max(1, -(-count // COLUMNS))
    whole = torch.cat([tiles, tiles.new_zeros(rows * COLUMNS - count, channels, TILE, TILE)])
    grid = whole.reshape(rows, COLUMNS, channels, TILE, TILE).permute(2, 0, 3, 1, 4)
    return grid.reshape(channels, rows * TILE, COLUMNS * TILE)


def encode_bits(used: Tensor) -> str:
    """Which tiles (h, w) of a plane are used, as base64: a bit a tile, by rows, the first one the highest of a byte."""
    return base64.b64encode(np.packbits(used.flatten().numpy()).tobytes()).decode()
