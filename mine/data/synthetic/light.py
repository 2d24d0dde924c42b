"""Shading of ray hits: diffuse surfaces under sun and ambient light, with soft shadows and fog, anti-aliased."""

import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.raycast import Hits
from mine.data.synthetic.scene import (
    BEND,
    BEND_SLOPE,
    CURVED,
    DENSITY,
    MAPPING,
    NORMAL,
    REPEAT_ALONG,
    REPEAT_AROUND,
    TEXTURE,
    TINT,
    Light,
    Scene,
)
from mine.data.synthetic.shadows import ContactShadow, SunShadow, corner_visibility


class Shader:
    """Shades the views of one scene, all under the same light."""

    def __init__(self, scene: Scene, hits: Hits) -> None:
        """`hits` are the first view's: the shadow maps cover the region that it sees."""
        assert scene.light is not None
        self.scene, self.light, self.atlas = scene, scene.light, hits.rays.atlas
        self.table = scene.surface_table().to(hits.depth.device)
        depth = hits.depth[torch.isfinite(hits.depth)]
        reach = float(torch.quantile(depth[::16], 0.6)) if len(depth) else 1.0
        center = hits.rays.origin + hits.rays.rotation[:, 2] * reach
        self.sun = SunShadow(scene, self.atlas, center, 1.6 * reach)
        self.contact = ContactShadow(scene, self.atlas, center, 1.6 * reach)

    def render(self, hits: Hits) -> Tensor:
        """Renders a view in linear radiance, anti-aliased.

        A pixel whose nine rays all hit one surface is shaded once, with its texture averaged over the pixel; at edges
        all nine are shaded and averaged with a tent filter.

        Args:
            hits: Hits of rays every half pixel, (2H + 1, 2W + 1).

        Returns:
            Radiance (3, H, W).
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
        """Radiance (3, N) along the rays of these indices (N,), textures averaged over `footprint` (normalised)."""
        surface = hits.surface.flatten()[samples]
        sky = surface == 0
        direction = _directions(hits, samples)
        length = _length(direction)
        depth = torch.where(sky, 1 / length, hits.depth.flatten()[samples])
        origin = torch.from_numpy(hits.rays.origin.astype(np.float32)).to(direction)[:, None]
        point = torch.where(sky, 0.0, origin) + direction * depth
        row = self.table[:, surface]
        mapping = row[MAPPING].view(3, 4, -1)
        q = (mapping[:, :3] * point).sum(1) + mapping[:, 3]
        normal = _normals(row, q)
        facing = (normal * direction).sum(0) / length
        normal = torch.where(facing > 0, -normal, normal)
        u, v = _coordinates(row, q)
        slant = torch.where(sky, 1.0, facing.abs().clamp(min=0.05)) ** 0.6
        texture = self.atlas.sample(row[TEXTURE].long(), u, v, row[DENSITY] * depth * footprint / slant).T
        albedo = (texture * row[TINT]) ** 2
        lit = torch.where(sky, albedo * self.light.sky, albedo * self._received(point, normal))
        return _hazy(self.light, lit, depth * length, sky)

    def _received(self, point: Tensor, normal: Tensor) -> Tensor:
        """Irradiance (3, N) at surface points (3, N)."""
        light = self.light
        sun, colour, ambient = (
            torch.from_numpy(vector.astype(np.float32)).to(normal)[:, None]
            for vector in (light.sun, light.sun_colour, light.ambient)
        )
        direct = (normal * sun).sum(0).clamp(min=0) * self.sun.visibility(point, normal)
        soft = (0.67 - 0.33 * normal[1]) * self.contact.sky_visibility(point) * corner_visibility(self.scene, point)
        return ambient * soft + colour * direct


def _directions(hits: Hits, samples: Tensor) -> Tensor:
    """Directions (3, N) of rays, world coordinates, of depth z = 1 in the camera."""
    columns = hits.surface.shape[1]
    x, y = hits.rays.x[samples % columns], hits.rays.y[samples // columns]
    turn = torch.from_numpy(hits.rays.rotation.astype(np.float32)).to(x)
    return turn @ torch.stack([x, y, torch.ones_like(x)])


def _length(vectors: Tensor) -> Tensor:
    """Lengths (N,) of vectors (3, N); many times faster than torch's norm over the first axis."""
    x, y, z = vectors.unbind(0)
    return (x * x + y * y + z * z).sqrt()


def _normals(row: Tensor, q: Tensor) -> Tensor:
    """Unit normals (3, N) by the rows of the surface table (25, N) at mapped points (3, N)."""
    local = torch.stack([q[0], row[BEND] + row[BEND_SLOPE] * q[1], q[2]])
    curved = (row[MAPPING].view(3, 4, -1)[:, :3] * local[:, None]).sum(0)
    curved = curved / _length(curved).clamp(min=1e-9)
    return torch.where(row[CURVED] > 0, curved, row[NORMAL])


def _coordinates(row: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Texture coordinates u and v (N,) by the rows of the surface table (25, N) at mapped points (3, N)."""
    around = torch.atan2(q[0], q[2]) / (2 * torch.pi) * row[REPEAT_AROUND]
    along = q[1] * row[REPEAT_ALONG]
    return torch.where(row[CURVED] > 0, around, q[0]), torch.where(row[CURVED] > 0, along, q[1])


def _hazy(light: Light, colour: Tensor, distance: Tensor, sky: Tensor) -> Tensor:
    """Colours (3, N) behind fog of transmittance exp(-extinction x distance); the sky is beyond it."""
    veil = torch.where(sky, 0.0, 1 - torch.exp(-light.fog * distance))
    return torch.lerp(colour, torch.from_numpy(light.fog_colour.astype(np.float32)).to(colour)[:, None], veil)
