"""Weights of the losses in training, by kind of network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlaneLossWeights:
    """Weights of a plane network's losses; one of weight 0 has no part in the total, though some are computed still."""

    photometric: float = 2.0
    """mean absolute error of the target view, at each scale"""
    ssim: float = 1.0
    """1 - SSIM of the target view, at each scale"""
    smoothness_where_flat: float = 0.5
    """edge-aware smoothness of the target view's disparity, first form"""
    smoothness: float = 0.01
    """edge-aware smoothness of the target view's disparity, second form"""
    sparse: float = 1.0
    """error of log-disparity at sparse points, in source and target view"""
    occupancy: float = 1.0
    """cross-entropy of whether each plane lies in front of the true surface, where the source's depth is known"""


@dataclass(frozen=True)
class LayerLossWeights:
    """Weights of the losses of a network with a learned background."""

    colour: float = 1.0
    """mean absolute error of the background's colour, where the other view uncovers it"""
    disparity: float = 0.2
    """mean absolute error of its log-disparity there"""
    structure: float = 0.1
    """1 - SSIM of the other view with the background in what it uncovers, per uncovered pixel"""
    photometric: float = 2.0
    """mean absolute error of the rendered view"""
    ssim: float = 1.0
    """1 - SSIM of the rendered view"""


@dataclass(frozen=True)
class DisparityLossWeights:
    """Weights of a disparity network's losses."""

    likeness: float = 1.0
    """scale-invariant error of log-disparity at every pixel of known depth"""
    gradient: float = 0.5
    """error of log-disparity's gradient at four scales, where all depths are known"""
    order: float = 0.3
    """ordinal error: which of two points is nearer"""
