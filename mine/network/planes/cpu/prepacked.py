"""Convolutions whose weights lie as the library's kernels read them: laid out once, not anew at each call.

The operators are those of torch's own compiler; where a build of torch lacks them, weights stay as they are.
"""

from copy import deepcopy
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def _operators() -> Any | None:
    operators = torch.ops.mkldnn
    names = "_convolution_pointwise", "_reorder_convolution_weight"
    present = torch.backends.mkldnn.is_available() and all(hasattr(operators, name) for name in names)
    return operators if present else None


OPERATORS = _operators()


class PrepackedConv(nn.Module):
    """A frozen convolution on processors, padded by zeros; weights are laid out for the size of the last input."""

    def __init__(self, weight: Tensor, bias: Tensor | None, like: nn.Conv2d | None = None) -> None:
        """like: what stride, padding and groups are taken from; by default 1, none and 1."""
        super().__init__()
        like = like or nn.Conv2d(1, 1, 1)
        self.geometry: Any = list(like.padding), list(like.stride), list(like.dilation), like.groups
        self.weight, self.bias = weight.contiguous(memory_format=torch.channels_last), bias
        self._packed: tuple[torch.Size | None, Tensor] = None, self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), channels last, to (N, C', H', W')."""
        if OPERATORS is None:
            padding, stride, dilation, groups = self.geometry
            return F.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        size, weight = self._packed
        if size != x.shape:
            weight = OPERATORS._reorder_convolution_weight(self.weight, *self.geometry, x.shape)
            self._packed = x.shape, weight
        drawn: Tensor = OPERATORS._convolution_pointwise(x, weight, self.bias, *self.geometry, "none", [], "")
        return drawn


def prepack(module: Module) -> Module:
    """A copy of a frozen module, with its convolutions packed."""
    copy = deepcopy(module)
    for parent in list(copy.modules()):
        for name, conv in list(parent.named_children()):
            if type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and isinstance(conv.padding, tuple):
                setattr(parent, name, PrepackedConv(conv.weight, conv.bias, conv))
    return copy
