"""What a given depth map brings: `python benchmarks/own_depth.py` (generated scenes with exact depth).

Each scene is seen from one camera, its depth comes from the shipped network, exactly, or as files have it, and the view
of a second camera is compared with the truth: PSNR in dB of all that is covered, and of what the photo hides.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import mine
from mine.data.base.sample import Sample
from mine.data.synthetic import SyntheticScenes
from mine.evaluation.evaluate import evaluate_samples, near_points
from mine.scene.depth import colour_depth
from mine.scene.depth_maps.depth_map import DepthMap, make_depth_map
from mine.scene.points import scale_factor

FIRST = 1000
"""Number of the first scene: those that the shipped network was trained on have numbers from 100000 on."""


def exact(depth: np.ndarray) -> DepthMap:
    """Depth in floats."""
    return make_depth_map(depth, kind="depth")


def eight_bits(depth: np.ndarray) -> DepthMap:
    """Disparity in 8 bits, the nearest white, as most tools write it."""
    disparity = 1 / depth
    return make_depth_map((255 * disparity / disparity.max()).round().astype(np.uint8), kind="disparity")


def small(depth: np.ndarray) -> DepthMap:
    """The same at a quarter of the size, which blurs its edges."""
    reduced = F.interpolate(torch.from_numpy(1 / depth)[None, None], scale_factor=0.25, mode="area")[0, 0].numpy()
    return eight_bits(1 / reduced)


def holes(depth: np.ndarray) -> DepthMap:
    """Depth in millimetres, unknown beyond four units and at random blocks, as sensors have it."""
    rng = np.random.default_rng(0)
    blocks = rng.random((depth.shape[0] // 16, depth.shape[1] // 16)) < 0.15
    lost = (depth > 4) | blocks.repeat(16, 0).repeat(16, 1)
    return make_depth_map(np.where(lost, 0, 1000 * depth).clip(max=65535).astype(np.uint16), kind="depth")


MAPS: dict[str, Callable[[np.ndarray], DepthMap]] = {
    "exact depth": exact,
    "disparity in 8 bits": eight_bits,
    "96x64, in 8 bits": small,
    "with holes": holes,
}
"""Maps by name, from exact depth (H, W)."""


def method(model: mine.Model, make: Callable[[np.ndarray], DepthMap] | None) -> Callable[[Sample], mine.MPI | None]:
    """Predicts a sample's scene, with depth if `make` makes a map."""

    def predict(sample: Sample) -> mine.MPI | None:
        depth = None
        if make is not None:
            try:
                depth = make(sample.depth_src[0].numpy())
            except mine.InputError:  # nothing is nearer than four units
                return None
        return model.predict(sample.source, K=sample.K_src, depth=depth)

    return predict


def picture(model: mine.Model, number: int, size: tuple[int, int], output: str) -> None:
    """Writes depth and the second camera's view of one scene: by the network, by exact depth, and the truth."""
    sample = near_points(SyntheticScenes(1, size, seed=number)[0])
    rows = []
    for depth in (None, exact(sample.depth_src[0].numpy())):
        scene = model.predict(sample.source, K=sample.K_src, depth=depth)
        own = scene.render(torch.eye(4), sample.K_src, size).depth
        T = sample.T_tgt_src.clone()
        T[:3, 3] /= scale_factor(sample.points_src[None], own, sample.K_src[None])[0]
        rows.append((own, scene.render(T, sample.K_tgt, size).rgb[0]))
    rows.append((sample.depth_src[None], sample.target))
    columns = []
    for own, view in rows:
        nearest, farthest = own.flatten().quantile(torch.tensor([0.02, 0.9])).tolist()
        colours = colour_depth(own, nearest, max(farthest, 2 * nearest))[0]
        pixels = (view.clamp(0, 1) * 255).byte().movedim(0, 2).numpy()
        columns.append(np.concatenate([colours, pixels]))
    Image.fromarray(np.concatenate(columns, 1)).save(output, quality=88)


def main() -> None:
    """Prints a table of mean PSNRs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 384), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--picture", metavar="FILE", help="write a picture of one scene instead")
    parser.add_argument("--number", type=int, default=1004, help="of that scene")
    options = parser.parse_args()
    model = mine.load()
    if options.picture:
        with torch.no_grad():
            picture(model, options.number, tuple(options.size), options.picture)
        return
    methods = {"shipped network": method(model, None)} | {name: method(model, make) for name, make in MAPS.items()}
    scenes = SyntheticScenes(options.scenes, tuple(options.size), seed=FIRST)
    with torch.no_grad():
        report = evaluate_samples(None, scenes, options.scenes, methods)
    means = report.mean()
    print("| depth | PSNR | | hidden | SSIM |\n|---|--:|--:|--:|--:|")
    for name, metrics in means.items():
        gain = metrics["psnr"] - means["shipped network"]["psnr"]
        hidden, ssim = metrics["psnr_hidden"], metrics["ssim"]
        print(f"| {name} | {metrics['psnr']:.2f} dB | {gain:+.2f} | {hidden:.2f} dB | {ssim:.4f} |")


if __name__ == "__main__":
    main()
