"""Which size of the planes suits large photos: `python benchmarks/plane_size.py` (generated scenes or captures).

Each scene is seen from one camera at the size of a large photo, its planes are predicted at several sizes, and the view
of a second camera is compared with the truth: PSNR of all that is covered, and of what the photo hides, SSIM, and the
error of log-depth after scaling. Seconds are of prediction, and of preparing and rendering the view.
"""

import argparse
import time
from collections.abc import Callable

import torch

import mine
from mine.data.base.sample import Sample
from mine.data.datasets.colmap import Colmap
from mine.data.synthetic import SyntheticScenes
from mine.evaluation.evaluate import NEAR, evaluate, evaluate_samples
from mine.evaluation.report import Report

FIRST = 2000
"""Number of the first scene: those that the shipped network was trained on have numbers from 100000 on."""

SIZES = ((256, 384), (384, 640), (512, 768))
"""(H, W) of the planes, as `mine.Model.predict` takes them."""

Log = dict[str, list[float]]


def method(model: mine.Model, size: tuple[int, int], log: Log) -> Callable[[Sample], mine.MPI]:
    """Predicts a sample's scene at one size of the planes, and logs its errors of depth and its time."""

    def predict(sample: Sample) -> mine.MPI:
        start = time.process_time()
        scene = model.predict(sample.source, K=sample.K_src, size=size)
        log.setdefault("seconds", []).append(time.process_time() - start)
        depth = scene.render(torch.eye(4), sample.K_src, (sample.source.shape[-2], sample.source.shape[-1])).depth[0, 0]
        near = (sample.depth_src[0] > 0) & ((sample.depth_src[0] < NEAR) | (sample.metric == 0))
        error = (depth / sample.depth_src[0]).log()[near]
        log.setdefault("depth", []).append(float((error - error.median()).abs().mean()))
        return scene

    return predict


def some_sources(captures: list[str], size: tuple[int, int], every: int) -> Colmap:
    """Evaluation pairs of every n-th source of captures, at `size` (H, W)."""
    data = Colmap(captures, size, training=False)
    kept = {index for indices in data.by_source()[::every] for index in indices}
    data.pairs = [pair for index, pair in enumerate(data.pairs) if index in kept]
    data.length = len(data.pairs)
    return data


def measure(options: argparse.Namespace, logs: dict[str, Log]) -> Report:
    """Evaluates all sizes of the planes."""
    model, size = mine.load(), tuple(options.size)
    methods = {name: method(model, planes, logs[name]) for name, planes in zip(logs, SIZES, strict=True)}
    with torch.no_grad():
        if options.captures:
            return evaluate(None, some_sources(options.captures, size, options.every), methods)
        return evaluate_samples(None, SyntheticScenes(options.scenes, size, seed=FIRST), options.scenes, methods)


def main() -> None:
    """Prints a table of means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--captures", nargs="+", metavar="FOLDER", help="captures in place of generated scenes")
    parser.add_argument("--every", type=int, default=6, help="of the captures' sources, every n-th")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 1152), metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args()
    logs = {f"{size[1]}x{size[0]}": Log() for size in SIZES}
    report = measure(options, logs)
    print("| planes | PSNR | hidden | SSIM | error of log-depth | prediction |\n|---|--:|--:|--:|--:|--:|")
    for name, metrics in report.mean().items():
        if name not in logs:
            continue
        error, seconds = (sum(logs[name][key]) / len(logs[name][key]) for key in ("depth", "seconds"))
        hidden = f"{metrics['psnr_hidden']:.2f} dB" if "psnr_hidden" in metrics else ""
        print(
            f"| {name} | {metrics['psnr']:.2f} dB | {hidden} | {metrics['ssim']:.4f} | {error:.3f} | {seconds:.2f} s |"
        )


if __name__ == "__main__":
    main()
