"""Planes of a web page put together again."""

from collections.abc import Sequence

from torch import Tensor

from mine.output.web.tiles import COLUMNS, CORE, RIM, TILE, split_planes


def place_tiles(images: Sequence[Tensor], used: Tensor, size: tuple[int, int]) -> Tensor:
    """Puts the planes together again, as the viewer does: the inverse of `take_tiles`, `split_planes` and `arrange`.

    Args:
        images: For each run of planes, its image (C, H', W').
        used: (S, h, w), see `used_tiles`.
        size: (H, W) of the planes.

    Returns:
        (S, C, H, W), zero where no tile is.
    """
    channels = images[0].shape[0]
    rows, columns = used.shape[1:]
    planes = images[0].new_zeros(len(used), channels, rows, CORE, columns, CORE)
    for image, (start, end) in zip(images, split_planes(used), strict=True):
        grid = image.reshape(channels, -1, TILE, COLUMNS, TILE).permute(1, 3, 0, 2, 4)
        tiles = grid.reshape(-1, channels, TILE, TILE)[..., RIM:-RIM, RIM:-RIM]
        plane, row, column = used[start:end].nonzero(as_tuple=True)
        planes[plane + start, :, row, :, column] = tiles[: len(plane)]
    return planes.reshape(len(used), channels, rows * CORE, columns * CORE)[..., : size[0], : size[1]]
