"""Peak memory of a large prediction: `python benchmarks/memory.py` (96 planes at 1024x640, published architecture).

Weights are random. Peaks are those of the whole process, so each line includes the ones before it.
"""

import argparse

import torch

from mine.errors import exit_on_input_error
from mine.kernels.memory import peak_memory
from mine.model import Model
from mine.network.planes.network import PlaneNetwork

USUAL = 96, (640, 1024)
"""Planes, and their size (H, W)."""


def main() -> None:
    """Prints the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=USUAL[0])
    parser.add_argument("--size", type=int, nargs=2, default=USUAL[1], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    options = parser.parse_args()
    model = Model(PlaneNetwork(), dtype=getattr(torch, options.dtype))
    print(f"libraries and weights: {peak_memory():.2f} GB")
    scene = model.predict(torch.rand(3, *options.size), options.planes, size=tuple(options.size))
    held = scene.planes.nbytes / 1e9
    print(f"scene of {options.planes} planes at {options.size[1]}x{options.size[0]}: {held:.2f} GB")
    print(f"at most, {options.dtype}: {peak_memory():.2f} GB")


if __name__ == "__main__":
    with exit_on_input_error("memory.py"):
        main()
