"""Monocular depth evaluation on measured depth maps (NYU Depth v2, iBims-1)."""

import torch
from rich.progress import track
from torch import Tensor

from mine.data.base.depth_maps import DepthMaps, MeasuredDepth
from mine.evaluation.depth_metrics import boundary_errors, depth_errors, planarity_errors
from mine.evaluation.evaluate import Predictor
from mine.evaluation.report import Metrics, Report
from mine.render import Backend


@torch.no_grad()
def evaluate_depth(
    predictor: Predictor, maps: DepthMaps, baselines: bool = True, backend: Backend = "auto", progress: bool = True
) -> Report:
    """Evaluates the depth that predicted scenes render in the photo's own camera, beside constant depth.

    Scale is unknown from one photo: predicted depth is multiplied by the median of true over predicted depth.

    Args:
        predictor: From an image and its intrinsics to a scene.
        maps: Photos with measured depth in metres.
        baselines: Evaluate constant depth too, as "one plane".
        backend: The renderer.
        progress: Show a progress bar.

    Returns:
        One row per method, means over photos: `rel`, `log10`, `rms` (metres), `delta1` to `delta3`; where planar
        regions and depth edges are annotated also `plan` (centimetres), `orie` (degrees), `dbe_acc` and `dbe_comp`
        (pixels). `depth_metrics` defines them.
    """
    report = Report()
    for index in track(range(len(maps)), "evaluating", disable=not progress):
        item = maps[index]
        size = item.depth.shape[0], item.depth.shape[1]
        view = predictor(item.image, item.K).render(torch.eye(4), item.K, size, backend)
        report.add(maps.name, "prediction", _metrics(view.depth[0, 0].cpu(), item))
        if baselines:
            report.add(maps.name, "one plane", _metrics(torch.ones(size), item))
    return report


def _metrics(predicted: Tensor, item: MeasuredDepth) -> Metrics:
    """All metrics that the annotations of a photo allow, for predicted depth (H, W) of unknown scale."""
    known = item.depth > 0
    predicted = predicted * (item.depth[known] / predicted[known]).median()
    metrics = depth_errors(predicted[known], item.depth[known])
    if item.regions is not None:
        metrics |= planarity_errors(predicted, item.depth, item.regions, item.K)
    if item.edges is not None:
        metrics |= boundary_errors(predicted, item.edges)
    return metrics
