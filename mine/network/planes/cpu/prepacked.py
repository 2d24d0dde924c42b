"""Convolutions with prepacked weights: reordered for oneDNN's kernels once, not at each call.

The operators are those that torch's own compiler emits; where a build of torch lacks them, `F.conv2d` is called.
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
"""torch's oneDNN operators, or None where the build has none."""


def _can_prepack(dtype: torch.dtype) -> bool:
    """Whether oneDNN has convolutions of a type on this CPU: those in bfloat16 need AVX-512."""
    if OPERATORS is None:
        return False
    return dtype != torch.bfloat16 or bool(OPERATORS._is_mkldnn_bf16_supported())


class PrepackedConv(nn.Module):
    """A frozen, zero-padded convolution on CPUs, whose weights are reordered for the size of the last input.

    Args:
        weight: (C', C / groups, h, w).
        bias: (C',) or None.
        like: the convolution whose stride, padding, dilation and groups are taken; by default 1, 0, 1 and 1.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, like: nn.Conv2d | None = None) -> None:
        super().__init__()
        like = like or nn.Conv2d(1, 1, 1)
        self.geometry: Any = list(like.padding), list(like.stride), list(like.dilation), like.groups
        self.weight, self.bias = weight.contiguous(memory_format=torch.channels_last), bias
        self.prepacked = _can_prepack(weight.dtype)
        self._packed: tuple[torch.Size | None, Tensor] = None, self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), channels last, to (N, C', H', W')."""
        if OPERATORS is None or not self.prepacked:
            padding, stride, dilation, groups = self.geometry
            return F.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        size, weight = self._packed
        if size != x.shape:
            weight = OPERATORS._reorder_convolution_weight(self.weight, *self.geometry, x.shape)
            self._packed = x.shape, weight
        out: Tensor = OPERATORS._convolution_pointwise(x, weight, self.bias, *self.geometry, "none", [], "")
        return out


def prepack(module: Module) -> Module:
    """A copy of a frozen module with its zero-padded convolutions prepacked; other convolutions stay torch's."""
    copy = deepcopy(module)
    for parent in list(copy.modules()):
        for name, conv in list(parent.named_children()):
            if type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and isinstance(conv.padding, tuple):
                setattr(parent, name, PrepackedConv(conv.weight, conv.bias, conv))
    return copy
