"""Times of a GPU: prediction with the shipped checkpoint, and views by each renderer: `python benchmarks/gpu.py`."""

from argparse import ArgumentParser
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from mine.errors import InputError, exit_on_input_error
from mine.model import shipped_checkpoint
from mine.network.checkpoint import load_network
from mine.render import render
from mine.render.published import published_render
from mine.scene.camera import intrinsics

PLANES, PLANE_SIZE = 32, (256, 384)
REPETITIONS = 10


def main() -> None:
    """Prints a table in milliseconds, and by how much the renderers differ."""
    parser = ArgumentParser(description=__doc__)
    parser.parse_args()
    with exit_on_input_error(parser.prog):
        if not torch.cuda.is_available():
            raise InputError("no GPU is seen by PyTorch: run this on a machine with one")
        torch.manual_seed(0)
        print(torch.cuda.get_device_name())
        network = load_network(shipped_checkpoint()).cuda().eval()
        image = torch.rand(1, 3, *PLANE_SIZE, device="cuda")
        with torch.no_grad():
            print(f"predict: {milliseconds(lambda: network.predict_planes(image, PLANES)):.2f} ms")
            for size in (PLANE_SIZE, (1080, 1920)):
                views(size)


def views(size: tuple[int, int]) -> None:
    """Prints the time of one view of a size (H, W) by each renderer."""
    planes = torch.rand(1, PLANES, 4, *PLANE_SIZE, device="cuda")
    planes[:, :, 3] *= 20
    disparity = torch.linspace(1, 0.05, PLANES, device="cuda")[None]
    pose = torch.eye(4, device="cuda")[None].clone()
    pose[:, 0, 3] = 0.05
    K_src, K_tgt = (intrinsics(each, 60.0).cuda()[None] for each in (PLANE_SIZE, size))
    arguments = planes, disparity, K_src, K_tgt, pose, size
    renderers: dict[str, Callable[[], object]] = {
        "Triton": lambda: render(*arguments, backend="triton"),
        "reference": lambda: render(*arguments, backend="reference"),
        "published": lambda: published_render(*arguments),
    }
    for name, work in renderers.items():
        print(f"{size[1]}x{size[0]}, {name}: {milliseconds(work):.2f} ms")
    difference = render(*arguments, backend="triton").rgb - render(*arguments, backend="reference").rgb
    print(f"{size[1]}x{size[0]}, Triton against reference: {float(difference.abs().max()):.1e}")


def milliseconds(work: Callable[[], object]) -> float:
    """The median time of some repetitions, once it is warm."""
    for _ in range(2):
        work()
    times = []
    for _ in range(REPETITIONS):
        torch.cuda.synchronize()
        start = perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(1e3 * (perf_counter() - start))
    return median(times)


if __name__ == "__main__":
    main()
