"""Error analysis of a disparity network: `python benchmarks/limits.py configs/eval-captures.yaml [key=value]`.

The predicted disparity of each source is corrected step by step with what structure from motion (SfM) knows of it, and
evaluated by the protocol of `mine eval`: the step at which the metrics jump is what the network gets wrong. A second
table breaks ordinal accuracy down by the ratio of depths.
"""

import argparse
import math
from itertools import pairwise

import torch
from torch import Tensor

from mine.config import EvalConfig, load_config
from mine.data.base.sample import Sample
from mine.errors import InputError, exit_on_input_error
from mine.evaluation.baselines import interpolated_disparity
from mine.evaluation.evaluate import Method, evaluate
from mine.evaluation.protocol import held_out_pairs
from mine.model import load
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.disparity.network import DisparityNetwork, focal_contrast, relative_disparity
from mine.network.disparity.refine import box
from mine.scene.mpi import MPI
from mine.scene.points import disparity_at

RATIOS = (1.1, 1.25, 1.5, 2.0, math.inf)
"""Bounds of the ratios of depths in the second table."""

RADII = (32, 8)
"""Radii of the low-pass filter in pixels: larger shapes are taken from SfM, details from the prediction."""


class Corrections:
    """Scenes of a disparity network, as predicted and with more and more of the SfM depth."""

    def __init__(self, network: DisparityNetwork, planes: int) -> None:
        self.network, self.planes = network, planes

    def methods(self) -> dict[str, Method]:
        """From a sample to a scene, by the name of the correction."""
        true_shapes = {
            f"true shapes above {radius} pixels, details predicted": lambda sample, radius=radius: self._large_shapes(
                sample, radius
            )
            for radius in RADII
        }
        return {
            "as predicted": lambda sample: self.scene(sample, self.predicted(sample)),
            "contrast fitted to the points": lambda sample: self._fitted(sample, tilt=False),
            "contrast and tilt fitted to the points": lambda sample: self._fitted(sample, tilt=True),
            **true_shapes,
            "all true": lambda sample: self.scene(sample, true_log_disparity(sample)),
        }

    @torch.no_grad()
    def predicted(self, sample: Sample) -> Tensor:
        """Predicted log-disparity (1, 1, H, W) of the sample's source."""
        size = sample.source.shape[-2], sample.source.shape[-1]
        return self.network(sample.source[None], float(focal_contrast(sample.K_src, size))).log()

    def scene(self, sample: Sample, log_disparity: Tensor) -> MPI:
        """The scene lifted from log-disparity (1, 1, H, W) of the source."""
        disparity_map = relative_disparity(log_disparity)
        disparity = plane_disparities(disparity_map, self.planes)
        planes = lift_to_mpi(sample.source[None], disparity_map, disparity[None])[0]
        return MPI.from_planes(planes, disparity, sample.K_src, sample.source)

    def _fitted(self, sample: Sample, tilt: bool) -> MPI:
        """Least squares for contrast and offset of log-disparity, and for tilt: a plane over the image."""
        predicted = self.predicted(sample)
        projected = sample.K_src @ sample.points_src
        pixels = (projected[:2] / projected[2:]) if tilt else projected[:0]
        known = torch.cat([at_points(sample, predicted)[None], torch.ones_like(projected[:1]), pixels])
        solution = torch.linalg.lstsq(known.T, -sample.points_src[2].log()[:, None]).solution[:, 0]
        height, width = predicted.shape[-2:]
        fitted = solution[0] * predicted + solution[1]
        if tilt:
            fitted = fitted + solution[2] * torch.arange(width) + solution[3] * torch.arange(height)[:, None]
        return self.scene(sample, fitted)

    def _large_shapes(self, sample: Sample, radius: int) -> MPI:
        """The prediction with its low frequencies replaced by those of the SfM depth."""
        predicted = self.predicted(sample)
        return self.scene(sample, predicted + smooth(true_log_disparity(sample) - predicted, radius))


def smooth(x: Tensor, radius: int) -> Tensor:
    """Low-pass filter: three box filters in a row, close to a Gaussian of variance radius (radius + 1).

    Args:
        x: (B, C, H, W).
        radius: Of each box, in pixels.

    Returns:
        (B, C, H, W).
    """
    for _ in range(3):
        x = box(x, radius)
    return x


def true_log_disparity(sample: Sample) -> Tensor:
    """Log-disparity (1, 1, H, W) interpolated between the SfM points of a source."""
    return interpolated_disparity(sample.depth_src).log()[None, None]


def at_points(sample: Sample, log_disparity: Tensor) -> Tensor:
    """Log-disparities (N,) of a map (1, 1, H, W) at the SfM points of its source."""
    return disparity_at(sample.points_src[None], (-log_disparity).exp(), sample.K_src[None])[0].log()


def ordinal_accuracy_by_ratio(corrections: Corrections, samples: list[Sample]) -> str:
    """A table: by the ratio of two points' depths, their fraction of all pairs and their ordinal accuracy."""
    ratios, orders = [], []
    for sample in samples:
        first, second = torch.triu_indices(sample.points_src.shape[1], sample.points_src.shape[1], offset=1)
        predicted, true = at_points(sample, corrections.predicted(sample)), -sample.points_src[2].log()
        ratios.append((true[first] - true[second]).abs().exp())
        orders.append((true[first] > true[second]) == (predicted[first] > predicted[second]))
    ratio, right = torch.cat(ratios), torch.cat(orders)
    lines = ["| ratio of depths | fraction of pairs | ordered |", "|---|--:|--:|"]
    for low, high in pairwise(RATIOS):
        chosen = (ratio >= low) & (ratio < high)
        fraction = chosen.sum() / (ratio >= RATIOS[0]).sum()
        lines.append(f"| {low:g} to {high:g} | {fraction:.0%} | {right[chosen].double().mean():.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="an evaluation of image pairs")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--checkpoint", help="a disparity network; the shipped one by default")
    options = parser.parse_args()
    with exit_on_input_error(parser.prog):
        config = load_config(options.config, options.overrides, EvalConfig)
        network = load(options.checkpoint, device="cpu").network
        if not isinstance(network, DisparityNetwork):
            raise InputError(f"{options.checkpoint} is a plane network: give a disparity network")
        corrections = Corrections(network, config.planes)
        pairs = held_out_pairs(config)
        print(evaluate(None, pairs, corrections.methods()).markdown())
        print(ordinal_accuracy_by_ratio(corrections, [pairs[indices[0]] for indices in pairs.by_source()]))


if __name__ == "__main__":
    main()
