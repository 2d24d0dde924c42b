"""Novel view synthesis on held-out views: PSNR, SSIM, LPIPS and ordinal depth, beside the baselines.

`evaluate` runs on captures and data sets of image pairs, with the protocol of the shipped checkpoint: every image is a
source, its targets are the two nearest cameras, and its scene is predicted once. Translations are calibrated by the
source's SfM points. PSNR and SSIM count the pixels that at least two planes cover. `evaluate_samples` runs on synthetic
scenes, where disoccluded pixels are known and get a PSNR of their own.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import EllipsisType

import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.base.disocclusion import uncovered
from mine.data.base.image_pairs import ImagePairs
from mine.data.base.sample import Sample
from mine.errors import InputError
from mine.evaluation.baselines import sfm_upper_bound, single_plane, source_image
from mine.evaluation.metrics import ordinal_accuracy, perceptual_distance, psnr, spearman, ssim
from mine.evaluation.report import Metrics, Report
from mine.render import Backend, View
from mine.render.view import MIN_COVERAGE
from mine.scene.mpi import MPI
from mine.scene.points import disparity_at, scale_factor

log = logging.getLogger(__name__)

Predictor = Callable[[Tensor, Tensor], MPI]
"""From an image (3, H, W) in [0, 1] and its intrinsics (3, 3) in pixels to a scene."""

Method = Callable[[Sample], MPI | None]
"""From all that a sample knows of its source to a scene; None stands for the source image as every view."""

FLAT = 1.001
"""Ratio of a scene's largest to its smallest disparity below which its depth counts as constant, without an order."""

NO_LPIPS = "LPIPS is unavailable: its weights (VGG-16, by torchvision) are not on this machine and cannot be downloaded"

NEAR = 16.0
"""Depth of the farthest points that calibrate a generated scene, whose nearest surface is at about 1.

The sky, at 1000, is beyond the farthest plane of a scene: a few points on it would tell the scale.
"""

LOWER_BOUNDS: Mapping[str, Method] = {"unchanged": source_image, "one plane": single_plane}
"""Baselines that any network should beat: no geometry, and one depth."""

BASELINES: Mapping[str, Method] = {**LOWER_BOUNDS, "SfM upper bound": sfm_upper_bound}


@torch.no_grad()
def evaluate(
    predictor: Predictor | None,
    dataset: ImagePairs,
    baselines: Mapping[str, Method] = BASELINES,
    perceptual: bool = False,
    backend: Backend = "auto",
    progress: bool = True,
) -> Report:
    """Evaluates a predictor and the baselines on image pairs, such as `Colmap(training=False)`.

    Samples of known scale (metric 1) need no calibration. Samples without SfM points have no ordinal metrics, and of
    the baselines only the unchanged source image. Pairs with an image that cannot be decoded are left out, with a note.

    Args:
        predictor: From an image and its intrinsics to a scene; None evaluates the baselines alone.
        dataset: The image pairs; its `border` is the fraction of each side of a target that does not count.
        baselines: Methods to compare with, by name.
        perceptual: Measure LPIPS of whole views too; NaN, with a note, when its weights are unavailable.
        backend: The renderer.
        progress: Show a progress bar.

    Returns:
        One row per scene (the data set's `row`) and method: means over its pairs of `psnr` (dB), `ssim`, `lpips`,
        `spearman` and `ordered` (see `mine.evaluation.metrics`). The last two are those of the pair's source: a source
        counts once for each of its targets.

    Raises:
        InputError: No pair can be decoded.
    """
    methods = _methods(predictor, baselines)
    distance = perceptual_distance() if perceptual else None
    report = Report([NO_LPIPS] if perceptual and distance is None else [])
    inner = _inner(dataset.size, dataset.border)
    counted = torch.zeros(1, 1, *dataset.size, dtype=torch.bool)
    counted[inner] = True
    unreadable: list[OSError] = []
    for indices in track(dataset.by_source(), "evaluating", disable=not progress):
        samples = _readable(dataset, indices, unreadable)
        if not samples:
            continue
        first = next(iter(samples.values()))
        for name, method in methods.items():
            if method in (single_plane, sfm_upper_bound) and not first.points_src.numel():
                continue
            scene = method(first)
            depth = None if scene is None else _source_depth(first, scene, backend)
            ordinal = {} if depth is None else _ordinal_metrics(first, depth)
            for index, sample in samples.items():
                view = _target_view(sample, scene, _scale(first, depth), backend)
                target = sample.target[None]
                metrics = _image_metrics(view, target, (view.mask >= MIN_COVERAGE) & counted)
                if perceptual:
                    metrics["lpips"] = float(distance(view.rgb[inner], target[inner])) if distance else math.nan
                report.add(dataset.row(index), name, metrics | ordinal)
    _note_unreadable(report, unreadable, len(dataset))
    return report


