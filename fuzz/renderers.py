"""Compares the compiled renderer with the reference in double precision on random scenes, and looks for NaN.

python fuzz/renderers.py --scenes 5000 --seed 0

Scenes are of kinds: plain ones, on which both must agree, and hard ones (cameras turned by 90 degrees or inside a
plane, densities up to 1e30, focal lengths from 1e-3 to 1e6), on which all backends must be finite. The exit status is 1
if one is not, or if they differ.
"""

import argparse
import math
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from random_views import planes_of_noise, render_in_double, rotation

from mine.render import render
from mine.scene.camera import intrinsics, pose

COLOUR, DEPTH = 2e-4, 2e-4
"""Largest difference in colour, and in depth relative to 1 + depth."""


class Scene(NamedTuple):
    """The arguments of `render`."""

    planes: Tensor
    disparity: Tensor
    K_src: Tensor
    K_tgt: Tensor
    T: Tensor
    size: tuple[int, int]
    detail: Tensor | None


def plain(seed: int) -> Scene:
    """A scene with a camera that has moved and turned a little, or far away."""
    torch.manual_seed(seed)
    size, target = _size(24), _size(24)
    count = int(torch.randint(2, 12, ()))
    planes = planes_of_noise(1, count, 10 ** float(torch.empty(()).uniform_(-3, 3)), size)
    disparity = (torch.rand(count).cumsum(0) + 0.05).flip(0)[None]
    turn, move = (
        float(torch.tensor(values)[torch.randint(4, ())]) for values in ((0, 0.05, 0.3, 2), (0, 0.02, 0.1, 1))
    )
    T = pose(rotation(torch.randn(3) * turn), torch.randn(3) * move / float(disparity[0, 0]))[None]
    detail = torch.rand(1, 3, 2 * size[0], 2 * size[1]) - 0.5 if seed % 2 else None
    return Scene(planes, disparity, intrinsics(size)[None], intrinsics(target, 60)[None], T, target, detail)


def hard(seed: int) -> Scene:
    """A scene whose geometry is degenerate, or whose numbers are at the ends of what is accepted."""
    scene = plain(seed)
    quarter = torch.eye(3)[torch.randint(3, ())] * math.pi / 2 * int(torch.randint(-2, 3, ()))
    kind = seed % 4
    if kind == 0:  # at a right angle, exactly
        return scene._replace(T=pose(rotation(quarter).round(), torch.randn(3).round())[None])
    if kind == 1:  # in a plane
        depth = 1 / float(scene.disparity[0, int(torch.randint(scene.disparity.shape[1], ()))])
        return scene._replace(T=pose(rotation(quarter / 100), torch.tensor([0, 0, -depth]))[None])
    if kind == 2:  # dense, far away
        scene.planes[:, :, 3] *= 10 ** float(torch.empty(()).uniform_(0, 27))
        return scene._replace(disparity=scene.disparity * 10 ** float(torch.empty(()).uniform_(-6, 6)))
    K = scene.K_tgt.clone()
    K[:, (0, 1), (0, 1)] *= 10 ** float(torch.empty(()).uniform_(-3, 6))
    return scene._replace(K_tgt=K)


def _size(most: int) -> tuple[int, int]:
    height, width = torch.randint(1, most, (2,)).tolist()
    return height, width


def difference(seed: int) -> tuple[float, float]:
    """Largest differences in colour and in relative depth between "cpu" and the reference on a plain scene."""
    scene = plain(seed)
    view, expected = render(*scene, backend="cpu"), render_in_double(*scene)
    depth = (view.depth - expected.depth).abs() / (1 + expected.depth.abs())
    return float((view.rgb - expected.rgb).abs().max()), float(depth.max())


def not_finite(seed: int) -> list[str]:
    """The backends whose view of a hard scene is not finite."""
    scene = hard(seed)
    views = {
        "cpu": render(*scene, backend="cpu"),
        "reference": render(*scene, backend="reference"),
        "reference in double precision": render_in_double(*scene),
    }
    return [name for name, view in views.items() if not all(torch.isfinite(part).all() for part in view)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000, help="of each of the two kinds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.scenes)
    differences = torch.tensor([difference(seed) for seed in seeds])
    apart = [
        seed
        for seed, (colour, depth) in zip(seeds, differences.tolist(), strict=True)
        if colour > COLOUR or depth > DEPTH
    ]
    broken = {seed: names for seed in seeds if (names := not_finite(seed))}
    print(f"{len(seeds)} plain scenes: largest difference in colour {differences[:, 0].max():.1e}, ", end="")
    print(f"in depth {differences[:, 1].max():.1e}; {len(apart)} apart {apart[:10]}")
    counts = Counter(name for names in broken.values() for name in names)
    print(f"{len(seeds)} hard scenes: {len(broken)} not finite {dict(counts)} {list(broken)[:10]}")
    sys.exit(bool(apart or broken))


if __name__ == "__main__":
    main()
