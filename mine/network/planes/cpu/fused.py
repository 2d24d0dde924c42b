"""`PlaneNetwork` at inference on CPUs: the planes of its finest scale, with the same weights and far less work.

Batch norm is folded into the convolutions, whose weights are prepacked for oneDNN. Everything between two convolutions
of the decoder (sub-pixel interleaving, the image's term, the plane's bias, ELU, padding) is one compiled pass over
memory, where torch's operators take seven. The finest level is never interleaved: its head is a 2x2 convolution over
blocks of two by two pixels. Each thread decodes groups of planes of its own, so that threads never synchronise.

Equals `reference.reference_decoder`: to 1e-5 of the largest value in float32, to 2 per cent of the mean value with a
finest level in bfloat16 (tests/network/planes/test_decoder.py).
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mine.kernels.arrays import Array, channels_last, empty_map
from mine.kernels.threads import run_on_threads
from mine.network.planes.cpu.fold import fold_batch_norm
from mine.network.planes.cpu.kernels import activate_head, elu_pad, elu_pad_blocks, interleave_elu_pad
from mine.network.planes.cpu.prepacked import PrepackedConv, prepack
from mine.network.planes.decoder import PlaneDecoder, feature_part
from mine.network.planes.embedding import CHANNELS, embed_disparity
from mine.network.planes.subpixel import phase_kernel

Kernel = tuple[Tensor, Tensor | None]
"""Weight of a convolution, and bias where it has one."""


class FusedNetwork:
    """A frozen `PlaneNetwork`, ready for inference on CPUs.

    The finest level takes most of the time, so it alone may be in bfloat16: each coarser level in bfloat16 would add as
    much error as the finest has (`benchmarks/precision.py`), and the encoder more.

    Args:
        encoder: frozen encoder of a `PlaneNetwork`, on the CPU.
        decoder: its frozen decoder.
        dtype: type of the decoder's finest level, float32 or bfloat16; all before it is float32.
    """

    def __init__(self, encoder: nn.Module, decoder: PlaneDecoder, dtype: torch.dtype) -> None:
        self.encoder = prepack(fold_batch_norm(encoder))
        self.decoder = FusedDecoder(decoder, dtype)

    def predict_planes(self, image: Tensor, disparity: Tensor, group: int) -> Tensor:
        """The planes of one image.

        Args:
            image: (1, 3, H, W) in [0, 1].
            disparity: (1, S).
            group: planes decoded at a time.

        Returns:
            (1, S, 4, H, W) float32, colour and density; in memory (1, S, H, W, 4).
        """
        features = self.encoder(image.contiguous(memory_format=torch.channels_last))
        return self.decoder.decode(features, disparity[0], group)[None]


class FusedDecoder:
    """A frozen `PlaneDecoder`, ready for inference on CPUs; `dtype` as for `FusedNetwork`."""

    def __init__(self, decoder: PlaneDecoder, dtype: torch.dtype) -> None:
        self.dtype = dtype
        first = decoder.before[decoder.coarsest]
        self.bottleneck = prepack(fold_batch_norm(decoder.bottleneck))
        self.first = _prepacked(feature_part(first, 0))
        self.first_embedding = _embedding_weight(first.kernel()[0])
        self.levels = [_level(decoder, level) for level in range(decoder.coarsest, 0, -1)]
        weight, bias = decoder.after[0].kernel()
        self.finest = _prepacked((block_kernel(weight), bias.repeat(4)), dtype)
        head = decoder.head(0)
        assert head.bias is not None
        self.head = _prepacked((head_kernel(head.weight), head.bias.repeat(4)), dtype)

    def decode(self, features: list[Tensor], disparity: Tensor, group: int) -> Tensor:
        """The planes of one image.

        Args:
            features: the encoder's five maps (1, C, H/2^l, W/2^l), finest first.
            disparity: (S,).
            group: planes decoded at a time.

        Returns:
            (S, 4, H, W) float32, colour and density; in memory (S, H, W, 4).
        """
        first = self.first(_reflection_pad(self.bottleneck(features[-1])))
        skips = zip(self.levels, reversed(features[:-1]), strict=True)
        image_terms = [_as_block_rows(level.skip(_reflection_pad(feature))) for level, feature in skips]
        embeddings = embed_disparity(disparity[None])[0].split(group)
        height, width = (2 * side for side in features[0].shape[-2:])
        # By numpy, which asks for huge pages: allocating as much in small pages takes as long as filling it.
        planes = torch.from_numpy(np.empty((len(disparity), height, width, 4), np.float32))
        groups = list(zip(embeddings, planes.split(group), strict=True))
        run_on_threads(groups, lambda pair: self._decode_group(first, image_terms, pair[0], pair[1].numpy()))
        return planes.permute(0, 3, 1, 2)

    @torch.no_grad()
    def _decode_group(self, first: Tensor, image_terms: list[Array], embedding: Tensor, planes: Array) -> None:
        """Fills planes (n, H, W, 4) from their embeddings (n, 21)."""
        x = first + (embedding @ self.first_embedding.T)[:, :, None, None]
        x = _elu_pad(x)
        for level, image_term in zip(self.levels, image_terms, strict=True):
            bias = (embedding @ level.embedding.T).repeat(1, 2).numpy()
            x = _interleave_elu_pad(level.upsample(x), image_term, bias)
            x = _elu_pad(level.before(x))
        x = self.finest(x.to(self.dtype))
        elu_pad_blocks(channels_last(x))
        activate_head(channels_last(self.head(x)), planes)


class _Level(NamedTuple):
    """The kernels from a level's upsampling to that of the next finer level."""

    upsample: PrepackedConv
    """(4 C', C, 2, 2) sub-pixel convolution, see `block_kernel`"""
    embedding: Tensor
    """(C', 21) weight of the disparity embedding, which is constant over a plane"""
    skip: PrepackedConv
    """(C', C, 3, 3) weight of the image's features, with the bias"""
    before: PrepackedConv
    """(C'', C', 3, 3) first convolution of the next level"""


