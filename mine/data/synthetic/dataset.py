"""Synthetic scenes as a data set: each sample follows from a number."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.base.sample import Sample
from mine.data.synthetic.atlas import Atlas
from mine.data.synthetic.buildings import mansion
from mine.data.synthetic.camera_response import CameraResponse
from mine.data.synthetic.light import Shader
from mine.data.synthetic.outdoors import Viewpoint, facade, foliage, street, weighted_choice, yard
from mine.data.synthetic.raycast import Camera, Hits, cast_rays, pixel_rays
from mine.data.synthetic.rooms import portrait, room, table
from mine.data.synthetic.scene import Scene, euler
from mine.data.synthetic.shapes import Array
from mine.data.synthetic.subjects import subject
from mine.scene.camera import intrinsics

SCENE_KINDS: dict[str, tuple[Callable[[Scene], Viewpoint], float]] = {
    "room": (room, 3),
    "table": (table, 3),
    "portrait": (portrait, 2),
    "street": (street, 2),
    "yard": (yard, 3),
    "facade": (facade, 2),
    "mansion": (mansion, 2),
    "foliage": (foliage, 2),
    "subject": (subject, 4),
}
"""The function that builds each kind of scene, and the weight with which the kind is chosen."""

SKY_DEPTH = 1000.0
"""Depth of the sky, in the unit in which the nearest surface is at about 1."""

POINTS = 256


def generate(
    seed: int,
    size: tuple[int, int] = (128, 192),
    device: str | torch.device = "cpu",
    textures: Path | None = None,
    kind: str | None = None,
) -> Sample:
    """Renders two views of a random scene, with exact depth and pose.

    The nearest surface lies at a depth of 1 to 1.5, the sky at 1000. Equal arguments give equal samples.

    Args:
        seed: Number of the scene.
        size: (H, W) of both views, in pixels.
        device: Where the sample is computed.
        textures: Folder of photos from which textures are cropped (see `Textures`); procedural textures if None.
        kind: One of `SCENE_KINDS`; chosen by the seed if None.

    Returns:
        The sample, its `metric` 1.

    Raises:
        InputError: The texture folder holds no image.
    """
    scene = Scene.empty(seed, textures)
    rng = scene.rng
    name = kind or weighted_choice(rng, {name: weight for name, (_, weight) in SCENE_KINDS.items()})
    view = SCENE_KINDS[name][0](scene)
    atlas = Atlas(scene.images, device)
    K = intrinsics(size, view.fov)
    source = Camera(_free_position(scene, view.origin), view.rotation, K.double().numpy(), size)
    source_hits = cast_rays(scene.shapes, pixel_rays(source, atlas))
    target, target_hits = _second_view(scene, atlas, source, source_hits)
    pictures = _expose(scene, [source_hits, target_hits])
    scale = float(rng.uniform(1.05, 1.5)) / _quantiles(source_hits)[0]
    T = _relative(source, target, scale)
    depth_src, depth_tgt = (_pixel_depth(hits, scale) for hits in (source_hits, target_hits))
    return Sample(
        source=pictures[0],
        target=pictures[1],
        K_src=K.to(device),
        K_tgt=K.to(device),
        T_tgt_src=T.to(device),
        points_src=_points(rng, depth_src, K),
        points_tgt=_points(rng, depth_tgt, K),
        depth_src=depth_src,
        depth_tgt=depth_tgt,
        metric=torch.tensor(1.0, device=device),
    )


def _free_position(scene: Scene, origin: Array) -> Array:
    """The camera's position (3,), or a random one near it that is inside no object."""
    for _ in range(12):
        if not any(shape.contains(origin, 0.05) for shape in scene.shapes):
            break
        origin = origin + scene.rng.normal(0, 0.3, 3) * [1, 0.1, 1] - [0, 0.02, 0]
    return origin


def _quantiles(hits: Hits) -> tuple[float, float]:
    """Near depth (1% quantile) and median depth of all hits but the sky."""
    depth = hits.depth[1::4, 1::4].flatten()
    depth = depth[torch.isfinite(depth)]
    if len(depth) == 0:
        return 1.0, 1.0
    near, middle = torch.quantile(depth, torch.tensor([0.01, 0.5], device=depth.device)).tolist()
    return max(near, 1e-2), middle


def _second_view(scene: Scene, atlas: Atlas, source: Camera, hits: Hits) -> tuple[Camera, Hits]:
    """The target camera: moved by 0.02 to 0.25 of the near to median depth, more sideways than ahead, in no object."""
    rng = scene.rng
    near, middle = _quantiles(hits)
    reach = rng.uniform(0.02, 0.25) * near * (min(middle / near, 4.0)) ** rng.uniform(0, 1)
    for _ in range(8):
        way = rng.normal(0, 1, 3) * [1.0, 0.45, 0.5]
        origin = source.origin + source.rotation @ (way / np.linalg.norm(way) * reach)
        look = source.rotation @ euler(*rng.normal(0, [0.05, 0.03, 0.015]))
        target = Camera(origin, look, source.K, source.size)
        if not any(shape.contains(origin, 0.02 * near) for shape in scene.shapes):
            found = cast_rays(scene.shapes, pixel_rays(target, atlas))
            if _quantiles(found)[0] > 0.7 * near:
                return target, found
        reach *= 0.7
    return source, hits


def _expose(scene: Scene, views: list[Hits]) -> list[Tensor]:
    response = CameraResponse.random(scene.rng)
    shader = Shader(scene, views[0])
    linear = [shader.render(hits) for hits in views]
    response.expose(linear[0])
    return [response.develop(light, scene.rng) for light in linear]


def _relative(source: Camera, target: Camera, scale: float) -> Tensor:
    T = np.eye(4)
    T[:3, :3] = target.rotation.T @ source.rotation
    T[:3, 3] = target.rotation.T @ (source.origin - target.origin) * scale
    return torch.from_numpy(T.astype(np.float32))


def _pixel_depth(hits: Hits, scale: float) -> Tensor:
    """Depth (1, H, W) at pixel centres, which every second row and column of rays goes through."""
    return (hits.depth[None, 1::2, 1::2] * scale).clamp(max=SKY_DEPTH)


def _points(rng: np.random.Generator, depth: Tensor, K: Tensor) -> Tensor:
    """Points (3, 256), camera coordinates, at random pixels of a depth map (1, H, W)."""
    height, width = depth.shape[1:]
    u = torch.from_numpy(rng.integers(0, width, POINTS)).to(depth.device)
    v = torch.from_numpy(rng.integers(0, height, POINTS)).to(depth.device)
    ray = torch.linalg.inv(K).to(depth) @ torch.stack([u, v, torch.ones_like(u)]).to(depth)
    points: Tensor = ray * depth[0, v, u]
    return points


class SyntheticScenes(Dataset[Sample]):
    """Synthetic scenes of consecutive numbers, see `generate`.

    Args:
        length: Number of scenes.
        size: (H, W) of the views, in pixels.
        textures: Folder of photos from which textures are cropped; procedural textures if None.
        seed: Number of the first scene.
    """

    def __init__(
        self, length: int, size: tuple[int, int] = (128, 192), textures: Path | None = None, seed: int = 0
    ) -> None:
        self.length, self.size, self.textures, self.seed = length, size, textures, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, on the CPU. Raises IndexError beyond the end."""
        if not 0 <= index < self.length:
            raise IndexError(f"sample {index} of {self.length}")
        return generate(self.seed + index, self.size, textures=self.textures)
