"""Speed of the CPU renderer beside the published renderer: `python benchmarks/render.py`.

Times are medians over repetitions; the renderers alternate, so that other load on the machine affects both alike.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from mine.cli.bench import medians, random_surface_planes
from mine.render.cpu import render as cpu
from mine.render.published import published_render
from mine.scene.camera import intrinsics, pose

Size = tuple[int, int]
SIZES = [(256, 384), (512, 768), (720, 1280), (1152, 2048)]
PLANES = [8, 16, 32, 64, 128]


def scene(kind: str, planes: int, size: Size) -> tuple[Tensor, Tensor]:
    """Planes (1, S, 4, H, W) and disparities (1, S).

    "noise" has density everywhere, so that almost every plane counts in every pixel: the worst case. "surface" is
    typical of photos; see `mine.cli.bench.random_surface_planes`.
    """
    values, disparity = random_surface_planes(planes, size)
    return (torch.rand_like(values) if kind == "noise" else values), disparity


def row(kind: str, planes: int, size: Size, frames: int, repetitions: int, compare: bool) -> None:
    """Times one scene and prints its row; `compare` times the published renderer too."""
    values, disparity = scene(kind, planes, size)
    K = intrinsics(size)[None]
    moves = torch.linspace(-0.1, 0.1, frames + 2)[1:-1, None] * torch.tensor([1.0, 0.4, -1.0])
    poses = pose(translation=moves)

    def view(render: Callable[..., object], planes: Tensor, count: int) -> Callable[[], object]:
        expanded = [tensor.expand(count, *tensor.shape[1:]) for tensor in (planes, disparity, K, K)]
        return lambda: render(*expanded, poses[:count], size)

    interleaved = cpu.interleave_channels(values)  # the memory format of predictions
    forms = {"one": view(cpu.render, interleaved, 1), "many": view(cpu.render, interleaved, frames)}
    forms |= {"published": view(published_render, values, 1)} if compare else {}
    one, many, *published = (1000 * seconds for seconds in medians(forms, repetitions).values())
    ratio = f"{published[0]:9.1f} ms {published[0] / one:6.1f}x {published[0] / many * frames:6.1f}x" if compare else ""
    print(f"{kind:8} {planes:4} {size[1]:5}x{size[0]:<5} {one:8.1f} ms {many / frames:8.1f} ms {ratio}", flush=True)


def main() -> None:
    """Prints one row per scene, number of planes and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--frames", type=int, default=8, help="poses per call in the second column of times")
    parser.add_argument("--quick", action="store_true", help="only 32 planes at 384x256")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads; milliseconds a frame, and the speed-up over the published renderer")
    print(f"{'scene':8} {'S':>4} {'size':>11} {'one frame':>11} {options.frames:>4} frames {'published':>12}")
    cases = [(planes, SIZES[0]) for planes in PLANES] + [(32, size) for size in SIZES[1:]]
    with torch.inference_mode():
        for kind in ("noise", "surface"):
            for planes, size in [(32, SIZES[0])] if options.quick else cases:
                # The published renderer holds every warped plane at once: beyond this it needs many gigabytes.
                compare = planes * size[0] * size[1] <= 32 * 512 * 768
                row(kind, planes, size, options.frames, options.repetitions, compare)


if __name__ == "__main__":
    main()
