"""Run by `test_distributed.py` under torchrun: two processes compute the gradients of one batch and save them."""

import sys
from pathlib import Path

import torch
from tiny_sample import make_sample
from torch import nn

from mine.config import TrainConfig
from mine.data.base.sample import Sample
from mine.network.architecture import Architecture
from mine.network.planes.recompute.autograd import norm_elu_conv
from mine.training.batches import process_rows
from mine.training.distributed import start_fabric
from mine.training.state import TrainingState
from mine.training.train import accumulate_gradients

SIZE = (64, 64)
ARCHITECTURES = {
    "planes": Architecture("tf_efficientnet_lite0", widths=(4, 4, 4, 4, 4), bottleneck=(4, 4)),
    "disparity": Architecture("tf_efficientnet_lite0", widths=(4, 4, 4, 4, 4), decoder="disparity"),
}


def batch_gradients(decoder: str, accumulate: int) -> tuple[TrainingState, dict[str, torch.Tensor]]:
    """The training state, and by parameter name the gradients of one batch of four samples, with batch norm frozen.

    The finest level is not trained: parameters without gradients must not block the reduction between processes.
    """
    config = TrainConfig(
        "unused", ARCHITECTURES[decoder], size=SIZE, planes=3, finest=1, batch=4, accumulate=accumulate, device="cpu"
    )
    fabric = start_fabric(config)
    torch.manual_seed(0)
    state = TrainingState(fabric, config)
    state.network.eval()
    rows = process_rows(config, fabric.global_rank, fabric.world_size)
    samples = [[make_sample(SIZE, metric=row % 2, seed=row) for row in own] for own in rows]
    micro_batches = [Sample(*(torch.stack(field) for field in zip(*part, strict=True))) for part in samples]
    accumulate_gradients(state, micro_batches, rows)
    named = state.network.named_parameters()
    return state, {name: parameter.grad for name, parameter in named if parameter.grad is not None}


def batch_norm_stage(norm: nn.BatchNorm2d, rows: slice) -> dict[str, torch.Tensor]:
    """Output and gradients of batch norm, ELU and convolution for some rows of a batch, and the running statistics."""
    torch.manual_seed(0)
    z, weight, scale = torch.randn(4, 3, 6, 7), torch.randn(2, 3, 3, 3), torch.randn(4, 2, 6, 7)
    own = (z[rows] * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + 4).requires_grad_()
    (out,) = norm_elu_conv(own, norm.train(), [(weight, None)])
    (out * scale[rows]).sum().backward()
    assert own.grad is not None and norm.weight.grad is not None and norm.bias.grad is not None
    found = {"out": out.detach(), "z": own.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return found | {name: value.clone() for name, value in norm.named_buffers()}


if __name__ == "__main__":
    for decoder in ARCHITECTURES:
        state, found = batch_gradients(decoder, accumulate=1 if decoder == "planes" else 2)
        if state.fabric.is_global_zero:
            assert state.fabric.world_size == 2
            torch.save(found, Path(sys.argv[1]) / f"{decoder}.pt")
    rank = state.fabric.global_rank
    found = batch_norm_stage(nn.SyncBatchNorm(3), slice(2 * rank, 2 * rank + 2))
    torch.save(found, Path(sys.argv[1]) / f"batch-norm-{rank}.pt")
