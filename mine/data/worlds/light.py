"""From what the rays met to linear colours."""

import torch
from torch import Tensor

from mine.data.worlds.raycast import Hits
from mine.data.worlds.world import Light, World


def shade(world: World, hits: Hits, table: Tensor) -> Tensor:
    """Linear colours (3, h, w) of the hits: texture, sun and sky light, fog."""
    light = world.light
    assert light is not None
    height, width = hits.depth.shape
    rays = hits.rays
    sky = hits.surface.flatten() == 0
    direction = rays.dot(torch.eye(3).double().numpy()).flatten(1)
    length = torch.linalg.vector_norm(direction, dim=0)
    depth = torch.where(sky, 1 / length, hits.depth.flatten())
    origin = torch.from_numpy(rays.origin).to(direction)
    away = direction * depth
    row = table[:, hits.surface.flatten()]
    point = torch.where(sky, away, away + origin[:, None])
    q = (row[:12].view(3, 4, -1)[:, :3] * point).sum(1) + row[:12].view(3, 4, -1)[:, 3]
    normal = _normals(row, q)
    facing = (normal * direction).sum(0) / length
    normal = torch.where(facing > 0, -normal, normal)
    u, v = _coordinates(row, q)
    step = float(rays.x[1] - rays.x[0])
    slant = torch.where(sky, 1.0, facing.abs().clamp(min=0.05)) ** 0.6
    albedo = rays.atlas.sample(row[18].long(), u, v, row[19] * depth * step / slant).T ** 2 * row[15:18] ** 2
    lit = torch.where(sky, albedo, albedo * _light(light, normal))
    return _fog(light, lit, depth * length, sky).view(3, height, width)


def _normals(row: Tensor, q: Tensor) -> Tensor:
    local = torch.stack([q[0], row[21] + row[22] * q[1], q[2]])
    curved = (row[:12].view(3, 4, -1)[:, :3] * local[:, None]).sum(0)
    curved = curved / torch.linalg.vector_norm(curved, dim=0).clamp(min=1e-9)
    return torch.where(row[20] > 0, curved, row[12:15])


def _coordinates(row: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    around = torch.atan2(q[0], q[2]) / (2 * torch.pi) * row[23]
    return torch.where(row[20] > 0, around, q[0]), torch.where(row[20] > 0, q[1] * row[24], q[1])


def _light(light: Light, normal: Tensor) -> Tensor:
    sun, colour, ambient = (
        torch.from_numpy(a).to(normal)[:, None] for a in (light.sun, light.sun_colour, light.ambient)
    )
    direct = (normal * sun).sum(0).clamp(min=0)
    return ambient * (0.67 - 0.33 * normal[1]) + colour * direct


def _fog(light: Light, colour: Tensor, distance: Tensor, sky: Tensor) -> Tensor:
    veil = torch.where(sky, 0.0, 1 - torch.exp(-light.fog * distance))
    return torch.lerp(colour, torch.from_numpy(light.fog_colour).to(colour)[:, None], veil)
