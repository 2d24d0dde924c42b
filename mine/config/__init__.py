"""Configurations of training and evaluation: typed settings, read from YAML files with overrides."""

from mine.config.loss_weights import DisparityLossWeights, LayerLossWeights, PlaneLossWeights
from mine.config.settings import DEVICES, PRECISIONS, EvalConfig, TrainConfig, check_settings, load_config

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "DisparityLossWeights",
    "EvalConfig",
    "LayerLossWeights",
    "PlaneLossWeights",
    "TrainConfig",
    "check_settings",
    "load_config",
]
