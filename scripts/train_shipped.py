"""Makes the shipped checkpoint, from nothing: `python scripts/train_shipped.py [--minutes M] [key=value ...]`.

Needs the captures and textures that `configs/shipped-*.yaml` name (or what `data.1.root=` and `data.0.textures=` do);
generated scenes are drawn and kept as they are first needed. With --minutes it stops in time, and the same command goes
on from there, on whatever machine has `runs/`. In the end it evaluates what it made on the held-out captures.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Timer
from time import monotonic

import torch

from mine.config import EvalConfig, TrainConfig, load_config
from mine.data.base.image_pairs import ImagePairs
from mine.data.registry import evaluation_set
from mine.evaluation.protocol import evaluate_config
from mine.model import Model, shipped_checkpoint
from mine.network.checkpoint import load_network, save_network
from mine.training.adaptive_batch_norm import adapt_batch_norm
from mine.training.train import train

CONFIGS = Path(__file__).parents[1] / "configs"
LEGS = 5
TIME_IS_UP = "time is up: the same command goes on from here"
PHOTOGRAPHS = 8
"""Of each training capture, on which statistics are measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--minutes", type=float, help="stop after so long; the same command goes on")
    parser.add_argument("--output", type=Path, default=shipped_checkpoint())
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TIME_IS_UP))  # while no run is there to notice
    end = None if options.minutes is None else monotonic() + 60 * options.minutes
    for leg in range(1, LEGS + 1):
        config = load_config(CONFIGS / f"shipped-{leg}.yaml", options.overrides, TrainConfig)
        if steps_done(config) < config.last:
            train_until(config, end)
            if steps_done(config) < config.last:
                sys.exit(TIME_IS_UP)
    finish(config, options.output)
    root = [f"data.{text.removeprefix('data.1.')}" for text in options.overrides if text.startswith("data.1.root=")]
    held_out = load_config(CONFIGS / "eval-captures.yaml", root, EvalConfig)
    print(evaluate_config(Model(load_network(options.output)), held_out).markdown())


def steps_done(config: TrainConfig) -> int:
    """How far the run of a configuration has come."""
    state = Path(config.output) / "state.pt"
    return int(torch.load(state, weights_only=True, map_location="cpu")["counts"]["step"]) if state.is_file() else 0


def train_until(config: TrainConfig, end: float | None) -> None:
    """Trains to the last step, or until time is up: SIGTERM lets a run finish and save the step at hand."""
    if end is None:
        train(config)
        return
    timer = Timer(max(0, end - monotonic()), lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        train(config)
    finally:
        timer.cancel()


def finish(config: TrainConfig, output: Path) -> None:
    """Writes the last leg's network, with the statistics of photographs, in half precision."""
    network = load_network(Path(config.output) / "mine.safetensors")
    captures = evaluation_set(config.data[1], config.size)
    assert isinstance(captures, ImagePairs)
    adapt_batch_norm(network, photographs(captures))
    save_network(network, output, half=True)
    print(f"wrote {output}")


def photographs(captures: ImagePairs) -> torch.Tensor:
    """Pictures (N, 3, H, W), evenly chosen from each capture, in random order."""
    of: dict[str, list[int]] = {}
    for indices in captures.by_source():
        of.setdefault(captures.row(indices[0]), []).append(indices[0])
    chosen = [index for found in of.values() for index in found[:: max(1, len(found) // PHOTOGRAPHS)][:PHOTOGRAPHS]]
    pictures = torch.stack([captures[index].source for index in chosen])
    return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))]


if __name__ == "__main__":
    main()