@torch.no_grad()
def evaluate_samples(
    predictor: Predictor | None,
    dataset: Dataset[Sample],
    count: int,
    baselines: Mapping[str, Method] = LOWER_BOUNDS,
    backend: Backend = "auto",
    progress: bool = True,
) -> Report:
    """Evaluates a predictor and the baselines on samples with dense depth, such as synthetic scenes.

    Args:
        predictor: From an image and its intrinsics to a scene; None evaluates the baselines alone.
        dataset: Samples with dense depth of source and target. Methods get them without their far points, see
            `near_points`.
        count: Number of samples, from the first on.
        baselines: Methods to compare with, by name.
        backend: The renderer.
        progress: Show a progress bar.

    Returns:
        One row per method: means of `psnr` (dB) and `ssim` as in `evaluate`, calibrated by the source's near points,
        and of `psnr_hidden`, over the target's pixels that are disoccluded.
    """
    methods = _methods(predictor, baselines)
    report = Report()
    for index in track(range(count), "evaluating", disable=not progress):
        sample = near_points(dataset[index])._replace(metric=torch.zeros(()))  # scale is unknown from one photo
        disoccluded = uncovered(Sample(*(field[None] for field in sample))).hidden
        for name, method in methods.items():
            scene = method(sample)
            depth = None if scene is None else _source_depth(sample, scene, backend)
            view = _target_view(sample, scene, _scale(sample, depth), backend)
            covered = view.mask >= MIN_COVERAGE
            metrics = _image_metrics(view, sample.target[None], covered)
            metrics["psnr_hidden"] = float(psnr(view.rgb, sample.target[None], covered & disoccluded))
            report.add("all", name, metrics)
    return report


def near_points(sample: Sample) -> Sample:
    """The sample with those of its source's points that are nearer than `NEAR`, or with all if none is."""
    near = sample.points_src[2] < NEAR
    return sample._replace(points_src=sample.points_src[:, near]) if near.any() else sample


def _methods(predictor: Predictor | None, baselines: Mapping[str, Method]) -> dict[str, Method]:
    """The predictor, if any, as the method "prediction", before the baselines."""
    if predictor is None:
        return dict(baselines)
    return {"prediction": lambda sample: predictor(sample.source, sample.K_src), **baselines}


def _readable(dataset: ImagePairs, indices: Iterable[int], unreadable: list[OSError]) -> dict[int, Sample]:
    """The samples of pairs that can be decoded, by index; the errors of the others are added to `unreadable`.

    `dataset[index]` would put another pair in place of one that cannot be decoded, often one of another source.
    """
    samples = {}
    for index in indices:
        try:
            samples[index] = dataset.make(index)
        except OSError as error:
            log.warning("left out a pair: %s", error)
            unreadable.append(error)
    return samples


def _note_unreadable(report: Report, unreadable: Sequence[OSError], pairs: int) -> None:
    """Says below the table how many of the pairs could not be decoded. Raises InputError if that is all of them."""
    if unreadable and len(unreadable) == pairs:
        raise InputError(f"none of {pairs} pairs can be decoded: check the pictures ({unreadable[-1]})")
    if unreadable:
        report.notes.append(f"left out: {len(unreadable)} of {pairs} pairs cannot be decoded ({unreadable[0]})")


def _inner(size: tuple[int, int], border: float) -> tuple[EllipsisType, slice, slice]:
    """Index of the pixels that are farther from the edges than the fraction `border` of height and width."""
    height, width = size
    top, left = round(border * height), round(border * width)
    return ..., slice(top, height - top), slice(left, width - left)


def _source_depth(sample: Sample, scene: MPI, backend: Backend) -> Tensor:
    """Depth (1, 1, H, W) that the scene renders in the source camera."""
    size = sample.source.shape[-2], sample.source.shape[-1]
    return scene.render(torch.eye(4), sample.K_src, size, backend).depth.cpu()


def _scale(sample: Sample, depth: Tensor | None) -> Tensor:
    """Divisor of the sample's translations that puts them in units of the scene: 1 without a rendered depth."""
    if depth is None or sample.metric > 0:
        return torch.ones(())
    return scale_factor(sample.points_src[None], depth, sample.K_src[None])[0]


def _target_view(sample: Sample, scene: MPI | None, scale: Tensor, backend: Backend) -> View:
    """The scene rendered in the target camera; without a scene, the source image, covered everywhere."""
    if scene is None:
        everywhere = torch.ones_like(sample.source[None, :1])
        return View(sample.source[None], everywhere, MIN_COVERAGE * everywhere)
    T = sample.T_tgt_src.clone()
    T[:3, 3] /= scale
    view = scene.render(T, sample.K_tgt, (sample.target.shape[-2], sample.target.shape[-1]), backend)
    return View(view.rgb.cpu(), view.depth.cpu(), view.mask.cpu())


def _image_metrics(view: View, target: Tensor, mask: Tensor) -> Metrics:
    """PSNR and SSIM of a view against the target image (1, 3, H, W) over a mask (1, 1, H, W)."""
    return {
        "psnr": float(psnr(view.rgb, target, mask)),
        "ssim": float(ssim(view.rgb, target, mask)),
    }


def _ordinal_metrics(sample: Sample, depth: Tensor) -> Metrics:
    """Rank correlation and ordinal accuracy of rendered source depth (1, 1, H, W) at the source's SfM points."""
    if not sample.points_src.numel():
        return {}
    predicted = disparity_at(sample.points_src[None], depth, sample.K_src[None])[0]
    true = 1 / sample.points_src[2]
    if predicted.max() < FLAT * predicted.min():  # the order would be that of rounding errors
        return {"spearman": math.nan, "ordered": math.nan}
    return {"spearman": spearman(predicted, true), "ordered": ordinal_accuracy(predicted, true)}
