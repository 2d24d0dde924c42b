"""Where a run computes: on one device or, started by torchrun, on several that share each batch (Lightning Fabric)."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from mine.config import TrainConfig
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.errors import InputError
from mine.network.protocol import Network
from mine.training.objectives import OBJECTIVES

MIXED: dict[str, Literal["bf16-mixed", "16-mixed"]] = {"bf16": "bf16-mixed", "fp16": "16-mixed"}

FIRST_SCALE = 1024.0
"""Of gradients in float16, until it adapts. Larger ones only cost the first steps: gradients' norms begin near 10."""


class HalfDecoder(MixedPrecision):
    """Half precision where the losses ask for it, in the decoder: cameras and rendering need all digits."""

    def forward_context(self) -> AbstractContextManager[None]:
        """No autocast around the losses as a whole."""
        return nullcontext()

    def convert_input(self, data: Any) -> Any:
        """Samples as they are."""
        return data


def start_fabric(config: TrainConfig) -> Fabric:
    """Fabric on the device and in the precision of the configuration, over the processes that torchrun started.

    Raises InputError for a device that is not there.
    """
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    several = torch.distributed.is_torchelastic_launched()
    world, local = (int(os.environ[name]) if several else 1 for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if device == "cuda" and local > torch.cuda.device_count():
        raise InputError(f"{local} processes need as many GPUs, {torch.cuda.device_count()} found: give device=cpu")
    plugins = None
    if config.precision in MIXED:
        scaler = GradScaler(device, init_scale=FIRST_SCALE) if config.precision == "fp16" else None
        plugins = HalfDecoder(MIXED[config.precision], device, scaler)
    fabric = Fabric(
        accelerator=device,
        strategy="ddp" if several else "auto",
        devices=local,
        num_nodes=world // local,
        plugins=plugins,
    )
    fabric.launch()
    return fabric


def first_process() -> bool:
    """Whether this process is the first of those that torchrun started, or the only one."""
    return not torch.distributed.is_torchelastic_launched() or os.environ["RANK"] == "0"


class Learner(nn.Module):
    """A network with its losses: one forward for all, as gradients that processes share need it."""

    def __init__(self, network: Network, config: TrainConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(self, batch: Sample, rng: BatchRng) -> dict[str, Tensor]:
        """Each loss by name; "total", their sum, alone carries gradients."""
        losses = OBJECTIVES[self.network.architecture.decoder].losses
        found = losses(self.network, batch, self.config, rng)
        return {name: value if name == "total" else value.detach() for name, value in found.items()}


def share_batch_norm(network: Network, fabric: Fabric) -> None:
    """Makes the decoder's batch statistics those of all processes, which only GPUs can (the encoder's are frozen)."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network.decoder = cast(Any, nn.SyncBatchNorm.convert_sync_batchnorm(network.decoder))
