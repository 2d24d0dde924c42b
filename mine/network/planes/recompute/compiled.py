"""`passes` on processors, compiled: each group of planes in one pass over memory."""

import numpy as np
import torch
from torch import Tensor

from mine.kernels.arrays import Array, bits, channels_last, empty_map
from mine.kernels.threads import BAND, in_bands
from mine.network.planes.recompute import reference
from mine.network.planes.recompute.kernels import (
    backward_rows,
    combine_rows,
    interleave_rows,
    moment_rows,
    padded_rows,
    separate_rows,
)


def mean_and_variance(z: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel of z (N, C, H, W): (C,) each."""
    array = channels_last(z)
    pilot = z[0].float().mean((1, 2))  # near the mean, so that squares cancel little
    row, sums = _rows(z, pilot)[0], _sums(z)
    in_bands(len(z) * z.shape[2], lambda *rows: moment_rows(array, row, sums, *rows))
    mean, square = torch.from_numpy(sums.sum(0)) / (z.numel() // z.shape[1])
    return (pilot + mean).float(), (square - mean.square()).float()


class Activation(reference.Activation):
    """The same numbers as `reference.Activation`."""

    def padded(self, group: slice) -> Tensor:
        z = self.z[group]
        out = empty_map((len(z), z.shape[1], z.shape[2] + 2, z.shape[3] + 2), z)
        inputs = channels_last(z), *_rows(z, self.scale, self.shift), self.padding == "reflect", channels_last(out)
        in_bands(len(z) * z.shape[2], lambda *band: padded_rows(*inputs, *band))
        return out

    def _take(self, group: slice, gradient: Tensor, out: Tensor) -> Tensor:
        z, sums = self.z[group], _sums(self.z[group])
        rows = _rows(z, self.scale, self.shift, self.mean)
        inputs = channels_last(z), channels_last(gradient), rows, self.padding == "reflect", channels_last(out), sums
        in_bands(len(z) * z.shape[2], lambda *band: backward_rows(*inputs, *band))
        return torch.from_numpy(sums.sum(0))

    def _combine(self, *coefficients: Tensor) -> None:
        assert self.by_z is not None
        inputs = channels_last(self.z), _rows(self.z, *coefficients), channels_last(self.by_z)
        in_bands(len(self.z) * self.z.shape[2], lambda *band: combine_rows(*inputs, *band))


def interleave(phases: Tensor, out: Tensor, shared: Tensor | None, own: Tensor | None) -> None:
    """See `subpixel.interleave`."""
    channels = out.shape[1]
    common = (
        channels_last(shared[None])[0] if shared is not None else channels_last(out.new_zeros(1, channels, 1, 1))[0]
    )
    constant = out.new_zeros(len(out), channels) if own is None else own
    inputs = channels_last(phases), common, bits(constant.contiguous()), channels_last(out)
    in_bands(len(out) * out.shape[2], lambda *band: interleave_rows(*inputs, *band))


def separate(gradient: Tensor) -> Tensor:
    """See `subpixel.separate`."""
    count, channels, height, width = gradient.shape
    phases = empty_map((count, 4 * channels, height // 2 + 1, width // 2 + 1), gradient)
    inputs = channels_last(gradient), channels_last(phases)
    in_bands(len(phases) * phases.shape[2], lambda *band: separate_rows(*inputs, *band))
    return phases


def _sums(z: Tensor) -> Array:
    return np.zeros((len(z) * z.shape[2] // BAND + 1, 2, z.shape[1]))


def _rows(z: Tensor, *values: Tensor) -> Array:
    """Values of channels (C,), repeated along a row: (len(values), W C), float32."""
    return torch.stack(values).float().repeat(1, z.shape[3]).numpy()
