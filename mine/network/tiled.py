"""The fused decoder on processors with tiles (Intel AMX), which multiply numbers in bfloat16 and add in float32.

Where rounding would cost too much precision (`benchmarks/precision.py`), in all but the last three convolutions, a
number is the sum of two in bfloat16, x = x1 + x2, and a product x1 w1 + x2 w1 + x1 w2: good to 5e-6, and still faster
than one in float32.
"""

import torch
from torch import Tensor

from mine.network.arrays import Array, bits
from mine.network.decoder import PlaneDecoder
from mine.network.fused import FusedDecoder, activated
from mine.network.lanes import LANES
from mine.network.packed import PackedConv
from mine.network.tile_kernels import SLACK, draw, draw_blocks, draw_fields, upsample

CHUNK = 32
"""Inputs of a product of tiles."""


class Tiled:
    """The kernel of a convolution as tiles: what `tile_kernels` take as weights, steps and bias."""

    def __init__(self, conv: PackedConv, parts: int) -> None:
        """parts: of a number of the map that it is for, and of a weight: 1 or 2."""
        weight, bias = conv.weight, conv.bias
        first = weight.bfloat16()
        tiles = _tiles(first)
        if parts == 2:
            tiles = torch.cat([tiles, _tiles((weight - first).bfloat16())], 3)
        rows, lines = (torch.arange(count) for count in tiles.shape[1:3])
        if parts == 2:  # a pixel's first parts, then its second ones, which are found from the first
            inputs = weight.shape[1] // CHUNK
            lines = lines // inputs * 2 * inputs + lines % inputs
        self.weights = bits(tiles.flatten(1, 2).flatten(2).contiguous())
        self.steps = torch.cartesian_prod(rows, lines).numpy()
        self.bias = (torch.zeros(len(weight)) if bias is None else bias).numpy()
        self.parts = parts

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """Weights, steps and bias."""
        return self.weights, self.steps, self.bias


class TiledDecoder(FusedDecoder):
    """A frozen `PlaneDecoder`, ready to draw in tiles."""

    @staticmethod
    def fits(decoder: PlaneDecoder) -> bool:
        """Whether its channels fill tiles."""
        finest, *others = (decoder.before[level].conv.out_channels for level in range(decoder.coarsest + 1))
        return finest % LANES == 0 and all(width % CHUNK == 0 for width in others)

    def __init__(self, decoder: PlaneDecoder) -> None:
        super().__init__(decoder, torch.float32)
        self.upsampled = [Tiled(level.upsampled, 2) for level in self.levels]
        coarser = [Tiled(level.before, 2) for level in self.levels[:-1]]
        self.before = [*coarser, Tiled(self.levels[-1].before, 1)]
        self.blocks, self.fields = Tiled(self.finest, 1), Tiled(self.head, 1)

    @torch.no_grad()
    def _draw(self, first: Tensor, common: list[Array], embedding: Tensor, out: Array) -> None:
        """As in `FusedDecoder`; maps are those of `tile_kernels`."""
        x = in_parts(activated(first + (embedding @ self.first_own.T)[:, :, None, None]))
        after = [*(kernel.parts for kernel in self.upsampled[1:]), self.blocks.parts]
        for level, shared, up, before, parts in zip(
            self.levels, common, self.upsampled, self.before, after, strict=True
        ):
            own = (embedding @ level.own.T).repeat(1, 2).numpy()
            y = empty_map((len(x), 2 * x.shape[1] - 2, 2 * x.shape[2] - 2), len(up.bias) // 4 * before.parts)
            upsample(x, *up.arrays, shared, own, y, before.parts)
            x = empty_map(y.shape[:3], len(before.bias) * parts)
            draw(y, *before.arrays, x, parts)
        y = empty_map((len(x), x.shape[1] - 1, x.shape[2] - 1), len(self.blocks.bias))
        draw_blocks(x, *self.blocks.arrays, y)
        draw_fields(y, *self.fields.arrays, out)


def _tiles(weight: Tensor) -> Tensor:
    """(blocks of outputs, row, line of inputs, tiles of a block, 16 pairs of inputs, 16 outputs, pair).

    The inputs of a kernel's row are neighbours in memory: those of its first pixel, then those of the next.
    """
    inputs = weight.permute(2, 3, 1, 0).flatten(1, 2).unflatten(1, (-1, CHUNK // 2, 2))
    columns = 2 if len(weight) % 32 == 0 else 1
    return inputs.unflatten(4, (-1, columns, 16)).permute(4, 0, 1, 5, 2, 6, 3)


def empty_map(size: tuple[int, ...], channels: int) -> Array:
    """A map (N, H, W, P) to be filled, with room behind it for what is read past its end."""
    count = size[0] * size[1] * size[2] * channels
    room = torch.empty(count + 2 * SLACK * channels, dtype=torch.bfloat16)
    return bits(room[:count].view(*size, channels))


def in_parts(x: Tensor) -> Array:
    """Map (N, H, W, 2 C) in two parts from a tensor (N, C, H, W)."""
    x = x.permute(0, 2, 3, 1)
    out = empty_map(x.shape[:3], 2 * x.shape[3])
    whole = torch.from_numpy(out).view(torch.bfloat16)
    whole[..., : x.shape[3]] = x
    whole[..., x.shape[3] :] = x - whole[..., : x.shape[3]].float()
    return out
