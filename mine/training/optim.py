"""What a run starts from: network, optimizer and schedule."""

import torch

from mine.config import TrainConfig
from mine.errors import InputError
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, make_network
from mine.network.protocol import Network
from mine.training.objectives import OBJECTIVES

WARM_UP = 200

EPSILON = 1e-5
"""Adam divides by the size of gradients. Those that batch norm cancels are rounding errors: with the usual 1e-8 they
became steps as large as any, means drifted for a thousand steps, and then the loss blew up."""


def start_network(config: TrainConfig) -> Network:
    """The network that `config` starts from: a checkpoint, or an ImageNet encoder with a fresh decoder.

    Raises InputError for a checkpoint of another architecture than the configuration's, if that gives one.
    """
    if config.start:
        found = load_network(config.start)
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
    """Keeps what is not trained: parts of the encoder that shall stay, and levels of the decoder that are not drawn."""
    for name, parameter in network.encoder.named_parameters():
        parameter.requires_grad_(not name.startswith(config.frozen or ("-",)))
    for parameter in OBJECTIVES[network.architecture.decoder].unreached(network, config):
        parameter.requires_grad_(False)


def make_optimizer(
    network: Network, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with its own rate for the encoder; tenths at `decay_steps`, or linear warm-up, then a cosine."""
    optimizer = torch.optim.AdamW(
        [
            {"params": network.encoder.parameters(), "lr": config.encoder_learning_rate},
            {"params": network.decoder.parameters(), "lr": config.learning_rate},
        ],
        eps=EPSILON,
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
