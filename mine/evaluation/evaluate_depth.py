"""How well depth is predicted where it was measured (NYU Depth v2, iBims-1)."""

import torch
from rich.progress import track
from torch import Tensor

from mine.data.datasets.depth_maps import DepthMap, DepthMaps
from mine.evaluation.depth_metrics import boundary_errors, depth_errors, planarity_errors
from mine.evaluation.evaluate import Predictor
from mine.evaluation.report import Figures, Report
from mine.render import Backend


@torch.no_grad()
def evaluate_depth(
    predictor: Predictor, maps: DepthMaps, references: bool = True, backend: Backend = "auto", progress: bool = True
) -> Report:
    """Figures of the depth that a predictor's scenes render in the photo's own camera, and of one plane.

    No photo tells its scale: predicted depth is multiplied by the median of true over predicted depth. `rel`, `log10`,
    `rms` (metres), `delta1` to `delta3`; where the data set knows of flat regions and edges also `plan` (centimetres),
    `orie` (degrees), `dbe_acc` and `dbe_comp` (pixels): see `depth_metrics`. Means over photos.
    """
    report = Report()
    for index in track(range(len(maps)), "evaluating", disable=not progress):
        item = maps[index]
        size = item.depth.shape[0], item.depth.shape[1]
        view = predictor(item.image, item.K).render(torch.eye(4), item.K, size, backend)
        report.add(maps.name, "prediction", _figures(view.depth[0, 0].cpu(), item))
        if references:
            report.add(maps.name, "one plane", _figures(torch.ones(size), item))
    return report


def _figures(predicted: Tensor, item: DepthMap) -> Figures:
    known = item.depth > 0
    predicted = predicted * (item.depth[known] / predicted[known]).median()
    figures = depth_errors(predicted[known], item.depth[known])
    if item.regions is not None:
        figures |= planarity_errors(predicted, item.depth, item.regions, item.K)
    if item.edges is not None:
        figures |= boundary_errors(predicted, item.edges)
    return figures
