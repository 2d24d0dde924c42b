"""Generated scenes: textured worlds, ray-cast from two cameras, with exact colours, depth and poses.

`generate(seed)` makes one sample, `SyntheticScenes` is the data set, `python -m mine.data.synthetic OUT.png` shows
what they are like. A scene is a `World`: shapes (`shapes`), textured by photographs or noise (`textures`, `procedural`,
`cutouts`), built by the recipes of `rooms` and `outdoors`, met by rays in `raycast`, lit in `light` and
photographed in `lens`.
"""

from mine.data.synthetic.dataset import KINDS, SyntheticScenes, generate

__all__ = ["KINDS", "SyntheticScenes", "generate"]
