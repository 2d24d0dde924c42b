"""How cost grows with planes and pixels: `python benchmarks/costs.py benchmarks/costs.png` prints a table and plots it.

Prediction is that of the published architecture, with random weights; scenes are those of
`mine.cli.bench.random_surface_planes`. Times are medians over repetitions, after one warm-up.
"""

import argparse
import math
from collections.abc import Callable

import torch
from PIL import Image, ImageDraw, ImageFont

from mine.cli.bench import medians, random_surface_planes
from mine.model import Model
from mine.network.planes.network import PlaneNetwork
from mine.render import join, render
from mine.scene.camera import intrinsics, pose

PLANES = (8, 16, 32, 64, 128)
SIZES = ((128, 256), (256, 384), (384, 640), (512, 768), (768, 1280), (1024, 1920))
USUAL = 32, (256, 384)

Case = tuple[int, tuple[int, int]]
CANVAS, LEFT, TOP, RIGHT, BOTTOM = (720, 460), 70, 20, 700, 400
INK, GRID, COLOURS = (40, 40, 40), (225, 225, 225), {"predict": (30, 90, 180), "render": (190, 90, 30)}


def cases() -> list[Case]:
    """Planes and sizes: one varies while the other is that of `USUAL`."""
    return [(planes, USUAL[1]) for planes in PLANES] + [(USUAL[0], size) for size in SIZES if size != USUAL[1]]


def measure(model: Model, case: Case, repetitions: int) -> dict[str, float]:
    """Seconds to predict and to render a scene."""
    planes, size = case
    values, disparity = random_surface_planes(planes, size)
    scene = join(values[:, :, :3], values[:, :, 3:])  # the memory format of predictions
    K, T = intrinsics(size)[None], pose(translation=torch.tensor([0.05, 0.02, -0.05]))[None]
    photo = torch.rand(3, *size)
    forms: dict[str, Callable[[], object]] = {
        "predict": lambda: model.predict(photo, planes, size=size, blend=False),
        "render": lambda: render(scene, disparity, K, K, T, size),
    }
    return medians(forms, repetitions)


def plot(found: dict[Case, dict[str, float]]) -> Image.Image:
    """Seconds against planes times megapixels on logarithmic axes, one dot per case."""
    image = Image.new("RGB", CANVAS, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=14)

    def position(work: float, value: float) -> tuple[float, float]:
        x = LEFT + (RIGHT - LEFT) * (math.log10(work) + 0.25) / 2.5
        return x, BOTTOM - (BOTTOM - TOP) * (math.log10(value) + 2.5) / 4.25

    for power in range(-2, 2):
        pen.line([position(10**-0.25, 10**power), position(10**2.25, 10**power)], GRID)
        pen.text((LEFT - 8, position(1, 10**power)[1]), f"{10.0**power:g} s", INK, font, anchor="rm")
    for power in range(3):
        pen.line([position(10**power, 10**-2.5), position(10**power, 10**1.75)], GRID)
        pen.text((position(10**power, 1)[0], BOTTOM + 12), f"{10**power}", INK, font, anchor="mm")
    pen.text(((LEFT + RIGHT) / 2, BOTTOM + 36), "planes x megapixels", INK, font, anchor="mm")
    for name, colour in COLOURS.items():
        usual = found[USUAL][name] / work_of(USUAL)
        pen.line([position(10**-0.25, usual * 10**-0.25), position(10**2.25, usual * 10**2.25)], colour)
        for case, times in found.items():
            x, y = position(work_of(case), times[name])
            pen.ellipse([x - 4, y - 4, x + 4, y + 4], colour)
        pen.text(position(10**1.2, usual * 10**0.75), f"{name}; line: proportional", colour, font, anchor="ls")
    return image


def work_of(case: Case) -> float:
    """Planes times megapixels of a case."""
    planes, (height, width) = case
    return planes * height * width / 1e6


def main() -> None:
    """Prints the table and saves the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="the plot")
    parser.add_argument("--repetitions", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = Model(PlaneNetwork(), dtype=torch.bfloat16)
    print(f"{torch.get_num_threads()} threads, in bfloat16\n\n| planes | size | predict, s | render, ms |")
    print("|--:|--:|--:|--:|")
    found = {}
    with torch.inference_mode():
        for case in cases():
            found[case] = times = measure(model, case, options.repetitions)
            planes, (height, width) = case
            print(
                f"| {planes} | {width}x{height} | {times['predict']:.2f} | {1000 * times['render']:.1f} |", flush=True
            )
    plot(found).save(options.output)


if __name__ == "__main__":
    main()
