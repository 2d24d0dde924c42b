"""The plane network on processors: what `Network.forward` draws at the finest scale, in a fraction of the work.

Batch norm is part of the convolutions, and these are the library's. All that lies between two of the decoder's
(sub-pixel interleaving, the shared part, the plane's own bias, ELU, padding) is one compiled pass, where plain torch
takes seven.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mine.network.decoder import PlaneDecoder, feature_part, reflected_conv
from mine.network.embedding import CHANNELS, embed_disparity
from mine.network.fold import folded
from mine.network.fused_kernels import activate_rows, field_rows, interleave_rows
from mine.network.network import Network
from mine.network.subpixel import phase_kernel
from mine.threads import in_bands

Array = NDArray[Any]
Kernel = tuple[Tensor, Tensor]
"""Weight and bias of a convolution."""


class FusedNetwork:
    """A frozen `Network`, ready to draw; dtype: of its arithmetic, float32 or bfloat16."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.encoder = folded(network.encoder).to(dtype)
        self.decoder = FusedDecoder(network.decoder, dtype)

    def draw(self, image: Tensor, disparity: Tensor, group: int) -> Tensor:
        """Planes (1, S, 4, H, W), float32, at disparity (1, S), `group` at a time, of image (1, 3, H, W) in [0, 1]."""
        # The image is normalised in full precision.
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            features = self.encoder(image.contiguous(memory_format=torch.channels_last))
        return self.decoder.draw(features, disparity[0], group)[None]


class FusedDecoder:
    """A frozen `PlaneDecoder`, ready to draw; dtype: of its convolutions, float32 or bfloat16."""

    def __init__(self, decoder: PlaneDecoder, dtype: torch.dtype) -> None:
        self.dtype = dtype
        first = decoder.before[decoder.coarsest]
        self.bottleneck = folded(decoder.bottleneck).to(dtype)
        self.first = _ready(feature_part(first, 0), dtype)
        self.first_own = _own(first.kernel()[0])
        self.levels = [_level(decoder, level, dtype) for level in range(decoder.coarsest, -1, -1)]
        head = decoder.head(0)
        assert head.bias is not None
        self.head = _ready((head.weight, head.bias), dtype)

    def draw(self, features: list[Tensor], disparity: Tensor, group: int) -> Tensor:
        """Planes (S, 4, H, W), float32, at disparity (S,), from the encoder's features of one image."""
        features = [feature.to(self.dtype) for feature in features]
        first = reflected_conv(self.bottleneck(features[-1]), *self.first).float()
        skips = zip(self.levels, reversed(features[:-1]), strict=False)  # the finest level has none
        shared = [reflected_conv(feature, *level.skip).float() for level, feature in skips if level.skip]
        shared.append(first.new_zeros(1, len(self.levels[-1].bias), 1, 1))
        common = [_array(part)[0] for part in shared]
        embeddings = embed_disparity(disparity[None])[0].split(group)
        height, width = (2 * side for side in features[0].shape[-2:])
        planes = torch.empty(len(disparity), 4, height, width)
        for embedding, out in zip(embeddings, planes.split(group), strict=True):
            self._draw(first, common, embedding, out.numpy())
        return planes

    def _draw(self, first: Tensor, common: list[Array], embedding: Tensor, out: Array) -> None:
        """Planes of one group. Feature maps between two convolutions carry the border that the second one needs."""
        x = first + (embedding @ self.first_own.T)[:, :, None, None]
        x = _pass(activate_rows, x.to(self.dtype), x.shape)
        for level, shared in zip(self.levels, common, strict=True):
            if level.before is not None:
                x = F.conv2d(x, *level.before)
                x = _pass(activate_rows, x, x.shape)
            shape = len(x), len(level.bias), 2 * (x.shape[-2] - 2), 2 * (x.shape[-1] - 2)
            bias = (embedding @ level.own.T + level.bias).contiguous().numpy()
            x = _pass(interleave_rows, F.conv2d(x, level.upsampled), shape, shared, bias)
        drawn = _array(F.conv2d(x, *self.head))
        in_bands(out.shape[0] * out.shape[2], lambda *rows: field_rows(drawn, out, *rows))


class _Level(NamedTuple):
    """Kernels of a decoder level; the coarsest has no `before`, the finest no `skip`."""

    before: Kernel | None
    upsampled: Tensor
    """(4 C', C, 2, 2), see `phase_kernel`"""
    own: Tensor
    """(C', 21), of the embedding, which is constant over a plane; 0 at the finest level"""
    bias: Tensor
    """(C',), where `skip` does not have it"""
    skip: Kernel | None
    """of the image's features"""


def _level(decoder: PlaneDecoder, level: int, dtype: torch.dtype) -> _Level:
    before = None if level == decoder.coarsest else _ready(decoder.before[level].kernel(), dtype)
    block = decoder.after[level]
    weight, bias = block.kernel()
    outputs = len(weight)
    upsampled = _ready((phase_kernel(weight[:, :outputs]), bias), dtype)[0]
    if level == 0:
        return _Level(before, upsampled, weight.new_zeros(outputs, CHANNELS), bias, None)
    return _Level(before, upsampled, _own(weight), torch.zeros_like(bias), _ready(feature_part(block, outputs), dtype))


def _own(weight: Tensor) -> Tensor:
    return weight[:, -CHANNELS:].sum((2, 3))


def _ready(kernel: Kernel, dtype: torch.dtype) -> Kernel:
    weight, bias = kernel
    return weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)


def _array(x: Tensor) -> Array:
    """(N, H, W, C) view of a tensor (N, C, H, W), bfloat16 as its bits."""
    rows = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    return (rows.view(torch.uint16) if x.dtype == torch.bfloat16 else rows).numpy()


def _pass(kernel: Callable[..., None], x: Tensor, shape: tuple[int, ...], *more: Array) -> Tensor:
    """Runs a kernel on x; what comes out has one pixel more on each side of `shape` (N, C, H, W)."""
    count, channels, height, width = shape
    out = torch.empty(count, height + 2, width + 2, channels, dtype=x.dtype).permute(0, 3, 1, 2)
    source, target = _array(x), _array(out)
    in_bands(count * height, lambda *rows: kernel(source, *more, target, *rows))
    return out
