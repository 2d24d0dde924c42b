"""Initial network, trained parameters, optimizer and learning rate schedule of a run."""

import math
from dataclasses import replace
from pathlib import Path

import torch

import mine.model
from mine.config import TrainConfig
from mine.errors import InputError, choose
from mine.network import network_kind
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, make_network
from mine.network.encoders.ensemble_encoder import part_name
from mine.network.protocol import Network
from mine.training.objectives import OBJECTIVES

WARM_UP = 200
"""Steps of linear warm-up, at most."""

SHIPPED = "shipped"
"""`start` of runs that begin with the checkpoint that comes with MINE, wherever it is installed."""

ADAM_EPSILON = 1e-5
"""Larger than the usual 1e-8. Batch norm cancels the gradient along a channel's mean up to rounding errors, which Adam
divides by their own magnitude. With 1e-8 the means drifted for a thousand steps, and then the loss diverged."""


def start_path(start: str) -> Path:
    """The checkpoint that a configuration's `start` names."""
    return mine.model.shipped_checkpoint() if start == SHIPPED else Path(start)


def start_network(config: TrainConfig) -> Network:
    """Builds the network of step 0: a checkpoint (`config.start`), or an ImageNet encoder with a random decoder.

    Args:
        config: `start` and `architecture`.

    Returns:
        The network.

    Raises:
        InputError: As for `started_architecture`.
    """
    if config.start:
        found = load_network(start_path(config.start))
        wanted = _architecture_on(found.architecture, config)
        return found if wanted == found.architecture else add_layers(found, wanted)
    network = make_network(started_architecture(config))
    network.encoder.load_imagenet()
    return network


def started_architecture(config: TrainConfig) -> Architecture:
    """The architecture of the network of step 0.

    Args:
        config: `start` and `architecture`.

    Raises:
        InputError: The checkpoint that the run starts from cannot be read, or is of another architecture than the one
            that is given.
    """
    if config.start:
        return _architecture_on(load_network(start_path(config.start)).architecture, config)
    return config.architecture.completed(Architecture())


def _architecture_on(found: Architecture, config: TrainConfig) -> Architecture:
    """The architecture of a run that starts from a network: its own, and the layers that are to be added.

    Raises:
        InputError: The configuration gives something else, or adds layers to a network without a disparity map.
    """
    given, own = config.architecture.given(), found
    if given.get("decoder") == "layers":
        if not network_kind(found.decoder).lifted:
            raise InputError(f"start has the decoder {found.decoder}: layers need a disparity network to start from")
        own = replace(own, **{key: given[key] for key in ("decoder", "background", "opacity") if key in given})
    if difference := own.difference(replace(own, **given)):
        raise InputError(
            f"start {config.start} and the given architecture have {difference}: leave out what differs, or start from"
            " another checkpoint"
        )
    return own


def add_layers(network: Network, wanted: Architecture) -> Network:
    """Adds what a network of the kind "layers" has beyond a disparity network, untrained unless it is there already.

    Args:
        network: A network with a disparity map.
        wanted: Its `background` and `opacity` count; all else is the network's own.

    Returns:
        The network with layers, its disparity network as it was.
    """
    own = network.architecture
    layered = make_network(replace(own, decoder="layers", background=wanted.background, opacity=wanted.opacity))
    kept = own.background == wanted.background and own.opacity == wanted.opacity
    weights = network.state_dict()
    if not kept:
        weights = {name: x for name, x in weights.items() if name.startswith(("encoder.", "decoder."))}
    layered.load_state_dict(weights, strict=kept)
    return layered


def freeze(network: Network, config: TrainConfig) -> None:
    """Stops gradients of what a run does not train.

    That is the encoder's `config.frozen` parts, decoder levels finer than `config.finest`, and the disparity network
    under learned layers.

    Raises:
        InputError: The encoder has no part of a name in `config.frozen`.
    """
    named = [(part_name(name), parameter) for name, parameter in network.encoder.named_parameters()]
    for prefix in config.frozen:
        if not any(name.startswith(prefix) for name, _ in named):
            parts = dict.fromkeys(".".join(name.split(".")[:2]) for name, _ in named)
            raise InputError(f"frozen has {prefix!r}, which no part of the encoder is named: {choose(prefix, parts)}")
    for name, parameter in named:
        parameter.requires_grad_(not name.startswith(config.frozen or ("-",)))
    if network.kind.supervision == "layers":
        for part in (network.encoder, network.decoder):
            part.requires_grad_(False)
    for parameter in OBJECTIVES[network.architecture.decoder].unreached(network, config):
        parameter.requires_grad_(False)


def make_optimizer(
    network: Network, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW and its learning rate schedule.

    Args:
        network: The network; encoder and decoder have learning rates of their own.
        config: Learning rates, `steps` and `decay_steps`.

    Returns:
        The optimizer, and the schedule of both rates: a tenth at each of `decay_steps`, or `cosine_factor`.
    """
    decoder = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": network.encoder.parameters(), "lr": config.encoder_learning_rate},
            {"params": decoder, "lr": config.learning_rate},
        ],
        eps=ADAM_EPSILON,
        weight_decay=1e-4,
    )
    if config.decay_steps:
        return optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.decay_steps), gamma=0.1)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_factor(step, config.steps))


def cosine_factor(step: int, steps: int) -> float:
    """Learning rate at a step relative to its peak: linear from a twentieth to 1, then half a cosine to a hundredth.

    Args:
        step: Number of steps done.
        steps: Length of the schedule.
    """
    warm_up = min(WARM_UP, steps // 4 + 1)
    if step < warm_up:
        return 0.05 + 0.95 * step / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2
