"""A sheet of generated scenes to look at: source, target and disparity of each."""

from pathlib import Path

import torch
import tyro
from torch import Tensor
from torchvision.utils import make_grid, save_image

from mine.data.worlds.dataset import generate


def sheet(
    out: tyro.conf.Positional[Path],
    textures: Path | None = None,
    seed: int = 0,
    kind: str | None = None,
    rows: int = 6,
    columns: int = 6,
) -> None:
    """Writes a sheet of rows x columns scenes, each with its source's disparity beside it, to `out`."""
    pictures: list[Tensor] = []
    for number in range(seed, seed + rows * columns):
        sample = generate(number, textures=textures, kind=kind)
        pictures += [sample.source, (1 / sample.depth_src).clamp(0, 1).sqrt().expand(3, -1, -1)]
    save_image(make_grid(torch.stack(pictures).cpu(), nrow=2 * columns, padding=2), out)


if __name__ == "__main__":
    tyro.cli(sheet)
