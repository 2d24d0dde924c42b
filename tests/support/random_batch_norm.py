"""Batch norm that is not the identity while it is frozen."""

from torch import nn


def randomize_batch_norm(module: nn.Module) -> None:
    """Gives every batch norm in the module random running statistics, weights and biases."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
