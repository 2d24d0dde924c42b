"""What keeps a surface network's figures down: `python benchmarks/limits.py configs/eval-captures.yaml [key=value]`.

Its depth is put right step by step with what structure from motion knows of each source, and judged anew each time by
the protocol of `mine eval`: where the figures jump is what the network gets wrong. A second table says how many pairs
of points come out in the right order, by how far apart in depth they are.
"""

import argparse
import math
from itertools import pairwise

import torch
from torch import Tensor

from mine.config import EvalConfig, load_config
from mine.data.base.sample import Sample
from mine.evaluation.baselines import interpolated_disparity
from mine.evaluation.evaluate import Method, evaluate
from mine.evaluation.protocol import held_out_pairs
from mine.model import load
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.disparity.network import DisparityNetwork, relative_disparity, smooth
from mine.scene.mpi import MPI
from mine.scene.points import disparity_at

RATIOS = (1.1, 1.25, 1.5, 2.0, math.inf)
RADII = (32, 8)
"""What is larger than so many pixels counts as a large shape."""


class Limits:
    """A surface network's scenes, as it predicts them and with more and more of the truth."""

    def __init__(self, network: DisparityNetwork, planes: int) -> None:
        self.network, self.planes = network, planes

    def methods(self) -> dict[str, Method]:
        """How to make a scene of a sample, by name."""
        truths = {
            f"the true shapes above {radius} pixels, details predicted": lambda sample, radius=radius: self._large(
                sample, radius
            )
            for radius in RADII
        }
        return {
            "as predicted": lambda sample: self.scene(sample, self.predicted(sample)),
            "contrast fitted to the points": lambda sample: self._fitted(sample, tilt=False),
            "contrast and tilt fitted to the points": lambda sample: self._fitted(sample, tilt=True),
            **truths,
            "all true": lambda sample: self.scene(sample, true(sample)),
        }

    @torch.no_grad()
    def predicted(self, sample: Sample) -> Tensor:
        """Log-disparity (1, 1, H, W) of the sample's source."""
        return self.network(sample.source[None]).log()

    def scene(self, sample: Sample, drawn: Tensor) -> MPI:
        """The scene that log-disparities (1, 1, H, W) of its source make."""
        surface = relative_disparity(drawn)
        disparity = plane_disparities(surface, self.planes)
        planes = lift_to_mpi(sample.source[None], surface, disparity[None])[0]
        return MPI.from_planes(planes, disparity, sample.K_src, sample.source)

    def _fitted(self, sample: Sample, tilt: bool) -> MPI:
        """Least squares of a factor and an offset of log-disparity, and of a plane over the picture."""
        drawn = self.predicted(sample)
        projected = sample.K_src @ sample.points_src
        places = (projected[:2] / projected[2:]) if tilt else projected[:0]
        known = torch.cat([at_points(sample, drawn)[None], torch.ones_like(projected[:1]), places])
        found = torch.linalg.lstsq(known.T, -sample.points_src[2].log()[:, None]).solution[:, 0]
        height, width = drawn.shape[-2:]
        fitted = found[0] * drawn + found[1]
        if tilt:
            fitted = fitted + found[2] * torch.arange(width) + found[3] * torch.arange(height)[:, None]
        return self.scene(sample, fitted)

    def _large(self, sample: Sample, radius: int) -> MPI:
        drawn = self.predicted(sample)
        return self.scene(sample, drawn + smooth(true(sample) - drawn, radius))


def true(sample: Sample) -> Tensor:
    """Log-disparity (1, 1, H, W) between the known points of a source."""
    return interpolated_disparity(sample.depth_src).log()[None, None]


def at_points(sample: Sample, drawn: Tensor) -> Tensor:
    """Log-disparities (N,) of a map (1, 1, H, W) at the points of its source."""
    return disparity_at(sample.points_src[None], (-drawn).exp(), sample.K_src[None])[0].log()


def ordered_by_ratio(limits: Limits, samples: list[Sample]) -> str:
    """A table: by how far apart two points are in depth, their share of all pairs and of those in the right order."""
    ratios, orders = [], []
    for sample in samples:
        first, second = torch.triu_indices(sample.points_src.shape[1], sample.points_src.shape[1], offset=1)
        drawn, depth = at_points(sample, limits.predicted(sample)), -sample.points_src[2].log()
        ratios.append((depth[first] - depth[second]).abs().exp())
        orders.append((depth[first] > depth[second]) == (drawn[first] > drawn[second]))
    apart, right = torch.cat(ratios), torch.cat(orders)
    lines = ["| depths apart by a factor of | share of pairs | in order |", "|---|--:|--:|"]
    for low, high in pairwise(RATIOS):
        chosen = (apart >= low) & (apart < high)
        share = chosen.sum() / (apart >= RATIOS[0]).sum()
        lines.append(f"| {low:g} to {high:g} | {share:.0%} | {right[chosen].double().mean():.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--checkpoint", help="the shipped one by default")
    options = parser.parse_args()
    config = load_config(options.config, options.overrides, EvalConfig)
    network = load(options.checkpoint, device="cpu").network
    assert isinstance(network, DisparityNetwork), "a surface network is looked into here"
    limits = Limits(network, config.planes)
    pairs = held_out_pairs(config)
    print(evaluate(None, pairs, limits.methods()).markdown())
    print(ordered_by_ratio(limits, [pairs[indices[0]] for indices in pairs.by_source()]))


if __name__ == "__main__":
    main()
