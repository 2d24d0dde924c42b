"""Synthetic scenes for training: a small ray caster that gives two views with exact depth and pose.

`generate(seed)` makes one sample, `SyntheticScenes` is the data set, and `python -m mine.data.synthetic OUT.png` draws
a contact sheet. The modules, in the order in which a sample passes through them:

- `rooms`, `outdoors`, `buildings` and `subjects` place random shapes in a `scene.Scene` and choose a viewpoint;
- `textures` crops textures from photos, `procedural` and `cutouts` compute them from noise, `atlas` holds them all;
- `raycast` intersects the rays of a camera with the `shapes`;
- `light` shades the hits, with shadow maps (`shadows`) and a sky (`sky`);
- `camera_response` turns radiance into an image: exposure, vignetting, blur, noise, JPEG.
"""

from mine.data.synthetic.dataset import SCENE_KINDS, SyntheticScenes, generate

__all__ = ["SCENE_KINDS", "SyntheticScenes", "generate"]
