"""How far the fast forms of the published network are from its plain form: `python benchmarks/precision.py`.

The weights are those of `tests/parity`, which depend on their keys alone; they make deep features and steep densities,
as trained ones do, and saturate two in five colours. Colours are in [0, 1].

In bfloat16, processors with tiles (Intel AMX) round less than others do, which store sums in it too.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from mine.network.planes.convert import convert
from mine.network.planes.cpu.fused import FusedNetwork
from mine.network.planes.network import PlaneNetwork
from mine.network.planes.predictor import GROUP
from mine.network.planes.reference import reference_decoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from parity.published import figures, published_state


def published_network() -> PlaneNetwork:
    """The network of the parity figures, frozen."""
    architecture, weights = convert(published_state())
    network = PlaneNetwork(architecture)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def row(name: str, actual: Tensor, expected: Tensor) -> str:
    """The norm of the differences as a share of the plain form's, and their mean and largest, of colours, of densities.

    Densities' are shares of the largest density.
    """
    cells = []
    for found, plain in zip(actual.split([3, 1], dim=2), expected.split([3, 1], dim=2), strict=True):
        difference, unit = (found - plain).abs(), plain.max()
        cells += [difference.norm() / plain.norm(), difference.mean() / unit, difference.max() / unit]
    return f"| {name} | " + " | ".join(f"{value:.1e}" for value in cells) + " |"


def main() -> None:
    network = published_network()
    image, disparity = (figures()[name] for name in ("image", "disparity"))
    print("| finest convolutions in | colours: norm | mean | most | densities: norm | mean | most |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with torch.no_grad():
        expected = reference_decoder(network.decoder, network.encoder(image), disparity)[0]
        for dtype in (torch.float32, torch.bfloat16):
            actual = FusedNetwork(network, dtype).predict_planes(image, disparity, GROUP)
            print(row(str(dtype).removeprefix("torch."), actual, expected))


if __name__ == "__main__":
    main()
