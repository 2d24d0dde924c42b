"""Random scenes and cameras, on which the fast renderers are compared with the reference."""

from typing import Any

import torch
from torch import Tensor

from mine.render import View, reference
from mine.scene.camera import intrinsics, pose

Size = tuple[int, int]


def planes_of_noise(batch: int, planes: int, density: float, size: Size) -> Tensor:
    """Planes (B, S, 4, H, W) of uniform noise: colours in [0, 1], densities σ in [0, `density`]."""
    values = torch.rand(batch, planes, 4, *size)
    values[:, :, 3] *= density
    return values


def random_cameras(batch: int, turn: float, move: float, sizes: tuple[Size, Size]) -> tuple[Tensor, Tensor, Tensor]:
    """Intrinsics of the source and of the target by their sizes (H, W), and random poses: K_src, K_tgt, T_tgt_src.

    `turn` (radians) and `move` (scene units) are the standard deviations of each component.
    """
    poses = [pose(rotation(torch.randn(3) * turn), torch.randn(3) * move) for _ in range(batch)]
    K_src, K_tgt = intrinsics(sizes[0]), intrinsics(sizes[1], 60)
    return K_src.expand(batch, 3, 3), K_tgt.expand(batch, 3, 3), torch.stack(poses)


def rotation(vector: Tensor) -> Tensor:
    """The rotation matrix (3, 3) of a rotation vector (3,)."""
    x, y, z = vector.tolist()
    return torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]]))


def render_in_double(*arguments: Tensor | Size | None) -> View:
    """The reference renderer's view, computed in double precision."""
    doubled: list[Any] = [a.double() if isinstance(a, Tensor) else a for a in arguments]
    return reference.render(*doubled)
