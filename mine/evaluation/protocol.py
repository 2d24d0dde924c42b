"""What `mine eval` measures."""

from pathlib import Path

from torch import Tensor

from mine.config import EvalConfig
from mine.data.base.image_pairs import ImagePairs
from mine.data.datasets.colmap import Colmap
from mine.data.registry import evaluation_set, measured_depths
from mine.data.synthetic import SyntheticScenes
from mine.errors import InputError
from mine.evaluation.evaluate import REFERENCES, SIMPLE, evaluate, evaluate_samples
from mine.evaluation.evaluate_depth import evaluate_depth
from mine.evaluation.report import Report
from mine.model import Model
from mine.scene.mpi import MPI


def judge(model: Model, config: EvalConfig, brief: bool = False) -> Report:
    """Figures of a model on what `config` names, and of simple references.

    brief: the model's alone, without LPIPS and a progress bar. Raises InputError unless the configuration names one
    thing to evaluate on.
    """
    if sum(section is not None for section in (config.captures, config.dataset, config.depth, config.worlds)) != 1:
        raise InputError("nothing or too much to evaluate on: give one of `captures`, `dataset`, `depth`, `worlds`")

    def predictor(image: Tensor, K: Tensor) -> MPI:
        return model.predict(image, planes=config.planes, size=config.size, K=K)

    if config.depth:
        maps = measured_depths(config.depth.kind, config.depth.root)
        return evaluate_depth(predictor, maps, references=not brief, progress=not brief)
    if config.worlds:
        textures = None if config.worlds.textures is None else Path(config.worlds.textures)
        worlds = SyntheticScenes(config.worlds.count, config.size, textures, config.worlds.seed)
        simple = {} if brief else SIMPLE
        return evaluate_samples(predictor, worlds, config.worlds.count, simple, progress=not brief)
    references = {} if brief else REFERENCES
    perceptual = config.lpips and not brief
    return evaluate(predictor, held_out_pairs(config), references, perceptual=perceptual, progress=not brief)


def held_out_pairs(config: EvalConfig) -> ImagePairs:
    """The sources and targets of the captures or the data set that `config` names."""
    if config.captures:
        folders = [Path(config.captures.root) / scene for scene in config.captures.scenes]
        return Colmap(folders, config.size, training=False)
    if config.dataset is None:
        raise InputError("no pairs of pictures to evaluate on: give `captures` or a `dataset`")
    return evaluation_set(config.dataset.kind, config.dataset.root, config.size)
