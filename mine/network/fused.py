"""The plane decoder on processors: what `PlaneDecoder.forward` draws, in a fraction of the passes over memory.

Convolutions are the library's. All that lies between two of them (sub-pixel interleaving, the shared part, the plane's
own bias, ELU, padding) is one compiled pass, where plain torch takes seven.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mine.network.embedding import CHANNELS, embed_disparity
from mine.network.fused_kernels import activate_rows, field_rows, interleave_rows
from mine.threads import in_bands

if TYPE_CHECKING:
    from mine.network.decoder import PlaneDecoder

Array = NDArray[Any]


class FusedDecoder:
    """The finest planes of a `PlaneDecoder` in evaluation mode, on a processor, without gradients.

    shared: what `PlaneDecoder.shared` gives for one image. dtype: of the convolutions, float32 or bfloat16.
    """

    def __init__(self, decoder: "PlaneDecoder", shared: list[Tensor], dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.coarsest = shared[0].float()
        self.first = _own(decoder.before[decoder.coarsest].kernel()[0])
        self.before: list[tuple[Tensor, Tensor] | None] = []
        self.after: list[tuple[Tensor, Tensor, Tensor, Array]] = []
        for level in range(decoder.coarsest, -1, -1):
            weight, bias = decoder.before[level].kernel()
            self.before.append(None if level == decoder.coarsest else (_ready(weight, dtype), bias.to(dtype)))
            # What all planes share enters before the second block; the finest level has nothing of the kind.
            step = decoder.coarsest - level + 1
            kernel, own, bias = _after(decoder, level, dtype)
            common = shared[step].float() if step < len(shared) else bias.new_zeros(1, len(bias), 1, 1)
            self.after.append((kernel, own, bias, _array(common)[0]))
        head = decoder.head(0)
        assert head.bias is not None
        # In full precision: density is proportional to what comes out.
        self.head = _ready(head.weight, torch.float32), head.bias

    def draw(self, disparity: Tensor, group: int) -> Tensor:
        """Planes (S, 4, H, W), float32, at disparity (S,), `group` at a time."""
        parts = [self._draw(embed_disparity(part[None])[0]) for part in disparity.split(group)]
        return torch.cat(parts)

    def _draw(self, embedding: Tensor) -> Tensor:
        x = self.coarsest + (embedding @ self.first.T)[:, :, None, None]
        x = _pass(activate_rows, [x.to(self.dtype)], x.shape, self.dtype)
        for before, (kernel, own, bias, common) in zip(self.before, self.after, strict=True):
            if before is not None:
                x = F.conv2d(x, *before)
                x = _pass(activate_rows, [x], x.shape, self.dtype)
            height, width = 2 * (x.shape[-2] - 2), 2 * (x.shape[-1] - 2)
            phases = F.conv2d(x, kernel)
            shape = len(x), kernel.shape[0] // 4, height, width
            biases = embedding @ own.T + bias if own.numel() else bias.expand(len(x), -1)
            dtype = torch.float32 if kernel is self.after[-1][0] else self.dtype
            x = _pass(interleave_rows, [phases], shape, dtype, common, biases.contiguous().numpy())
        drawn = _last(F.conv2d(x, *self.head))
        planes = torch.empty(len(drawn), 4, *drawn.shape[-2:])
        source, out = _array(drawn), planes.numpy()
        in_bands(len(planes) * planes.shape[2], lambda *rows: field_rows(source, out, *rows))
        return planes


def _after(decoder: "PlaneDecoder", level: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Of a level's second block: sub-pixel kernel, the embedding's weights (C', 21), and what is left of the bias."""
    from mine.network.decoder import phase_kernel

    block = decoder.after[level]
    weight, bias = block.kernel()
    if level == 0:
        return _ready(phase_kernel(weight), dtype), weight.new_zeros(0), bias
    # The bias is in the shared part already.
    return _ready(phase_kernel(weight[:, : len(weight)]), dtype), _own(weight), torch.zeros_like(bias)


def _own(weight: Tensor) -> Tensor:
    """Weights (C', 21) of the embedding, which is constant over a plane."""
    return weight[:, -CHANNELS:].sum((2, 3))


def _ready(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.to(dtype).contiguous(memory_format=torch.channels_last)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _array(x: Tensor) -> Array:
    """(N, H, W, C) view of a tensor (N, C, H, W), bfloat16 as its bits."""
    rows = _last(x).permute(0, 2, 3, 1)
    return (rows.view(torch.uint16) if x.dtype == torch.bfloat16 else rows).numpy()


def _pass(
    kernel: Callable[..., None], inputs: list[Tensor], shape: tuple[int, ...], dtype: torch.dtype, *more: Array
) -> Tensor:
    """Runs a kernel whose output has one pixel more on each side of `shape` (N, C, H, W)."""
    count, channels, height, width = shape
    out = torch.empty(count, height + 2, width + 2, channels, dtype=dtype).permute(0, 3, 1, 2)
    arrays, target = [_array(x) for x in inputs], _array(out)
    in_bands(count * height, lambda *rows: kernel(*arrays, *more, target, *rows))
    return out
