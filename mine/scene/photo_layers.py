"""The layers of a scene's photo, which several outputs need: found once for a scene."""

from threading import Lock
from weakref import WeakKeyDictionary

import torch

from mine.render import Layers
from mine.scene.mpi import MPI
from mine.scene.silhouettes import find_layers
from mine.scene.view_planes import fine_size, photo_at

_found: WeakKeyDictionary[MPI, tuple[tuple[int, int], Layers]] = WeakKeyDictionary()
_lock = Lock()
"""Held while layers are found: outputs that are written at the same time need the same ones."""


def photo_layers(scene: MPI, longest: int) -> Layers | None:
    """Finds the layers of a scene's photo, with its silhouettes; kept as long as the scene, for the last size.

    Args:
        scene: The scene.
        longest: Longest side in pixels, if the photo is not smaller.

    Returns:
        The layers, on the CPU; None where the scene has no surface or no photo, or its planes are as fine.
    """
    if scene.surface is None or scene.photo is None:
        return None
    size = fine_size((longest, longest), scene.plane_size, scene.size)
    if size is None:
        return None
    with _lock:
        found = _found.get(scene)
        if found is None or found[0] != size:
            with torch.no_grad():
                layers = find_layers(scene.surfaces, photo_at(scene.photo, size).cpu())
            found = _found[scene] = (size, layers)
    return found[1]
