"""Devices, precision and data parallelism of a run: one process, or several under torchrun, by Lightning Fabric."""

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

INITIAL_LOSS_SCALE = 256.0
"""Of float16, until it adapts. Larger ones only cost the first steps: gradient norms begin near 20, and 1024 times some
of the gradients on the way there is beyond float16."""


class DecoderPrecision(MixedPrecision):
    """Mixed precision in the decoder alone, where the losses enable autocast: cameras and rendering stay in float32."""

    def forward_context(self) -> AbstractContextManager[None]:
        """No autocast around the losses as a whole."""
        return nullcontext()

    def convert_input(self, data: Any) -> Any:
        """Samples stay in float32."""
        return data


def start_fabric(config: TrainConfig) -> Fabric:
    """Launches Fabric on the configured device and in the configured precision, over the processes of torchrun if any.

    Args:
        config: `device` and `precision`.

    Returns:
        The launched Fabric; distributed data parallel under torchrun.

    Raises:
        InputError: There are more processes on this machine than GPUs.
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
        scaler = GradScaler(device, init_scale=INITIAL_LOSS_SCALE) if config.precision == "fp16" else None
        plugins = DecoderPrecision(MIXED[config.precision], device, scaler)
    fabric = Fabric(
        accelerator=device,
        strategy="ddp" if several else "auto",
        devices=local,
        num_nodes=world // local,
        plugins=plugins,
    )
    fabric.launch()
    return fabric


def is_rank_zero() -> bool:
    """Whether this process has global rank 0 under torchrun, or is the only one."""
    return not torch.distributed.is_torchelastic_launched() or os.environ["RANK"] == "0"


class NetworkWithLosses(nn.Module):
    """A network and its losses as one forward pass, which is what distributed data parallel synchronizes."""

    def __init__(self, network: Network, config: TrainConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(self, batch: Sample, rng: BatchRng) -> dict[str, Tensor]:
        """The weighted losses of a micro-batch.

        Args:
            batch: The samples.
            rng: Their random numbers.

        Returns:
            Scalars by name; their sum `total` alone carries gradients.
        """
        losses = OBJECTIVES[self.network.architecture.decoder].losses
        found = losses(self.network, batch, self.config, rng)
        return {name: value if name == "total" else value.detach() for name, value in found.items()}


def synchronize_batch_norm(network: Network, fabric: Fabric) -> None:
    """Makes batch norm take its statistics over all processes; on GPUs only (SyncBatchNorm).

    The encoder's is frozen, and so is that of the disparity network under learned layers: these stay as they are.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        for name, part in network.named_children():
            if any(parameter.requires_grad for parameter in part.parameters()) and name != "encoder":
                setattr(network, name, cast(Any, nn.SyncBatchNorm.convert_sync_batchnorm(part)))
