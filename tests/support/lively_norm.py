"""Batch norm that does something even while it is frozen."""

from torch import nn


def enliven(module: nn.Module) -> None:
    """Random statistics and weights for every batch norm in the module."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
