"""The training sample that all data sets share."""

from typing import NamedTuple

from torch import Tensor


class Sample(NamedTuple):
    """A source view and a target view of one scene, with cameras and known geometry.

    torch's default collation makes batches of samples: every field then has a leading B. Cameras are OpenCV's: x right,
    y down, z forward.
    """

    source: Tensor
    """(3, H, W) in [0, 1]"""
    target: Tensor
    """(3, H, W) in [0, 1]"""
    K_src: Tensor
    """(3, 3) intrinsics of the source view, in pixels"""
    K_tgt: Tensor
    """(3, 3) intrinsics of the target view, in pixels"""
    T_tgt_src: Tensor
    """(4, 4) pose, target-from-source"""
    points_src: Tensor
    """(3, P) sparse points seen by the source, in its camera coordinates"""
    points_tgt: Tensor
    """(3, P) sparse points seen by the target, in its camera coordinates"""
    depth_src: Tensor
    """(1, H, W) depth z of the source view, 0 where unknown"""
    depth_tgt: Tensor
    """(1, H, W) depth z of the target view, 0 where unknown"""
    metric: Tensor
    """() 1 if lengths are in the unit that the network predicts, 0 if their scale must be calibrated (SfM captures)"""
