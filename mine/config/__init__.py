"""Configurations of training and evaluation: typed settings, read from YAML files with overrides."""

from mine.config.loss_weights import DisparityLossWeights, LayerLossWeights, PlaneLossWeights
from mine.config.settings import DEVICES, PRECISIONS, EvalConfig, TrainConfig, load_config

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "DisparityLossWeights",
    "EvalConfig",
    "LayerLossWeights",
    "PlaneLossWeights",
    "TrainConfig",
    "load_config",
]
