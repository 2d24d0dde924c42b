"""Draws a contact sheet of synthetic scenes: the source view of each beside its disparity map."""

from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from PIL import Image

from mine.data.synthetic.dataset import generate
from mine.files import replacing


def sheet(
    out: tyro.conf.Positional[Path],
    textures: Path | None = None,
    seed: int = 0,
    kind: str | None = None,
    rows: int = 6,
    columns: int = 6,
) -> None:
    """Writes a contact sheet to an image file.

    Args:
        out: The file.
        textures: Folder of photos from which textures are cropped; procedural textures by default.
        seed: Number of the first scene.
        kind: Kind of all scenes (see `SCENE_KINDS`), chosen at random for each by default.
        rows: Rows of the sheet.
        columns: Scenes in each row.
    """
    lines = []
    for row in range(rows):
        line = []
        for number in range(seed + row * columns, seed + (row + 1) * columns):
            sample = generate(number, textures=textures, kind=kind)
            disparity = (1 / sample.depth_src).clamp(0, 1).sqrt().expand(3, -1, -1)
            line += [F.pad(picture, (2, 2, 2, 2)) for picture in (sample.source, disparity)]
        lines.append(torch.cat(line, dim=2))
    pixels = (torch.cat(lines, dim=1) * 255).byte().permute(1, 2, 0).numpy()
    with replacing(out) as temporary:
        Image.fromarray(pixels).save(temporary)


if __name__ == "__main__":
    tyro.cli(sheet)
