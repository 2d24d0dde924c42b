"""The plane network on processors: what `PlaneNetwork.forward` draws at the finest scale, in a fraction of the work.

Batch norm is part of the convolutions, and these are the library's. All that lies between two of the decoder's
(sub-pixel interleaving, the shared part, the plane's own bias, ELU, padding) is one compiled pass, where plain torch
takes seven. The finest level is never interleaved: its head is a 2x2 convolution over blocks of two by two pixels.
Threads draw groups of planes of their own, so that none waits for another.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mine.kernels.arrays import Array, channels_last, empty_map
from mine.kernels.threads import in_parts
from mine.network.planes.cpu.fold import fold_batch_norm
from mine.network.planes.cpu.kernels import activate, activate_blocks, fields, interleave
from mine.network.planes.cpu.prepacked import PrepackedConv, prepack
from mine.network.planes.decoder import PlaneDecoder, feature_part
from mine.network.planes.embedding import CHANNELS, embed_disparity
from mine.network.planes.network import PlaneNetwork
from mine.network.planes.subpixel import phase_kernel

Kernel = tuple[Tensor, Tensor | None]
"""Weight of a convolution, and bias where it has one."""


class FusedNetwork:
    """A frozen `PlaneNetwork`, ready to draw; dtype: of the planes' finest level, float32 or bfloat16.

    The finest level takes most of the time. What comes before it is as good as float32 always: each coarser level in
    bfloat16 would add as much error as the finest has (`benchmarks/precision.py`), and the encoder more.
    """

    def __init__(self, network: PlaneNetwork, dtype: torch.dtype) -> None:
        self.encoder = prepack(fold_batch_norm(network.encoder))
        self.decoder = FusedDecoder(network.decoder, dtype)

    def predict_planes(self, image: Tensor, disparity: Tensor, group: int) -> Tensor:
        """Planes (1, S, 4, H, W), float32, at disparity (1, S), `group` at a time, of image (1, 3, H, W) in [0, 1].

        The four numbers of a pixel are neighbours in memory, which is (1, S, H, W, 4).
        """
        features = self.encoder(image.contiguous(memory_format=torch.channels_last))
        return self.decoder.decode(features, disparity[0], group)[None]


class FusedDecoder:
    """A frozen `PlaneDecoder`, ready to draw; dtype: of the planes' finest level, float32 or bfloat16."""

    def __init__(self, decoder: PlaneDecoder, dtype: torch.dtype) -> None:
        self.dtype = dtype
        first = decoder.before[decoder.coarsest]
        self.bottleneck = prepack(fold_batch_norm(decoder.bottleneck))
        self.first = _ready(feature_part(first, 0))
        self.first_own = _own(first.kernel()[0])
        self.levels = [_level(decoder, level) for level in range(decoder.coarsest, 0, -1)]
        weight, bias = decoder.after[0].kernel()
        self.finest = _ready((block_kernel(weight), bias.repeat(4)), dtype)
        head = decoder.head(0)
        assert head.bias is not None
        self.head = _ready((head_kernel(head.weight), head.bias.repeat(4)), dtype)

    def decode(self, features: list[Tensor], disparity: Tensor, group: int) -> Tensor:
        """Planes (S, 4, H, W), float32, channels last, at disparity (S,), from the encoder's features of one image."""
        first = self.first(_reflected(self.bottleneck(features[-1])))
        skips = zip(self.levels, reversed(features[:-1]), strict=True)
        common = [_common(level.skip(_reflected(feature))) for level, feature in skips]
        embeddings = embed_disparity(disparity[None])[0].split(group)
        height, width = (2 * side for side in features[0].shape[-2:])
        # By numpy, which asks for large pages: to get as much in small ones takes as long as to fill it.
        planes = torch.from_numpy(np.empty((len(disparity), height, width, 4), np.float32))
        parts = list(zip(embeddings, planes.split(group), strict=True))
        in_parts(parts, lambda part: self._decode_group(first, common, part[0], part[1].numpy()))
        return planes.permute(0, 3, 1, 2)

    @torch.no_grad()
    def _decode_group(self, first: Tensor, common: list[Array], embedding: Tensor, out: Array) -> None:
        """Planes of one group. Feature maps between two convolutions carry the border that the second one needs."""
        x = first + (embedding @ self.first_own.T)[:, :, None, None]
        x = activated(x)
        for level, shared in zip(self.levels, common, strict=True):
            bias = (embedding @ level.own.T).repeat(1, 2).numpy()
            x = _interleaved(level.upsampled(x), shared, bias)
            x = activated(level.before(x))
        x = self.finest(x.to(self.dtype))
        activate_blocks(channels_last(x))
        fields(channels_last(self.head(x)), out)


