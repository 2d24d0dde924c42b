"""A small scene, and how to change it."""

import torch
from torch import Tensor

from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

PLANES, HEIGHT, WIDTH = 3, 16, 24


def make_scene(photo: Tensor | None = None) -> MPI:
    generator = torch.Generator().manual_seed(0)
    return MPI(
        rgb=torch.rand(PLANES, 3, HEIGHT, WIDTH, generator=generator),
        sigma=torch.rand(PLANES, 1, HEIGHT, WIDTH, generator=generator) * 50,
        disparity=torch.tensor([1.0, 0.3337, 0.001]),
        K=intrinsics((HEIGHT, WIDTH), 71),
        photo=photo,
    )


def changed(scene: MPI, **changes: Tensor) -> MPI:
    """The scene made anew with some arguments of its constructor changed."""
    arguments = {name: getattr(scene, name) for name in ("rgb", "sigma", "disparity", "K", "photo")}
    return MPI(**arguments | changes)


def make_photo(height: int = 40, width: int = 60) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))
