"""How well a predictor does on views it did not see.

On captures (`evaluate`), the shipped checkpoint's protocol: each picture is a source whose targets are its two nearest
cameras, its scene predicted once; translations are calibrated by the source's points; PSNR and SSIM count pixels that
at least two planes cover; rank correlation and ordered pairs compare disparities in the source. On generated scenes
(`evaluate_samples`) it is the same, and pixels hidden from the source are scored apart. Simple scenes
(`references`) are judged the same way.
"""

import math
from collections.abc import Callable, Mapping
from types import EllipsisType

import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.base.image_pairs import ImagePairs
from mine.data.base.sample import Sample
from mine.evaluation.baselines import one_plane, soup
from mine.evaluation.metrics import ordered_share, perceptual_distance, psnr, spearman, ssim
from mine.evaluation.report import Report
from mine.render import Backend, View
from mine.scene.mpi import MPI
from mine.scene.points import disparity_at, scale_factor

Predictor = Callable[[Tensor, Tensor], MPI]
"""Image (3, H, W) in [0, 1] and its intrinsics (3, 3) to a scene."""

Synthesis = Callable[[Sample], MPI | None]
"""A scene from all a sample knows of its source; None shows the source picture unchanged."""

MIN_COVER = 2
"""Planes that must cover a pixel for it to count."""

FLAT = 1.001
"""A scene whose nearest point is not nearer than its farthest by this factor puts nothing in order."""

NO_LPIPS = "LPIPS is unavailable: its weights (VGG-16, by torchvision) are not on this machine and cannot be downloaded"

HIDDEN_TOLERANCE = 0.05
"""A target's point is hidden from the source when the source sees a surface nearer than it by this share of depth."""


def unchanged(sample: Sample) -> None:
    """The source picture itself, whatever the target camera."""


SIMPLE: Mapping[str, Synthesis] = {"unchanged": unchanged, "one plane": one_plane}

REFERENCES: Mapping[str, Synthesis] = {**SIMPLE, "soup of true depths": soup}


@torch.no_grad()
def evaluate(
    predictor: Predictor | None,
    dataset: ImagePairs,
    references: Mapping[str, Synthesis] = REFERENCES,
    perceptual: bool = False,
    backend: Backend = "auto",
    progress: bool = True,
) -> Report:
    """Figures of a predictor, and of the references, on an evaluation such as `Colmap(training=False)`.

    One row per capture (or what else the data set's `row` says) and method: means over its pairs of `psnr` (dB),
    `ssim`, `lpips` where asked for (of whole views; NaN, with a note, when its weights are unavailable), and over its
    sources of `spearman` and `ordered`. The predictor may be None to have the references alone. Samples whose scale is
    known (metric 1) need no calibration; those without points have no figures of depth, and of the references only the
    photo unchanged. The share `border` of each side of a target, as the data set says, does not count.
    """
    methods = _methods(predictor, references)
    distance = perceptual_distance() if perceptual else None
    report = Report([NO_LPIPS] if perceptual and distance is None else [])
    inner = _inner(dataset.size, dataset.border)
    counted = torch.zeros(1, 1, *dataset.size, dtype=torch.bool)
    counted[inner] = True
    for indices in track(dataset.by_source(), "evaluating", disable=not progress):
        samples = [dataset[index] for index in indices]
        for method, synthesis in methods.items():
            if synthesis in (one_plane, soup) and not samples[0].points_src.numel():
                continue
            scene = synthesis(samples[0])
            depth = None if scene is None else _source_depth(samples[0], scene, backend)
            order = {} if depth is None else _order(samples[0], depth)
            for index, sample in zip(indices, samples, strict=True):
                view = _view(sample, scene, _scale(samples[0], depth), backend)
                target = sample.target[None]
                figures = _likeness(view, target, (view.mask >= MIN_COVER) & counted)
                if perceptual:
                    figures["lpips"] = float(distance(view.rgb[inner], target[inner])) if distance else math.nan
                report.add(dataset.row(index), method, figures | order)
    return report


