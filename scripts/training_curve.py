"""Plots the PSNR of a run on held-out views.

python scripts/training_curve.py runs/llff-small/held-out.jsonl docs/training-curve.png

Further arguments such as "one plane"=14.1 become horizontal lines: the baselines.
"""

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = (720, 400)
LEFT, TOP, RIGHT, BOTTOM = 60, 20, 700, 350
INK, GRID, CURVE, BASELINE = (40, 40, 40), (225, 225, 225), (30, 90, 180), (190, 90, 30)


def plot(steps: list[int], psnr: list[float], baselines: dict[str, float]) -> Image.Image:
    """PSNR in dB at each step as a curve, baselines as horizontal lines with their names."""
    low = int(min([*psnr, *baselines.values()]))
    high = int(max([*psnr, *baselines.values()])) + 1
    image = Image.new("RGB", SIZE, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=14)

    def position(step: float, value: float) -> tuple[float, float]:
        x = LEFT + (RIGHT - LEFT) * step / steps[-1]
        return x, BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    for level in range(low, high + 1):
        pen.line([position(0, level), position(steps[-1], level)], GRID)
        pen.text((LEFT - 8, position(0, level)[1]), f"{level} dB", INK, font, anchor="rm")
    for quarter in range(5):
        step = steps[-1] * quarter // 4
        pen.text((position(step, low)[0], BOTTOM + 8), f"{step}", INK, font, anchor="mt")
    pen.text(((LEFT + RIGHT) / 2, BOTTOM + 28), "steps", INK, font, anchor="mt")
    for name, value in baselines.items():
        pen.line([position(0, value), position(steps[-1], value)], BASELINE)
        pen.text((RIGHT - 4, position(0, value)[1] - 3), name, BASELINE, font, anchor="rb")
    points = [position(step, value) for step, value in zip(steps, psnr, strict=True)]
    pen.line(points, CURVE, 3, joint="curve")
    for x, y in points:
        pen.ellipse([x - 4, y - 4, x + 4, y + 4], CURVE)
    return image


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="held-out.jsonl of the run")
    parser.add_argument("output", type=Path, help="picture to write")
    parser.add_argument("baselines", nargs="*", metavar="NAME=DB", help="horizontal lines")
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.source.read_text().splitlines()]
    baselines = {name: float(value) for name, value in (pair.rsplit("=", 1) for pair in given.baselines)}
    plot([line["step"] for line in lines], [line["psnr"] for line in lines], baselines).save(
        given.output, optimize=True
    )
