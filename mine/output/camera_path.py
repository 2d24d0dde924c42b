"""What a camera path is."""

from typing import NamedTuple

import torch
from torch import Tensor

from mine.scene.camera import off_axis_shift


class CameraPath(NamedTuple):
    """Poses and intrinsics of a clip; `render_video` takes this wherever it takes poses."""

    poses: Tensor
    """(N, 4, 4) target-from-source poses"""
    focal: Tensor
    """(N,) factors on the source camera's focal length: above 1 zooms in"""
    shift: Tensor | None = None
    """(N, 2) shifts of the principal point right and down, in focal lengths; None is no shift"""

    @classmethod
    def of(cls, poses: Tensor) -> "CameraPath":
        """Poses (N, 4, 4) with the intrinsics that they are to be seen with: the source camera's, or off-axis."""
        return cls(poses.as_subclass(Tensor), torch.ones(len(poses)), off_axis_shift(poses))
