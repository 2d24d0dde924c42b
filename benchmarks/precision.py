"""How far the fast forms of the published network are from its plain form: `python benchmarks/precision.py`.

The weights are those of `tests/parity`, which depend on their keys alone; they make deep features and steep densities,
as trained ones do, and saturate two in five colours. Colours are in [0, 1].
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from mine.model import GROUP
from mine.network.fused import FusedNetwork
from mine.network.network import Network
from mine.network.plain import plain_decoder
from mine.network.published import convert

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from parity.published import figures, published_state


def published_network() -> Network:
    """The network of the parity figures, frozen."""
    architecture, weights = convert(published_state())
    network = Network(architecture)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def row(name: str, actual: Tensor, expected: Tensor) -> str:
    """Mean and largest difference of colours; of densities, their norm and the largest, as shares of the plain."""
    colour, density = (actual - expected).abs().split([3, 1], dim=2)
    plain = expected[:, :, 3:]
    return (
        f"| {name} | {colour.mean():.1e} | {colour.max():.1e} | {density.norm() / plain.norm():.1e} "
        f"| {density.max() / plain.max():.1e} |"
    )


def main() -> None:
    network = published_network()
    image, disparity = (figures()[name] for name in ("image", "disparity"))
    print("| planes in | colours, mean | colours, most | density, relative norm | density, most of the largest |")
    print("|---|--:|--:|--:|--:|")
    with torch.no_grad():
        expected = plain_decoder(network.decoder, network.encoder(image), disparity)[0]
        for dtype in (torch.float32, torch.bfloat16):
            actual = FusedNetwork(network, dtype).draw(image, disparity, GROUP)
            print(row(str(dtype).removeprefix("torch."), actual, expected))


if __name__ == "__main__":
    main()
