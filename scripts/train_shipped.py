"""Trains the second shipped checkpoint from nothing: `python scripts/train_shipped.py [--minutes M] [key=value ...]`.

Runs `configs/shipped.yaml`, adapts batch norm to photos, writes the checkpoint and evaluates it on held-out captures.
Needs the data that the configuration names, and the held-out captures of `configs/eval-captures.yaml` in another
folder; synthetic scenes are rendered and cached when they are first needed. With
--minutes it stops in time; the same command resumes, on any machine that has `runs/`.
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
from mine.data.sources import ColmapSource
from mine.errors import InputError, exit_on_input_error
from mine.evaluation.protocol import evaluate_config
from mine.model import Model
from mine.network.checkpoint import load_network, save_network
from mine.network.disparity.network import DisparityNetwork
from mine.training.adaptive_batch_norm import adapt_batch_norm
from mine.training.state import read_state
from mine.training.train import train

CONFIGS = Path(__file__).parents[1] / "configs"
TIME_IS_UP = "time is up: the same command goes on from here"
PHOTOS = 1
"""Photos of each training capture on which batch norm's statistics are measured."""


def main() -> None:
    """Trains, finishes and evaluates, as far as the time allows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the configuration's")
    parser.add_argument("--minutes", type=float, help="stop after this time; the same command resumes")
    parser.add_argument(
        "--output", type=Path, help="the checkpoint to write (default: runs/shipped/shipped.safetensors)"
    )
    parser.add_argument("--held-out", metavar="FOLDER", help="folder of the held-out captures (default: data/captures)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TIME_IS_UP))  # runs have their own handler
    end = None if options.minutes is None else monotonic() + 60 * options.minutes
    with exit_on_input_error(parser.prog):
        held_out = held_out_captures(options.held_out)
        config = train_in_time(options.overrides, end)
        output = options.output or Path(config.output) / "shipped.safetensors"
        finish(config, output)
        print(evaluate_config(Model(load_network(output)), held_out).markdown())


def train_in_time(overrides: list[str], end: float | None) -> TrainConfig:
    """Trains unless it is done, and exits when time is up; returns the configuration."""
    config = load_config(CONFIGS / "shipped.yaml", overrides, TrainConfig)
    training_captures(config)  # what is missing is said before training
    if steps_done(config) < config.last:
        train_until(config, end)
        if steps_done(config) < config.last:
            sys.exit(TIME_IS_UP)
    return config


def training_captures(config: TrainConfig) -> ImagePairs:
    """The captures among the data of a run, on whose photos batch norm's statistics are measured."""
    source = next((source for source in config.data if isinstance(source, ColmapSource)), None)
    if source is None:
        raise InputError("data has no captures (kind: colmap), which batch norm is adapted to: add some")
    captures = evaluation_set(source, config.size)
    assert isinstance(captures, ImagePairs)
    return captures


def steps_done(config: TrainConfig) -> int:
    """The step of the state that a run has saved; 0 without one."""
    state = Path(config.output) / "state.pt"
    return int(read_state(state)["counts"]["step"]) if state.is_file() else 0


def train_until(config: TrainConfig, end: float | None) -> None:
    """Trains to the last step, or until time is up: SIGTERM makes a run finish its step and save it."""
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
    """Adapts batch norm to photos of the training captures, and writes the network in float16."""
    network = load_network(Path(config.output) / "mine.safetensors")
    assert isinstance(network, DisparityNetwork)
    adapt_batch_norm(network, photos(training_captures(config)))
    save_network(network, output, half=True)
    print(f"wrote {output}")


def photos(captures: ImagePairs) -> torch.Tensor:
    """Photos (N, 3, H, W), evenly spaced in each capture, in random order."""
    sources: dict[str, list[int]] = {}
    for indices in captures.by_source():
        sources.setdefault(captures.row(indices[0]), []).append(indices[0])
    chosen = [index for own in sources.values() for index in own[:: max(1, len(own) // PHOTOS)][:PHOTOS]]
    images = torch.stack([captures[index].source for index in chosen])
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]


def held_out_captures(folder: str | None) -> EvalConfig:
    """The evaluation on held-out captures in a folder; what is missing is said before training."""
    config = load_config(CONFIGS / "eval-captures.yaml", [f"data.root={folder}"] if folder else [], EvalConfig)
    evaluation_set(config.data, config.size)
    return config


if __name__ == "__main__":
    main()
