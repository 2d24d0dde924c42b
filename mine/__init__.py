"""MINE: one photo to a 3D scene you can fly through.

import mine

model = mine.load()
scene = model.predict("photo.jpg")
mine.render_video(scene, mine.paths.swing(frames=90), "out.mp4")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mine import paths as paths
    from mine.errors import InputError as InputError
    from mine.model import Model as Model
    from mine.model import load as load
    from mine.network.disparity.hub import DepthModel as DepthModel
    from mine.output.export import export as export
    from mine.output.stereo import render_stereo as render_stereo
    from mine.output.video import render_video as render_video
    from mine.render import View as View
    from mine.scene.depth_maps.depth_map import DepthMap as DepthMap
    from mine.scene.depth_maps.read import read_depth as read_depth
    from mine.scene.mpi import MPI as MPI

__version__ = "0.1.0"

# Names are imported on first use: `import mine` and `mine --help` need not wait for torch.
_PUBLIC = {
    "DepthMap": "mine.scene.depth_maps.depth_map",
    "DepthModel": "mine.network.disparity.hub",
    "InputError": "mine.errors",
    "MPI": "mine.scene.mpi",
    "Model": "mine.model",
    "View": "mine.render",
    "export": "mine.output.export",
    "load": "mine.model",
    "read_depth": "mine.scene.depth_maps.read",
    "render_stereo": "mine.output.stereo",
    "render_video": "mine.output.video",
}

__all__ = [
    "MPI",
    "DepthMap",
    "DepthModel",
    "InputError",
    "Model",
    "View",
    "export",
    "load",
    "paths",
    "read_depth",
    "render_stereo",
    "render_video",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "paths":
        return import_module("mine.paths")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mine' has no attribute {name!r}")
