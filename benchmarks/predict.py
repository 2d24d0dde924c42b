"""Seconds to draw 32 planes at 384x256, in one run on this machine: `python benchmarks/predict.py`.

The published architecture (ResNet-50) through the plain form of its decoder, which the tests hold ours to, and through
ours; then the shipped checkpoint. Medians of turns taken one after another, so that other load meets all alike.
"""

import statistics
import sys
import time
from pathlib import Path

import torch

import mine
from mine.network.network import Network

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_decoder import plain_decoder

SIZE = (256, 384)
PLANES = 32
TURNS = 3


def main() -> None:
    """Prints one line a form."""
    torch.manual_seed(0)
    network = Network().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = mine.load()
    image = torch.rand(1, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    disparity = torch.linspace(1, 0.001, PLANES)[None]
    forms = {
        "published architecture, plain form": lambda: plain_decoder(network.decoder, network.encoder(image), disparity),
        "published architecture, ours": lambda: network(image, disparity, group=4),
        "shipped checkpoint": lambda: model.network(image, disparity, group=4),
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    with torch.no_grad():
        for turn in range(TURNS + 1):
            for name, form in forms.items():
                start = time.perf_counter()
                form()
                if turn:  # the first one warms up
                    seconds[name].append(time.perf_counter() - start)
    plain = statistics.median(seconds["published architecture, plain form"])
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"{name:36} {middle:6.2f} s  {plain / middle:5.1f}x  ({torch.get_num_threads()} threads)")


if __name__ == "__main__":
    main()
