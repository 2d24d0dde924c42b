"""A training sample with exact geometry: two textured planes rendered from two cameras."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.base.sample import Sample
from mine.render import View, reference
from mine.scene.camera import intrinsics, pose

DISPARITY = torch.tensor([[0.8, 0.3]])


def make_sample(size: tuple[int, int] = (64, 96), points: int = 40, metric: float = 1.0, seed: int = 0) -> Sample:
    """A card at depth 1.25 before a wall at 3.3; the target camera is 0.3 to the right and turned by 0.05 radians."""
    generator = torch.Generator().manual_seed(seed)
    planes = scene_planes(size, generator)
    K = intrinsics(size, 80)
    angle = torch.tensor(0.05)
    turn = torch.eye(3)
    turn[0, 0] = turn[2, 2] = angle.cos()
    turn[0, 2], turn[2, 0] = angle.sin(), -angle.sin()
    T = pose(turn, torch.tensor([-0.3, 0.02, 0.1]))
    source = reference.render_source(planes, DISPARITY, K[None])
    target = reference.render(planes, DISPARITY, K[None], K[None], T[None], size)
    return Sample(
        source=source.rgb[0].clamp(0, 1),
        target=target.rgb[0].clamp(0, 1),
        K_src=K,
        K_tgt=K,
        T_tgt_src=T,
        points_src=points_of(source, K, points, generator),
        points_tgt=points_of(target, K, points, generator),
        depth_src=source.depth[0],
        depth_tgt=target.depth[0],
        metric=torch.tensor(metric),
    )


def scene_planes(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(1, 2, 4, H, W): smooth random colours; the near plane is opaque left of the middle, the far one everywhere."""
    rgb = F.interpolate(torch.rand(2, 3, 4, 5, generator=generator), size, mode="bilinear")
    sigma = torch.full((2, 1, *size), 1e4)
    sigma[0] = 0
    sigma[0, :, size[0] // 4 : -size[0] // 4, size[1] // 5 : size[1] // 2] = 1e4
    return torch.cat([rgb, sigma], dim=1)[None]


def points_of(view: View, K: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(3, P) surface points at random pixels of a view, in its camera's coordinates."""
    height, width = view.depth.shape[-2:]
    x = torch.randint(width, (count,), generator=generator)
    y = torch.randint(height, (count,), generator=generator)
    return torch.linalg.inv(K) @ torch.stack([x, y, torch.ones_like(x)]).float() * view.depth[0, 0, y, x]


def stack(*samples: Sample) -> Sample:
    """Samples as a batch."""
    return Sample(*(torch.stack(fields) for fields in zip(*samples, strict=True)))
