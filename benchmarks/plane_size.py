"""Which size of the network's input suits large photos: `python benchmarks/plane_size.py` (generated scenes).

Each scene is seen from one camera at the size of a large photo, its planes are predicted at several sizes, and the view
of a second camera is compared with the truth: PSNR of all that is covered, and of what the photo hides, SSIM, and the
error of log-depth after scaling. Seconds are of prediction, and of preparing and rendering the view.
"""

import argparse
import time
from collections.abc import Callable

import torch
from own_depth import NearPoints

import mine
from mine.data.base.sample import Sample
from mine.evaluation.evaluate import evaluate_samples

FIRST = 2000
"""Number of the first scene: those that the shipped network was trained on have numbers from 100000 on."""

SIZES = ((256, 384), (384, 640), (512, 768))
"""(H, W) of the planes, as `mine.Model.predict` takes them."""

FARTHEST = 16.0
"""Depth of the farthest pixels whose error counts: the sky is beyond the farthest plane."""

Log = dict[str, list[float]]


def method(model: mine.Model, size: tuple[int, int], log: Log) -> Callable[[Sample], mine.MPI]:
    """Predicts a sample's scene at one size of the planes, and logs its errors of depth and its time."""

    def predict(sample: Sample) -> mine.MPI:
        start = time.process_time()
        scene = model.predict(sample.source, K=sample.K_src, size=size)
        log.setdefault("seconds", []).append(time.process_time() - start)
        depth = scene.render(torch.eye(4), sample.K_src, tuple(sample.source.shape[-2:])).depth[0, 0]
        near = sample.depth_src[0] < FARTHEST
        error = (depth / sample.depth_src[0]).log()[near]
        log.setdefault("depth", []).append(float((error - error.median()).abs().mean()))
        return scene

    return predict


def main() -> None:
    """Prints a table of means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, default=(768, 1152), metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args()
    model, logs = mine.load(), {f"{size[1]}x{size[0]}": Log() for size in SIZES}
    methods = {name: method(model, size, logs[name]) for name, size in zip(logs, SIZES, strict=True)}
    scenes = NearPoints(options.scenes, tuple(options.size), seed=FIRST)
    with torch.no_grad():
        report = evaluate_samples(None, scenes, options.scenes, methods)
    print("| planes | PSNR | hidden | SSIM | error of log-depth | prediction |\n|---|--:|--:|--:|--:|--:|")
    for name, metrics in report.mean().items():
        if name not in logs:
            continue
        error, seconds = (sum(logs[name][key]) / len(logs[name][key]) for key in ("depth", "seconds"))
        values = f"{metrics['psnr']:.2f} dB | {metrics['psnr_hidden']:.2f} dB | {metrics['ssim']:.4f}"
        print(f"| {name} | {values} | {error:.3f} | {seconds:.2f} s |")


if __name__ == "__main__":
    main()
