"""From what the rays met to the linear light of each pixel: texture, sun, sky light, shadows, haze."""

import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.raycast import Hits
from mine.data.synthetic.shadows import Contact, SunShadow, corners
from mine.data.synthetic.world import Light, World


class Shader:
    """Lights the views of one world, all alike."""

    def __init__(self, world: World, hits: Hits) -> None:
        """`hits` are the first view's: shadows are worked out around what it sees."""
        assert world.light is not None
        self.world, self.light, self.atlas = world, world.light, hits.rays.atlas
        self.table = world.table().to(hits.depth.device)
        depth = hits.depth[torch.isfinite(hits.depth)]
        reach = float(torch.quantile(depth[::16], 0.6)) if len(depth) else 1.0
        center = hits.rays.origin + hits.rays.rotation[:, 2] * reach
        self.sun = SunShadow(world, self.atlas, center, 1.6 * reach)
        self.contact = Contact(world, self.atlas, center, 1.6 * reach)

    def picture(self, hits: Hits) -> Tensor:
        """Linear light (3, H, W) of the pixels whose half-pixel lattice is (2H + 1, 2W + 1).

        A pixel all of whose nine samples met one surface is shaded once, and its texture averaged over the pixel;
        where surfaces meet, all nine are shaded and weighted with a tent.
        """
        windows = hits.surface.unfold(0, 3, 2).unfold(1, 3, 2)
        height, width = windows.shape[:2]
        mixed = (windows != windows[:, :, 1:2, 1:2]).flatten(2).any(2).flatten()
        columns = hits.surface.shape[1]
        index = torch.arange(hits.surface.numel(), device=mixed.device).view(-1, columns)
        index = index.unfold(0, 3, 2).unfold(1, 3, 2).reshape(-1, 9)
        single, several = index[~mixed, 4], index[mixed]
        samples = torch.cat([single, several.flatten()])
        step = float(hits.rays.x[1] - hits.rays.x[0])
        footprint = torch.full_like(samples, step, dtype=torch.float32)
        footprint[: len(single)] *= 2
        light = self.shade(hits, samples, footprint)
        tent = torch.tensor([1.0, 2, 1, 2, 4, 2, 1, 2, 1], device=light.device) / 16
        result = light.new_empty(3, height * width)
        result[:, ~mixed] = light[:, : len(single)]
        result[:, mixed] = light[:, len(single) :].view(3, -1, 9) @ tent
        return result.view(3, height, width)

    def shade(self, hits: Hits, samples: Tensor, footprint: Tensor) -> Tensor:
        """Linear light (3, N) of lattice samples (N,), each averaged over `footprint` normalised coordinates."""
        surface = hits.surface.flatten()[samples]
        sky = surface == 0
        direction = _directions(hits, samples)
        length = _length(direction)
        depth = torch.where(sky, 1 / length, hits.depth.flatten()[samples])
        origin = torch.from_numpy(hits.rays.origin.astype(np.float32)).to(direction)[:, None]
        point = torch.where(sky, 0.0, origin) + direction * depth
        row = self.table[:, surface]
        mapping = row[:12].view(3, 4, -1)
        q = (mapping[:, :3] * point).sum(1) + mapping[:, 3]
        normal = _normals(row, q)
        facing = (normal * direction).sum(0) / length
        normal = torch.where(facing > 0, -normal, normal)
        u, v = _coordinates(row, q)
        slant = torch.where(sky, 1.0, facing.abs().clamp(min=0.05)) ** 0.6
        texture = self.atlas.sample(row[18].long(), u, v, row[19] * depth * footprint / slant).T
        albedo = (texture * row[15:18]) ** 2
        lit = torch.where(sky, albedo * self.light.sky, albedo * self._received(point, normal))
        return _hazy(self.light, lit, depth * length, sky)

    def _received(self, point: Tensor, normal: Tensor) -> Tensor:
        """Light (3, N) that falls on surface points (3, N)."""
        light = self.light
        sun, colour, ambient = (
            torch.from_numpy(vector.astype(np.float32)).to(normal)[:, None]
            for vector in (light.sun, light.sun_colour, light.ambient)
        )
        direct = (normal * sun).sum(0).clamp(min=0) * self.sun.lit(point, normal)
        soft = (0.67 - 0.33 * normal[1]) * self.contact.open(point) * corners(self.world, point)
        return ambient * soft + colour * direct


def _directions(hits: Hits, samples: Tensor) -> Tensor:
    """Ray directions (3, N) in the world, of unit depth."""
    columns = hits.surface.shape[1]
    x, y = hits.rays.x[samples % columns], hits.rays.y[samples // columns]
    turn = torch.from_numpy(hits.rays.rotation.astype(np.float32)).to(x)
    return turn @ torch.stack([x, y, torch.ones_like(x)])


def _length(vectors: Tensor) -> Tensor:
    """Of vectors (3, N); many times faster than the library's norm over the first axis."""
    x, y, z = vectors.unbind(0)
    return (x * x + y * y + z * z).sqrt()


def _normals(row: Tensor, q: Tensor) -> Tensor:
    local = torch.stack([q[0], row[21] + row[22] * q[1], q[2]])
    curved = (row[:12].view(3, 4, -1)[:, :3] * local[:, None]).sum(0)
    curved = curved / _length(curved).clamp(min=1e-9)
    return torch.where(row[20] > 0, curved, row[12:15])


def _coordinates(row: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    around = torch.atan2(q[0], q[2]) / (2 * torch.pi) * row[23]
    return torch.where(row[20] > 0, around, q[0]), torch.where(row[20] > 0, q[1] * row[24], q[1])


def _hazy(light: Light, colour: Tensor, distance: Tensor, sky: Tensor) -> Tensor:
    veil = torch.where(sky, 0.0, 1 - torch.exp(-light.fog * distance))
    return torch.lerp(colour, torch.from_numpy(light.fog_colour.astype(np.float32)).to(colour)[:, None], veil)
