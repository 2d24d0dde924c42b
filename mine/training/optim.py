"""Initial network, trained parameters, optimizer and learning rate schedule of a run."""

import torch

import mine.model
from mine.config import TrainConfig
from mine.errors import InputError
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, make_network
from mine.network.protocol import Network
from mine.training.objectives import OBJECTIVES

WARM_UP = 200
"""Steps of linear warm-up, at most."""

SHIPPED = "shipped"
"""`start` of runs that begin with the checkpoint that comes with MINE, wherever it is installed."""

ADAM_EPSILON = 1e-5
"""Larger than the usual 1e-8. Batch norm cancels the gradient along a channel's mean up to rounding errors, which Adam
divides by their own magnitude. With 1e-8 the means drifted for a thousand steps, and then the loss diverged."""


def start_network(config: TrainConfig) -> Network:
    """Builds the network of step 0: a checkpoint (`config.start`), or an ImageNet encoder with a random decoder.

    Args:
        config: `start` and `architecture`.

    Returns:
        The network.

    Raises:
        InputError: The checkpoint's architecture differs from the configured one.
    """
    if config.start:
        found = load_network(mine.model.shipped_checkpoint() if config.start == SHIPPED else config.start)
        own = found.architecture
        if config.architecture not in (Architecture(), own):
            raise InputError(
                f"start {config.start} is of another architecture ({own.encoder}, {own.decoder}): leave one of them out"
            )
        return found
    network = make_network(config.architecture)
    network.encoder.load_imagenet()
    return network


def freeze(network: Network, config: TrainConfig) -> None:
    """Stops gradients of the encoder's `config.frozen` parts and of the decoder levels finer than `config.finest`."""
    for name, parameter in network.encoder.named_parameters():
        parameter.requires_grad_(not name.startswith(config.frozen or ("-",)))
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
        The optimizer, and the schedule: a tenth at each of `decay_steps`, or linear warm-up and cosine annealing.
    """
    optimizer = torch.optim.AdamW(
        [
            {"params": network.encoder.parameters(), "lr": config.encoder_learning_rate},
            {"params": network.decoder.parameters(), "lr": config.learning_rate},
        ],
        eps=ADAM_EPSILON,
        weight_decay=1e-4,
    )
    if config.decay_steps:
        return optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.decay_steps), gamma=0.1)
    warm_up = min(WARM_UP, config.steps // 4 + 1)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=warm_up),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, max(1, config.steps - warm_up), eta_min=0.01 * config.learning_rate
            ),
        ],
        [warm_up],
    )
    return optimizer, schedule
