"""What the fast renderers are compared on: random scenes and cameras."""

import torch
from torch import Tensor

from mine.render import View, reference
from mine.scene.camera import intrinsics, pose

Size = tuple[int, int]


def planes_of_noise(batch: int, planes: int, density: float, size: Size) -> Tensor:
    """Planes (B, S, 4, H, W) of noise, σ up to `density`."""
    values = torch.rand(batch, planes, 4, *size)
    values[:, :, 3] *= density
    return values


def random_cameras(batch: int, turn: float, move: float, sizes: tuple[Size, Size]) -> tuple[Tensor, Tensor, Tensor]:
    """Intrinsics of planes and target of these sizes, poses turned and moved by about so much."""
    poses = [pose(rotation(torch.randn(3) * turn), torch.randn(3) * move) for _ in range(batch)]
    K_src, K_tgt = intrinsics(sizes[0]), intrinsics(sizes[1], 60)
    return K_src.expand(batch, 3, 3), K_tgt.expand(batch, 3, 3), torch.stack(poses)


def rotation(vector: Tensor) -> Tensor:
    """The rotation (3, 3) about a vector (3,) by its length."""
    x, y, z = vector.tolist()
    return torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]]))


def in_double(*arguments: Tensor | Size | None) -> View:
    """What the reference renders from these arguments in double precision."""
    return reference.render(*(a.double() if isinstance(a, Tensor) else a for a in arguments))
