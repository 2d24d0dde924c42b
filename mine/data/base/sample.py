"""One training example, whatever the data set."""

from typing import NamedTuple

from torch import Tensor


class Sample(NamedTuple):
    """A source picture, a target picture of the same scene, and what is known of the geometry.

    Stacks into batches by torch's default collation: every field then has a leading B.
    """

    source: Tensor
    """(3, H, W) in [0, 1]"""
    target: Tensor
    """(3, H, W) in [0, 1]"""
    K_src: Tensor
    """(3, 3) in pixels of the source"""
    K_tgt: Tensor
    """(3, 3) in pixels of the target"""
    T_tgt_src: Tensor
    """(4, 4) target-from-source"""
    points_src: Tensor
    """(3, P) points seen by the source, in source-camera coordinates"""
    points_tgt: Tensor
    """(3, P) points seen by the target, in target-camera coordinates"""
    depth_src: Tensor
    """(1, H, W) depth z of the source's pixels, 0 where unknown"""
    depth_tgt: Tensor
    """(1, H, W) depth z of the target's pixels, 0 where unknown"""
    metric: Tensor
    """() 1.0 when the scale is the network's own (generated scenes), 0.0 when it must be calibrated (captures)"""
