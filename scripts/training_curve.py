"""Draws how a run did on held-out views.

python scripts/training_curve.py runs/llff-small/held-out.jsonl docs/training-curve.png

Names and values after these, such as "one plane"=14.1, become level lines.
"""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = (720, 400)
LEFT, TOP, RIGHT, BOTTOM = 60, 20, 700, 350
INK, GRID, LINE, LEVEL = (40, 40, 40), (225, 225, 225), (30, 90, 180), (190, 90, 30)


def draw(steps: list[int], values: list[float], levels: dict[str, float]) -> Image.Image:
    """PSNR at each step as a line, level lines with their names."""
    low = int(min([*values, *levels.values()]))
    high = int(max([*values, *levels.values()])) + 1
    picture = Image.new("RGB", SIZE, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=14)

    def place(step: float, value: float) -> tuple[float, float]:
        x = LEFT + (RIGHT - LEFT) * step / steps[-1]
        return x, BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    for value in range(low, high + 1):
        pen.line([place(0, value), place(steps[-1], value)], GRID)
        pen.text((LEFT - 8, place(0, value)[1]), f"{value} dB", INK, font, anchor="rm")
    for part in range(5):
        step = steps[-1] * part // 4
        pen.text((place(step, low)[0], BOTTOM + 8), f"{step}", INK, font, anchor="mt")
    pen.text(((LEFT + RIGHT) / 2, BOTTOM + 28), "steps", INK, font, anchor="mt")
    for name, value in levels.items():
        pen.line([place(0, value), place(steps[-1], value)], LEVEL)
        pen.text((RIGHT - 4, place(0, value)[1] - 3), name, LEVEL, font, anchor="rb")
    places = [place(step, value) for step, value in zip(steps, values, strict=True)]
    pen.line(places, LINE, 3, joint="curve")
    for x, y in places:
        pen.ellipse([x - 4, y - 4, x + 4, y + 4], LINE)
    return picture


if __name__ == "__main__":
    source, output, *named = sys.argv[1:]
    lines = [json.loads(line) for line in Path(source).read_text().splitlines()]
    pairs = (pair.rsplit("=", 1) for pair in named)
    levels = {name: float(value) for name, value in pairs}
    draw([line["step"] for line in lines], [line["psnr"] for line in lines], levels).save(output, optimize=True)
