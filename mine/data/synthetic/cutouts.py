"""Procedural cut-outs: textures with an alpha channel for leaves, bushes, people and small objects."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.procedural import fractal

CUTOUTS = 48
"""Number of cut-outs of each role. Each depends on its number alone, so that they can be cached."""

_SIZE = 128


@lru_cache(maxsize=4 * CUTOUTS)
def cutout(role: str, number: int) -> Tensor:
    """A cut-out that fills its square and stands on the lower edge.

    Args:
        role: plant, leaf, figure or thing.
        number: Which of the `CUTOUTS` of this role.

    Returns:
        RGBA (4, 128, 128) for plants and leaves, alpha (1, 128, 128) alone for figures and things.
    """
    rng = np.random.default_rng([9, len(role), number])
    return {"plant": bush, "leaf": leaf, "figure": person, "thing": blob}[role](rng)


def _grid() -> tuple[Tensor, Tensor]:
    side = torch.linspace(-1, 1, _SIZE)
    return side[:, None].expand(_SIZE, _SIZE), side[None].expand(_SIZE, _SIZE)


def _soft(inside: Tensor) -> Tensor:
    """Opacity from a signed field that is positive inside; about two texels of ramp."""
    return (0.5 + inside * _SIZE / 4).clamp(0, 1)


def _green(rng: np.random.Generator, shade: Tensor) -> Tensor:
    """Leaf colours (3, h, w) from a shade (h, w) in [0, 1]."""
    dark = np.array([0.12, 0.2, 0.06]) * rng.uniform(0.5, 1.3)
    light = np.array([0.45, 0.6, 0.22]) + rng.normal(0, 0.08, 3)
    if rng.random() < 0.2:  # autumn, blossom
        light = np.array([0.75, 0.45, 0.2]) + rng.normal(0, 0.15, 3)
    first, second = (torch.tensor(c, dtype=torch.float32).clamp(0, 1)[:, None, None] for c in (dark, light))
    return torch.lerp(first, second, shade)


def bush(rng: np.random.Generator) -> Tensor:
    """A bush or tree crown (4, 128, 128): a round outline frayed by leaf-sized noise, lighter above."""
    y, x = _grid()
    leaves = fractal(rng, _SIZE, first=int(rng.choice([8, 16])), octaves=3, decay=0.9)
    clumps = fractal(rng, _SIZE, first=4, octaves=2)
    power = rng.uniform(2, 3.5)
    outline = 1 - (x.abs() ** power + (y - 0.05).abs() ** power)
    inside = outline * 0.6 + (clumps - 0.5) * 0.8 + (leaves - 0.5) * rng.uniform(0.6, 1.2)
    inside = torch.minimum(inside, 4 * (0.97 - torch.maximum(x.abs(), -y)))  # never cut straight by its square
    shade = (0.65 * leaves + 0.25 * clumps + 0.25 * (0.5 - y)).clamp(0, 1)
    return torch.cat([_green(rng, shade), _soft(inside * 0.4)[None]])


def leaf(rng: np.random.Generator) -> Tensor:
    """A leaf (4, 128, 128): pointed ellipse along v with a midrib."""
    y, x = _grid()
    width = rng.uniform(0.3, 0.75)
    half = width * (1 - y.abs() ** rng.uniform(1.4, 2.5)) * (1 + 0.3 * y)
    veins = 0.5 + 0.5 * torch.sin((x.abs() * 2 + y) * rng.uniform(12, 30))
    shade = 0.35 + 0.25 * fractal(rng, _SIZE) + 0.12 * veins + 0.25 * torch.exp(-((x / 0.04) ** 2))
    return torch.cat([_green(rng, shade), _soft(half - x.abs())[None]])


def blob(rng: np.random.Generator) -> Tensor:
    """The opacity (1, 128, 128) of some object: a superellipse with a notched outline."""
    y, x = _grid()
    power = rng.uniform(1.2, 5)
    outline = 1 - (x.abs() ** power + y.abs() ** power)
    return _soft(0.5 * outline + 0.25 * (fractal(rng, _SIZE, first=2, octaves=2) - 0.5))[None]


def person(rng: np.random.Generator) -> Tensor:
    """The opacity (1, 128, 128) of a standing figure, to be shown about 0.45 as wide as tall: head, trunk and limbs."""
    y, x = _grid()
    stride, reach = rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.75)

    def limb(x0: float, y0: float, x1: float, y1: float, radius: float) -> Tensor:
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        along = along.clamp(0, 1)
        distance = torch.hypot((x - x0 - along * (x1 - x0)) * 0.45, y - y0 - along * (y1 - y0))
        return radius - distance

    parts = [
        limb(0, -0.86, 0.02, -0.82, 0.11),
        limb(-0.15, -0.55, -0.1, 0.0, 0.14),
        limb(0.15, -0.55, 0.1, 0.0, 0.14),
        limb(-0.15, 0.0, -stride, 1.0, 0.085),
        limb(0.15, 0.0, stride, 1.0, 0.085),
        limb(-0.35, -0.6, -reach - 0.1, rng.uniform(-0.5, 0.1), 0.055),
        limb(0.35, -0.6, reach + 0.1, rng.uniform(-0.5, 0.1), 0.055),
    ]
    return _soft(torch.stack(parts).amax(0))[None]
