"""What learned layers bring over the closed-form lift: `python benchmarks/layers.py [CHECKPOINT]` (generated scenes).

One disparity map, predicted or exact, is lifted in closed form, with the learned background, and with learned opacities
as well. The view of a second camera is compared with the truth: PSNR and SSIM of all that is covered, and PSNR of what
the photo hides. With exact depth, the opacity of foregrounds is compared with the share of each pixel that they cover.
"""

import argparse
import time
from dataclasses import replace

import torch
import torch.nn.functional as F

import mine
from mine.data.base.sample import Sample
from mine.data.synthetic import SyntheticScenes
from mine.evaluation.evaluate import Method, evaluate_samples
from mine.model import shipped_checkpoint
from mine.network.checkpoint import load_network, make_network
from mine.network.disparity.network import FARTHEST
from mine.network.layers.network import LayeredNetwork
from mine.scene.depth_maps.depth_map import make_depth_map
from mine.scene.inpaint import DISCONTINUITY

FIRST = 10_000_000
"""Number of the first scene, as in `configs/eval-generated.yaml`."""

SIZE = (256, 384)

OUTLINE = 4
"""Pixels from an outline within which opacity is compared."""


def variants(network: LayeredNetwork) -> dict[str, mine.Model]:
    """The same disparity network with ever more learned layers, by name."""
    lift = make_network(replace(network.architecture, decoder="disparity", background=(), opacity=0))
    lift.load_state_dict(network.state_dict(), strict=False)
    background = make_network(replace(network.architecture, opacity=0))
    background.load_state_dict(network.state_dict(), strict=False)
    found = {"closed form": mine.Model(lift), "learned background": mine.Model(background)}
    return found | ({"and opacities": mine.Model(network)} if network.opacity_network is not None else {})


def method(model: mine.Model, exact: bool) -> Method:
    """Predicts a sample's scene from the photo alone, or from its exact depth too."""

    def predict(sample: Sample) -> mine.MPI:
        depth = make_depth_map(sample.depth_src[0].numpy(), kind="depth") if exact else None
        return model.predict(sample.source, size=SIZE, K=sample.K_src, depth=depth)

    return predict


def outline_error(model: mine.Model, fine: Sample) -> float:
    """Mean error of the opacity of foregrounds within `OUTLINE` pixels of their outlines.

    Args:
        model: The model, which is given the exact depth.
        fine: A sample of twice the size, whose 2x2 pixels tell the share of a pixel that the foreground covers.
    """
    coarse = F.interpolate(fine.depth_src[None], scale_factor=0.5, mode="nearest")
    depth = make_depth_map(coarse[0, 0].numpy(), kind="depth")
    nearest = depth.relative_disparity()[1]
    true, at_pixels = ((1 / x / nearest).clamp(FARTHEST, 1) for x in (fine.depth_src[None], coarse))
    window = 2 * OUTLINE + 1
    near, far = F.max_pool2d(at_pixels, window, 1, OUTLINE), -F.max_pool2d(-at_pixels, window, 1, OUTLINE)
    middle = (near * far).sqrt()
    covered = F.avg_pool2d((true > F.interpolate(middle, scale_factor=2, mode="nearest")).float(), 2)
    scene = model.predict(F.avg_pool2d(fine.source, 2), size=SIZE, depth=depth)
    interval = torch.cat([(1 / scene.disparity).diff(), torch.full((1,), 1e3)])[:, None, None]
    in_front = (scene.disparity[:, None, None] > middle[0]).float()
    opacity = 1 - torch.exp(-(scene.sigma[:, 0] * interval * in_front).sum(0))
    return float((opacity - covered[0, 0]).abs()[(near > DISCONTINUITY**2 * far)[0, 0]].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default=str(shipped_checkpoint()))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--outlines", type=int, default=10)
    arguments = parser.parse_args()
    network = load_network(arguments.checkpoint)
    if not isinstance(network, LayeredNetwork):
        raise SystemExit(f"{arguments.checkpoint} has no learned layers: give a checkpoint of configs/layers.yaml")
    models = variants(network)
    scenes, fine = (
        SyntheticScenes(arguments.count, SIZE, seed=FIRST),
        SyntheticScenes(arguments.outlines, (2 * SIZE[0], 2 * SIZE[1]), seed=FIRST),
    )
    for name, exact in (("predicted depth", False), ("exact depth", True)):
        print(f"\n| {name} | PSNR | SSIM | PSNR disoccluded |\n|---|--:|--:|--:|")
        methods = {label: method(model, exact) for label, model in models.items()}
        found = evaluate_samples(None, scenes, arguments.count, methods).mean()
        for label, metrics in found.items():
            print(f"| {label} | {metrics['psnr']:.2f} | {metrics['ssim']:.3f} | {metrics['psnr_hidden']:.2f} |")
    print("\n| | error of opacity at outlines | seconds a prediction |\n|---|--:|--:|")
    photo = scenes[0].source
    for label, model in models.items():
        error = sum(outline_error(model, fine[i]) for i in range(arguments.outlines)) / arguments.outlines
        model.predict(photo, size=SIZE)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            model.predict(photo, size=SIZE)
            times.append(time.perf_counter() - start)
        print(f"| {label} | {error:.4f} | {sorted(times)[2]:.2f} |")


if __name__ == "__main__":
    main()
