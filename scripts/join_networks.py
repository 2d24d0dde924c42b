"""Joins disparity networks to an ensemble: `python scripts/join_networks.py A.safetensors B.safetensors --output C`.

Its maps have the values of the mean of its members and the edges of the first. The shipped checkpoint is such an
ensemble (`checkpoints/README.md`).
"""

import argparse
from pathlib import Path

from mine.errors import InputError, exit_on_input_error
from mine.network.checkpoint import load_network, save_network
from mine.network.disparity.join import join_networks
from mine.network.disparity.network import DisparityNetwork


def main() -> None:
    """Reads the members and writes the ensemble in float16."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("members", nargs="+", type=Path, metavar="CHECKPOINT", help="networks of one architecture")
    parser.add_argument("--output", type=Path, required=True, help="the checkpoint to write")
    options = parser.parse_args()
    with exit_on_input_error(parser.prog):
        save_network(join_networks([single(path) for path in options.members]), options.output, half=True)
        print(f"wrote {options.output}")


def single(path: Path) -> DisparityNetwork:
    """A member's network."""
    network = load_network(path)
    if not isinstance(network, DisparityNetwork):
        raise InputError(f"{path} is a {network.architecture.decoder} network: give disparity networks")
    return network


if __name__ == "__main__":
    main()
