"""Rounding errors of the fused CPU decoder against the reference decoder in float32: `python benchmarks/precision.py`.

The network is that of `tests/parity`, with weights that depend on their keys alone. They give deep features and large
densities, as trained weights do, and saturate two in five colours.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

import torch
from torch import Tensor

from mine.network.planes.cpu.fused import FusedNetwork
from mine.network.planes.network import GROUP, PlaneNetwork
from mine.network.planes.published_checkpoint import convert
from mine.network.planes.reference import reference_decoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from published_values import published_state, published_values


def published_network() -> PlaneNetwork:
    """The network of the parity test, in evaluation mode."""
    architecture, weights = convert(published_state())
    network = PlaneNetwork(architecture)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def row(name: str, actual: Tensor, expected: Tensor) -> str:
    """A row of the table: of colours, then of densities, the relative norm of the error, its mean and its maximum.

    Mean and maximum are relative to the largest expected value: 1 for colours.
    """
    cells = []
    for found, reference in zip(actual.split([3, 1], dim=2), expected.split([3, 1], dim=2), strict=True):
        error, unit = (found - reference).abs(), reference.max()
        cells += [error.norm() / reference.norm(), error.mean() / unit, error.max() / unit]
    return f"| {name} | " + " | ".join(f"{value:.1e}" for value in cells) + " |"


def main() -> None:
    """Prints the table."""
    network = published_network()
    image, disparity = (published_values()[name] for name in ("image", "disparity"))
    print("| finest convolutions in | colours: norm | mean | maximum | densities: norm | mean | maximum |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with torch.no_grad():
        expected = reference_decoder(network.decoder, network.encoder(image), disparity)[0]
        for dtype in (torch.float32, torch.bfloat16):
            actual = FusedNetwork(network.encoder, network.decoder, dtype).predict_planes(image, disparity, GROUP)
            print(row(str(dtype).removeprefix("torch."), actual, expected))


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()  # there are no options but --help
    main()
