"""From an evaluation configuration to a report: `mine eval`, and the held-out metrics of a training run."""

from torch import Tensor

from mine.config import EvalConfig
from mine.data.base.depth_maps import DepthMaps
from mine.data.base.image_pairs import ImagePairs
from mine.data.registry import evaluation_set
from mine.errors import InputError
from mine.evaluation.evaluate import BASELINES, LOWER_BOUNDS, evaluate, evaluate_samples
from mine.evaluation.evaluate_depth import evaluate_depth
from mine.evaluation.report import Report
from mine.model import Model
from mine.scene.mpi import MPI


def evaluate_config(model: Model, config: EvalConfig, brief: bool = False) -> Report:
    """Evaluates a model on the data set that a configuration names, beside the baselines.

    Args:
        model: The model to evaluate.
        config: The data set, the image size and the number of planes.
        brief: Evaluate the model alone: no baselines, no LPIPS, no progress bar.

    Returns:
        The metrics by scene and method.

    Raises:
        InputError: The data set cannot be read, or has nothing to evaluate on.
    """

    def predictor(image: Tensor, K: Tensor) -> MPI:
        return model.predict(image, planes=config.planes, size=config.size, K=K)

    data = evaluation_set(config.data, config.size)
    if isinstance(data, DepthMaps):
        return evaluate_depth(predictor, data, baselines=not brief, progress=not brief)
    if isinstance(data, ImagePairs):
        baselines = {} if brief else BASELINES
        perceptual = config.lpips and not brief
        return evaluate(predictor, data, baselines, perceptual=perceptual, progress=not brief)
    bounds = {} if brief else LOWER_BOUNDS
    return evaluate_samples(predictor, data, len(data), bounds, progress=not brief)  # type: ignore[arg-type]


def held_out_pairs(config: EvalConfig) -> ImagePairs:
    """The image pairs (source, target) of the data set that a configuration names.

    Raises:
        InputError: The data set cannot be read, or has no pairs of real images.
    """
    data = evaluation_set(config.data, config.size)
    if not isinstance(data, ImagePairs):
        raise InputError(f"{config.data.kind} has no pairs of real images: choose a data set that has")
    return data
