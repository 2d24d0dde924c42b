"""Generated scenes: textured worlds, ray-cast from two cameras, with exact colours, depth and poses.

`generate(seed)` makes one sample, `Worlds` is the data set, `python -m mine.data.worlds OUT.png` shows what they are
like. A scene is a `World`: shapes (`shapes`), textured by photographs or noise (`textures`, `procedural`, `cutouts`),
built by the recipes of `rooms` and `outdoors`, met by rays in `raycast`, lit in `light` and photographed in `lens`.
"""

from mine.data.worlds.dataset import KINDS, Worlds, generate

__all__ = ["KINDS", "Worlds", "generate"]