class _Level(NamedTuple):
    """Kernels from a level's upsampling to that of the next finer one."""

    upsampled: PrepackedConv
    """(4 C', C, 2, 2), see `block_kernel`"""
    own: Tensor
    """(C', 21), of the embedding, which is constant over a plane"""
    skip: PrepackedConv
    """of the image's features, with the bias"""
    before: PrepackedConv
    """of the next level's first convolution"""


def _level(decoder: PlaneDecoder, level: int) -> _Level:
    block = decoder.after[level]
    weight = block.kernel()[0]
    outputs = len(weight)
    upsampled = _ready((block_kernel(weight[:, :outputs]), None))
    skip = _ready(feature_part(block, outputs))
    return _Level(upsampled, _own(weight), skip, _ready(decoder.before[level - 1].kernel()))


def block_kernel(weight: Tensor) -> Tensor:
    """`phase_kernel` in an order in which the 4 C' outputs of a place are a block of the result, padded by one pixel.

    Phase (a, b) at place (i + a, j + b) is pixel (2i + a, 2j + b), which padding moves to (2i + a + 1, 2j + b + 1): at
    place (p, q) that is pixel (1 - a, 1 - b) of the block that starts at (2p, 2q).
    """
    return phase_kernel(weight).unflatten(0, (2, 2, -1)).flip(0, 1).flatten(0, 2)


def head_kernel(weight: Tensor) -> Tensor:
    """The head's 3x3 convolution (O, C, 3, 3) over blocks of two by two pixels: (4 O, 4 C, 2, 2).

    Inputs are (row, column, C) in a padded block, outputs (row, column, O).
    """
    outputs, channels = weight.shape[:2]
    kernel = weight.new_zeros(2, 2, outputs, 2, 2, channels, 2, 2)
    for a, b, y, x in product(range(2), range(2), range(3), range(3)):
        (row, i), (column, j) = divmod(a + y, 2), divmod(b + x, 2)
        kernel[a, b, :, i, j, :, row, column] = weight[:, :, y, x]
    return kernel.flatten(3, 5).flatten(0, 2)


def _own(weight: Tensor) -> Tensor:
    return weight[:, -CHANNELS:].sum((2, 3))


def _ready(kernel: Kernel, dtype: torch.dtype = torch.float32) -> PrepackedConv:
    weight, bias = kernel
    return PrepackedConv(weight.to(dtype), None if bias is None else bias.to(dtype))


def _reflected(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect")


def _common(shared: Tensor) -> Array:
    """What all planes share, (1, C, H, W), as rows of blocks of the padded result: (H, W/2 + 1, 2 C)."""
    rows = channels_last(F.pad(shared, (1, 1)))[0]
    return rows.reshape(len(rows), rows.shape[1] // 2, -1)


def activated(x: Tensor) -> Tensor:
    """ELU of x (N, C, H, W), padded."""
    out = empty_map((len(x), x.shape[1], x.shape[2] + 2, x.shape[3] + 2), x)
    activate(channels_last(x), channels_last(out))
    return out


def _interleaved(blocks: Tensor, shared: Array, bias: Array) -> Tensor:
    """Padded pixels (N, C, H + 2, W + 2) from blocks (N, 4 C, H/2 + 1, W/2 + 1), see `interleave`."""
    size = len(blocks), blocks.shape[1] // 4, 2 * blocks.shape[2], 2 * blocks.shape[3]
    out = empty_map(size, blocks)
    interleave(channels_last(blocks), shared, bias, channels_last(out))
    return out
