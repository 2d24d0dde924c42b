"""What exported files are made of: the visible surface of a scene and the hidden one behind it, at any resolution."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mine.render import Layers
from mine.scene.mpi import MPI
from mine.scene.resize import resize, size_within
from mine.scene.silhouettes import find_layers


@dataclass(frozen=True)
class SurfaceLayers:
    """The surfaces of a scene as its source camera sees them, on the CPU.

    Attributes:
        layers: Disparity, colour and opacity of the visible surface, and what lies behind it, at `size`.
        K: (3, 3) intrinsics of the source camera in pixels of `size`.
    """

    layers: Layers
    K: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        shape = self.layers.disparity.shape
        return shape[-2], shape[-1]


def find_surface_layers(scene: MPI, longest: int) -> SurfaceLayers:
    """Finds the surfaces of a scene, with the silhouettes of its photo.

    The disparity is continuous, not in steps of the planes: planes share the opacity of a surface that lies between
    them, so that their expected disparity is the surface's.

    Args:
        scene: The scene; without a photo, colours are those of the source view.
        longest: Longest side in pixels of what is returned, at least 2; the photo's at most.

    Returns:
        The layers, in the photo's aspect.
    """
    size = size_within(scene.size, longest)
    with torch.no_grad():
        image = scene.render(torch.eye(4), size=size).rgb[0] if scene.photo is None else resize(scene.photo, size)
        layers = find_layers(scene.surfaces, image.clamp(0, 1).cpu())
    return SurfaceLayers(layers, scene.intrinsics(size).cpu())


def unproject(disparity: Tensor, K: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Points (..., 3) in the source camera's axes (x right, y down, z forward), at pixels (x, y) of disparities."""
    z, down = 1 / disparity, (y - K[1, 2]) / K[1, 1]
    across = (x - K[0, 2] - K[0, 1] * down) / K[0, 0]
    return torch.stack([across * z, down * z, z], dim=-1)
