"""Batch norm's statistics, measured on photographs once training is over."""

import torch
from torch import Tensor, nn

from mine.network.disparity.network import DisparityNetwork

BATCH = 8
"""Pictures at a time: their own statistics are what normalises them while they are measured."""


@torch.no_grad()
def adapt_batch_norm(network: DisparityNetwork, pictures: Tensor) -> None:
    """Gives the decoder's batch norms the statistics of `pictures` (N, 3, H, W) at the sizes at which photos are seen.

    Those that training leaves are of frames from generated scenes for the most part, changed in colour and sharpness:
    photographs have others (Li et al. 2018, adaptive batch normalization). Nothing else changes.
    """
    norms = [module for module in network.decoder.modules() if isinstance(module, nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all that is seen
        norm.train()
    for batch in pictures.split(BATCH):
        network(batch)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before
        norm.eval()
