"""Sky textures, and the light of sun and sky that matches them."""

import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.procedural import clouds
from mine.data.synthetic.scene import Light, Scene, euler
from mine.data.synthetic.shapes import Array


def outdoor_light(scene: Scene) -> None:
    """Sets a sky (clear, cloudy or overcast), and sun, sky light and haze to match."""
    rng = scene.rng
    cover = float(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.3, 0.7), 1.0]))
    zenith = np.array([0.25, 0.45, 0.8]) * rng.uniform(0.6, 1.2) + rng.normal(0, 0.03, 3)
    horizon = np.array([0.75, 0.83, 0.92]) * rng.uniform(0.8, 1.1) + rng.normal(0, 0.03, 3)
    if rng.random() < 0.15:  # low sun
        horizon = np.array([0.95, 0.7, 0.5]) + rng.normal(0, 0.05, 3)
    cloud = np.full(3, rng.uniform(0.75, 1.0)) + rng.normal(0, 0.01, 3)
    scene.set_sky(_paint(rng, zenith, horizon, cloud, cover))
    sun = euler(rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 1.2))[:, 2]
    strength = rng.uniform(1.0, 2.4) * (1 - cover) ** 0.7
    scene.light = Light(
        sun=sun,
        sun_colour=strength * np.array([1.0, 0.95, 0.85]),
        ambient=np.array([0.55, 0.6, 0.68]) * rng.uniform(0.8, 1.1) + 0.5 * cover,
        fog_colour=np.clip(horizon, 0, 1) ** 2,
        fog=float(rng.choice([0.0, rng.uniform(0.001, 0.006), rng.uniform(0.006, 0.03)], p=[0.4, 0.45, 0.15])),
        sky=rng.uniform(1.4, 2.6),
        softness=rng.uniform(0.7, 1.5) if cover < 1 else 6.0,
    )


def indoor_light(scene: Scene) -> None:
    """Sets soft light from above and one side; the sky, which no ray in a closed room hits, is grey."""
    rng = scene.rng
    scene.set_sky(torch.full((3, 8, 8), 0.6))
    warm = np.array([1.0, 0.93, 0.82]) ** rng.uniform(0, 2)
    scene.light = Light(
        sun=euler(rng.uniform(-np.pi, np.pi), rng.uniform(0.4, 1.4))[:, 2],
        sun_colour=warm * rng.uniform(0.2, 1.2),
        ambient=warm * rng.uniform(0.45, 0.9),
        fog_colour=np.zeros(3),
        fog=0.0,
        sky=1.0,
        softness=rng.uniform(1.5, 6),
    )


def _paint(rng: np.random.Generator, zenith: Array, horizon: Array, cloud: Array, cover: float) -> Tensor:
    """A sky texture (3, 256, 256): row 0 is the horizon, the last row the zenith."""
    top, bottom, white = (
        torch.tensor(np.clip(c, 0, 1), dtype=torch.float32)[:, None, None] for c in (zenith, horizon, cloud)
    )
    up = torch.linspace(0, 1, 256)[:, None].expand(256, 256)
    clear = torch.lerp(bottom, top, up ** rng.uniform(0.4, 0.8))
    noise = clouds(rng)
    patches = ((noise - 1 + cover) * rng.uniform(2, 6) + 0.2 * cover).clamp(0, 1)
    shade = 1 - 0.25 * clouds(rng) * cover
    return torch.lerp(clear, (white * shade).clamp(0, 1), patches * (0.3 + 0.7 * up.sqrt()))
