"""Adaptive batch normalization (Li et al. 2018): batch norm's statistics, measured on photos once training is over."""

import copy
import math

import torch
from torch import Tensor, nn

from mine.network.disparity.network import DisparityNetwork

BATCH = 8
"""Photos per forward pass, at most; their own batch statistics normalise them while they are measured."""


@torch.no_grad()
def adapt_batch_norm(network: DisparityNetwork, photos: Tensor) -> None:
    """Sets the running statistics of the decoder's batch norms to those of photos, and changes nothing else.

    Training leaves the statistics of augmented images, most of them synthetic; photos have others. The network is left
    in evaluation mode, and as it was should a photo make it fail.

    Args:
        network: The network, changed in place.
        photos: (N, 3, H, W) in [0, 1], at the size at which photos are predicted.
    """
    norms = [module for module in network.decoder.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.momentum, copy.deepcopy(norm.state_dict())) for norm in norms]
    network.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # cumulative average over all batches
            norm.train()
        # Even batches: one small photo alone has no batch statistics where its feature maps have a single pixel.
        for batch in photos.tensor_split(math.ceil(len(photos) / BATCH)):
            network(batch)
    except Exception:
        for norm, (_, state) in zip(norms, before, strict=True):
            norm.load_state_dict(state)
        raise
    finally:
        for norm, (momentum, _) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.eval()