def _level(decoder: PlaneDecoder, level: int) -> _Level:
    block = decoder.after[level]
    weight = block.kernel()[0]
    outputs = len(weight)
    upsample = _prepacked((block_kernel(weight[:, :outputs]), None))
    skip = _prepacked(feature_part(block, outputs))
    return _Level(upsample, _embedding_weight(weight), skip, _prepacked(decoder.before[level - 1].kernel()))


def block_kernel(weight: Tensor) -> Tensor:
    """`phase_kernel`, its outputs ordered so that the 4 C' at a position are one block of two by two padded pixels.

    Phase (a, b) at position (i + a, j + b) is pixel (2i + a, 2j + b), which padding by one moves to
    (2i + a + 1, 2j + b + 1). At position (p, q) that is pixel (1 - a, 1 - b) of the block that starts at (2p, 2q): the
    order of the phases is reversed.

    Args:
        weight: (C', C, 3, 3).

    Returns:
        (4 C', C, 2, 2).
    """
    return phase_kernel(weight).unflatten(0, (2, 2, -1)).flip(0, 1).flatten(0, 2)


def head_kernel(weight: Tensor) -> Tensor:
    """The head's 3x3 convolution as a 2x2 convolution over blocks of two by two padded pixels.

    Args:
        weight: (O, C, 3, 3).

    Returns:
        (4 O, 4 C, 2, 2): inputs are (row, column, C) in a padded block, outputs (row, column, O) in a block.
    """
    outputs, channels = weight.shape[:2]
    kernel = weight.new_zeros(2, 2, outputs, 2, 2, channels, 2, 2)
    for a, b, y, x in product(range(2), range(2), range(3), range(3)):
        (row, i), (column, j) = divmod(a + y, 2), divmod(b + x, 2)
        kernel[a, b, :, i, j, :, row, column] = weight[:, :, y, x]
    return kernel.flatten(3, 5).flatten(0, 2)


def _embedding_weight(weight: Tensor) -> Tensor:
    """(C', 21): what a kernel (C', C, 3, 3) multiplies the embedding by, which is constant under its 3x3 taps."""
    return weight[:, -CHANNELS:].sum((2, 3))


def _prepacked(kernel: Kernel, dtype: torch.dtype = torch.float32) -> PrepackedConv:
    weight, bias = kernel
    return PrepackedConv(weight.to(dtype), None if bias is None else bias.to(dtype))


def _reflection_pad(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect")


def _as_block_rows(image_term: Tensor) -> Array:
    """(1, C, H, W) as rows of the blocks of the padded result, (H, W/2 + 1, 2 C): see `interleave_elu_pad`."""
    rows = channels_last(F.pad(image_term, (1, 1)))[0]
    return rows.reshape(len(rows), rows.shape[1] // 2, -1)


def _elu_pad(x: Tensor) -> Tensor:
    """ELU of x (N, C, H, W), padded by replication: (N, C, H + 2, W + 2); see `subpixel` for why not by reflection."""
    out = empty_map((len(x), x.shape[1], x.shape[2] + 2, x.shape[3] + 2), x)
    elu_pad(channels_last(x), channels_last(out))
    return out


def _interleave_elu_pad(blocks: Tensor, image_term: Array, plane_bias: Array) -> Tensor:
    """Activated, padded pixels (N, C, H + 2, W + 2) from blocks (N, 4 C, H/2 + 1, W/2 + 1)."""
    size = len(blocks), blocks.shape[1] // 4, 2 * blocks.shape[2], 2 * blocks.shape[3]
    out = empty_map(size, blocks)
    interleave_elu_pad(channels_last(blocks), image_term, plane_bias, channels_last(out))
    return out
