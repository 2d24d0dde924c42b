"""A scene of known geometry: a square at depth 1 in front of a wall that recedes to the right, with a photo."""

import torch

from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

SIZE = (48, 64)
SQUARE = (slice(16, 32), slice(24, 40))
"""Rows and columns of the square."""

WALL = (0.5, 0.4)
"""Disparity of the wall at its left and its right end; in between it is linear, as that of a plane is."""


def wall_disparity() -> torch.Tensor:
    """Disparity (1, 48, 64) of what the source camera sees."""
    disparity = torch.linspace(*WALL, SIZE[1]).repeat(1, SIZE[0], 1)
    disparity[(0, *SQUARE)] = 1
    return disparity


def wall_photo() -> torch.Tensor:
    """The photo (3, 48, 64): the square is red, the wall a gradient of blue and green."""
    photo = torch.zeros(3, *SIZE)
    photo[1] = torch.linspace(0.2, 0.8, SIZE[1])
    photo[2] = torch.linspace(0.8, 0.2, SIZE[0])[:, None]
    photo[(slice(None), *SQUARE)] = torch.tensor([1.0, 0, 0])[:, None, None]
    return photo


def wall_scene(planes: int = 8) -> MPI:
    """The scene, lifted to planes as the shipped network's disparity is."""
    photo, surface = wall_photo(), wall_disparity()
    disparity = plane_disparities(surface[None], planes)
    lifted = lift_to_mpi(photo[None], surface[None], disparity[None])
    return MPI.from_planes(lifted[0], disparity, intrinsics(SIZE, 60), photo, surface)
