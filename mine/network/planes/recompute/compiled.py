"""`recompute.reference` compiled for CPUs: each group of planes in one pass over memory.

Rows of feature maps are run in bands, on torch's number of threads; see `kernels.py` for the kernels.
"""

import numpy as np
import torch
from torch import Tensor

from mine.kernels.arrays import Array, as_array, channels_last, empty_map
from mine.kernels.threads import BAND, run_in_bands
from mine.network.planes.recompute import reference
from mine.network.planes.recompute.kernels import (
    combine_rows,
    interleave_rows,
    moment_rows,
    norm_elu_pad_backward_rows,
    norm_elu_pad_rows,
    separate_rows,
)


def mean_and_variance(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance, (C,) each, of every channel of z (N, C, H, W)."""
    array = channels_last(z)
    pilot = z[0].float().mean((1, 2))  # near the mean, so that the squares of z - pilot cancel little
    row, sums = _repeated(z, pilot)[0], _zero_sums(z)
    run_in_bands(len(z) * z.shape[2], lambda *rows: moment_rows(array, row, sums, *rows))
    mean, square = torch.from_numpy(sums.sum(0)) / (z.numel() // z.shape[1])
    return (pilot + mean).float(), (square - mean.square()).float()


class NormEluPad(reference.NormEluPad):
    """See `reference.NormEluPad`."""

    def forward(self, group: slice) -> Tensor:
        """See `reference.NormEluPad.forward`."""
        z = self.z[group]
        out = empty_map((len(z), z.shape[1], z.shape[2] + 2, z.shape[3] + 2), z)
        inputs = channels_last(z), *_repeated(z, self.scale, self.shift), self.padding == "reflect", channels_last(out)
        run_in_bands(len(z) * z.shape[2], lambda *rows: norm_elu_pad_rows(*inputs, *rows))
        return out

    def _backward_group(self, group: slice, gradient: Tensor, out: Tensor) -> Tensor:
        z, sums = self.z[group], _zero_sums(self.z[group])
        affine = _repeated(z, self.scale, self.shift, self.mean)
        inputs = channels_last(z), channels_last(gradient), affine, self.padding == "reflect", channels_last(out), sums
        run_in_bands(len(z) * z.shape[2], lambda *rows: norm_elu_pad_backward_rows(*inputs, *rows))
        return torch.from_numpy(sums.sum(0))

    def _combine(self, *coefficients: Tensor) -> None:
        assert self.grad_z is not None
        inputs = channels_last(self.z), _repeated(self.z, *coefficients), channels_last(self.grad_z)
        run_in_bands(len(self.z) * self.z.shape[2], lambda *rows: combine_rows(*inputs, *rows))


def interleave(phases: Tensor, out: Tensor, shared: Tensor | None, own: Tensor | None) -> None:
    """See `subpixel.interleave`."""
    image_term = out.new_zeros(1, out.shape[1], 1, 1) if shared is None else shared[None]
    plane_bias = out.new_zeros(len(out), out.shape[1]) if own is None else own
    terms = channels_last(image_term)[0], as_array(plane_bias.contiguous())
    inputs = channels_last(phases), *terms, channels_last(out)
    run_in_bands(len(out) * out.shape[2], lambda *rows: interleave_rows(*inputs, *rows))


def separate(gradient: Tensor) -> Tensor:
    """See `subpixel.separate`."""
    count, channels, height, width = gradient.shape
    phases = empty_map((count, 4 * channels, height // 2 + 1, width // 2 + 1), gradient)
    inputs = channels_last(gradient), channels_last(phases)
    run_in_bands(len(phases) * phases.shape[2], lambda *rows: separate_rows(*inputs, *rows))
    return phases


def _zero_sums(z: Tensor) -> Array:
    """(bands, 2, C) float64: two sums per channel for each band of rows, so that no two threads add to the same."""
    return np.zeros((len(z) * z.shape[2] // BAND + 1, 2, z.shape[1]))


def _repeated(z: Tensor, *values: Tensor) -> Array:
    """Values of channels, (C,) each, repeated along a row of z: (len(values), W C) float32."""
    return torch.stack(values).float().repeat(1, z.shape[3]).numpy()
