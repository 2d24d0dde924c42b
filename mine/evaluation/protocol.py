"""From an evaluation configuration to a report: `mine eval`, and the held-out metrics of a training run."""

from pathlib import Path

from torch import Tensor

from mine.config import EvalConfig
from mine.data.base.image_pairs import ImagePairs
from mine.data.datasets.colmap import Colmap
from mine.data.registry import evaluation_set, measured_depths
from mine.data.synthetic import SyntheticScenes
from mine.errors import InputError
from mine.evaluation.evaluate import BASELINES, LOWER_BOUNDS, evaluate, evaluate_samples
from mine.evaluation.evaluate_depth import evaluate_depth
from mine.evaluation.report import Report
from mine.model import Model
from mine.scene.mpi import MPI


def evaluate_config(model: Model, config: EvalConfig, brief: bool = False) -> Report:
    """Evaluates a model on the data that a configuration names, beside the baselines.

    Args:
        model: The model to evaluate.
        config: The data set, the image size and the number of planes.
        brief: Evaluate the model alone: no baselines, no LPIPS, no progress bar.

    Returns:
        The metrics by scene and method.

    Raises:
        InputError: The configuration names no data set, or more than one.
    """
    if sum(section is not None for section in (config.captures, config.dataset, config.depth, config.worlds)) != 1:
        raise InputError("nothing or too much to evaluate on: give one of `captures`, `dataset`, `depth`, `worlds`")

    def predictor(image: Tensor, K: Tensor) -> MPI:
        return model.predict(image, planes=config.planes, size=config.size, K=K)

    if config.depth:
        maps = measured_depths(config.depth.kind, config.depth.root)
        return evaluate_depth(predictor, maps, baselines=not brief, progress=not brief)
    if config.worlds:
        textures = None if config.worlds.textures is None else Path(config.worlds.textures)
        worlds = SyntheticScenes(config.worlds.count, config.size, textures, config.worlds.seed)
        baselines = {} if brief else LOWER_BOUNDS
        return evaluate_samples(predictor, worlds, config.worlds.count, baselines, progress=not brief)
    baselines = {} if brief else BASELINES
    perceptual = config.lpips and not brief
    return evaluate(predictor, held_out_pairs(config), baselines, perceptual=perceptual, progress=not brief)


def held_out_pairs(config: EvalConfig) -> ImagePairs:
    """The image pairs (source, target) of the captures or the data set that a configuration names.

    Raises:
        InputError: The configuration names neither captures nor a data set of image pairs.
    """
    if config.captures:
        folders = [Path(config.captures.root) / scene for scene in config.captures.scenes]
        return Colmap(folders, config.size, training=False)
    if config.dataset is None:
        raise InputError("no pairs of pictures to evaluate on: give `captures` or a `dataset`")
    return evaluation_set(config.dataset.kind, config.dataset.root, config.size)