@torch.no_grad()
def evaluate_samples(
    predictor: Predictor | None,
    dataset: Dataset[Sample],
    count: int,
    references: Mapping[str, Synthesis] = SIMPLE,
    backend: Backend = "auto",
    progress: bool = True,
) -> Report:
    """Figures on the first `count` samples of a data set whose depths are dense.

    `psnr` and `ssim` as in `evaluate`, also calibrated by the source's points; `psnr_hidden` over the target's pixels
    that the source cannot see, by its depth map.
    """
    methods = _methods(predictor, references)
    report = Report()
    for index in track(range(count), "evaluating", disable=not progress):
        sample = dataset[index]._replace(metric=torch.zeros(()))  # no photo tells its scale
        hidden = hidden_pixels(sample)[None]
        for method, synthesis in methods.items():
            scene = synthesis(sample)
            depth = None if scene is None else _source_depth(sample, scene, backend)
            view = _view(sample, scene, _scale(sample, depth), backend)
            seen = view.mask >= MIN_COVER
            figures = _likeness(view, sample.target[None], seen)
            figures["psnr_hidden"] = float(psnr(view.rgb, sample.target[None], seen & hidden))
            report.add("all", method, figures)
    return report


def hidden_pixels(sample: Sample) -> Tensor:
    """(1, H, W) whether the surface in each target pixel lies inside the source's frame but behind another surface.

    False where the target's depth, or the source's at that place, is unknown. Both maps are taken at pixel centres.
    """
    depth = sample.depth_tgt[0]
    y, x = torch.meshgrid(*(torch.arange(length).to(depth) for length in depth.shape), indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    points = torch.linalg.inv(sample.K_tgt) @ pixels * depth.flatten()
    T = torch.linalg.inv(sample.T_tgt_src.double()).to(points)
    in_source = T[:3, :3] @ points + T[:3, 3:]
    projected = sample.K_src @ in_source
    u, v = (projected[:2] / projected[2:].clamp(min=1e-6)).round().long()
    height, width = sample.depth_src.shape[-2:]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height) & (in_source[2] > 0) & (depth.flatten() > 0)
    seen = sample.depth_src[0, v.clamp(0, height - 1), u.clamp(0, width - 1)]
    hidden: Tensor = inside & (seen > 0) & (seen < in_source[2] * (1 - HIDDEN_TOLERANCE))
    return hidden.view(1, *depth.shape)


def _methods(predictor: Predictor | None, references: Mapping[str, Synthesis]) -> dict[str, Synthesis]:
    if predictor is None:
        return dict(references)
    return {"prediction": lambda sample: predictor(sample.source, sample.K_src), **references}


def _inner(size: tuple[int, int], border: float) -> tuple[EllipsisType, slice, slice]:
    """Index of the pixels that are farther from the edges than the share `border` of height and width."""
    height, width = size
    top, left = round(border * height), round(border * width)
    return ..., slice(top, height - top), slice(left, width - left)


def _source_depth(sample: Sample, scene: MPI, backend: Backend) -> Tensor:
    """Depth (1, 1, H, W) of the source view that the scene renders."""
    size = sample.source.shape[-2], sample.source.shape[-1]
    return scene.render(torch.eye(4), sample.K_src, size, backend).depth.cpu()


def _scale(sample: Sample, depth: Tensor | None) -> Tensor:
    """What to divide the sample's translations by, so that they are in units of the scene: 1 without a depth."""
    if depth is None or sample.metric > 0:
        return torch.ones(())
    return scale_factor(sample.points_src[None], depth, sample.K_src[None])[0]


def _view(sample: Sample, scene: MPI | None, scale: Tensor, backend: Backend) -> View:
    if scene is None:
        everywhere = torch.ones_like(sample.source[None, :1])
        return View(sample.source[None], everywhere, MIN_COVER * everywhere)
    T = sample.T_tgt_src.clone()
    T[:3, 3] /= scale
    view = scene.render(T, sample.K_tgt, (sample.target.shape[-2], sample.target.shape[-1]), backend)
    return View(view.rgb.cpu(), view.depth.cpu(), view.mask.cpu())


def _likeness(view: View, target: Tensor, mask: Tensor) -> dict[str, float]:
    return {
        "psnr": float(psnr(view.rgb, target, mask)),
        "ssim": float(ssim(view.rgb, target, mask)),
    }


def _order(sample: Sample, depth: Tensor) -> dict[str, float]:
    if not sample.points_src.numel():
        return {}
    predicted = disparity_at(sample.points_src[None], depth, sample.K_src[None])[0]
    true = 1 / sample.points_src[2]
    if predicted.max() < FLAT * predicted.min():  # the order would be that of rounding errors
        return {"spearman": math.nan, "ordered": math.nan}
    return {"spearman": spearman(predicted, true), "ordered": ordered_share(predicted, true)}
