"""Lifting layers to planes, compared with the equations written out densely."""

import sys

import torch
from torch import Tensor

from mine.kernels.memory import peak_memory
from mine.render import Layers, lift_layers

OPAQUE = 12.0
SIZE = (9, 13)


def dense_optical_depth(surface: Tensor, opacity: Tensor, back: Tensor, disparity: Tensor) -> Tensor:
    """Optical depths (S, H, W) of one layer: α a on the plane before it, what is missing to α on the planes behind."""
    depths = torch.zeros(len(disparity), *surface.shape)
    for y in range(surface.shape[0]):
        for x in range(surface.shape[1]):
            value, alpha = surface[y, x], opacity[y, x]
            behind = next((k for k, d in enumerate(disparity) if d <= value), len(disparity) - 1)
            share = torch.zeros(())
            if behind > 0 and value > disparity[behind]:
                share = (value - disparity[behind]) / (disparity[behind - 1] - disparity[behind])
                depths[behind - 1, y, x] = -torch.log1p(-alpha * share)
            rest = 1 - (1 - alpha) / (1 - alpha * share) if alpha < 1 else torch.ones(())
            last = behind
            while alpha == 1 and disparity[last] > back[y, x] and last < len(disparity) - 1:
                last += 1
            depths[behind : last + 1, y, x] = -torch.log1p(-rest)
    return depths.clamp(max=OPAQUE)


def least_around(surface: Tensor, disparity: Tensor) -> Tensor:
    """Least disparity of the same surface in each 3x3 window of (H, W)."""
    padded = torch.nn.functional.pad(surface[None, None], [1] * 4, mode="replicate")
    windows = padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2)[0, 0]
    plane = (disparity[:, None, None] > surface).sum(0)
    next_plane = disparity[(plane + 1).clamp(max=len(disparity) - 1)]
    same = torch.minimum(surface / 1.1, torch.maximum(next_plane, surface / 1.25))
    return torch.where(windows >= same[..., None], windows, torch.inf).amin(-1)


def random_layers(seed: int) -> Layers:
    """Layers with discontinuities, slopes, partial opacities and a background behind half of the pixels."""
    generator = torch.Generator().manual_seed(seed)
    surface = 0.55 + 0.1 * torch.rand(1, *SIZE, generator=generator)
    surface[..., 6:] -= 0.25
    opacity = torch.where(torch.rand(1, *SIZE, generator=generator) < 0.3, 0.4, 1.0)
    background = torch.where(torch.rand(1, *SIZE, generator=generator) < 0.5, 0.15, 0.0)
    rgb, hidden = (torch.rand(3, *SIZE, generator=generator) for _ in range(2))
    return Layers(surface, opacity, rgb, background, hidden)


def test_densities_are_those_of_the_equations() -> None:
    disparity = torch.linspace(1, 0.1, 24)
    surface, opacity, _, background, _ = layers = random_layers(0)
    planes, _ = lift_layers(layers, disparity, surface)
    intervals = torch.cat([(1 / disparity).diff(), torch.ones(1)])[:, None, None]
    expected = dense_optical_depth(surface[0], opacity[0], least_around(surface[0], disparity), disparity)
    behind = dense_optical_depth(background[0], torch.ones(SIZE), torch.full(SIZE, 0.15), disparity)
    expected = torch.maximum(expected, torch.where(background[0] > 0, behind, 0))
    expected[-1] = OPAQUE
    assert torch.allclose(planes[:, 3] * intervals, expected, rtol=1e-3, atol=2e-3)


def test_no_gap_opens_between_neighbours_on_adjacent_planes_far_away() -> None:
    """Steps of a fifth between planes: what was moved to the planes is one surface, and twice as far away another."""
    disparity = torch.tensor([1.0, 0.6, 0.24, 0.2, 0.1])
    surface = torch.full((1, *SIZE), 0.24)
    surface[..., 6:] = 0.2
    surface[..., 9:] = 0.1
    rgb, none = torch.rand(3, *SIZE), torch.zeros(1, *SIZE)
    planes, _ = lift_layers(Layers(surface, torch.ones(1, *SIZE), rgb, none, rgb), disparity, surface)
    dense = planes[:, 3, 4] > 0
    assert dense[2].tolist() == [True] * 6 + [False] * 7
    assert dense[3].tolist() == [False] * 5 + [True] * 4 + [False] * 4, "the pixel beside the step is on both planes"


def test_texels_with_density_have_the_colour_of_their_layer() -> None:
    disparity = torch.linspace(1, 0.1, 24)
    surface, _, rgb, background, hidden = layers = random_layers(1)
    planes, _ = lift_layers(layers, disparity, surface)
    dense = planes[:, 3] > 0
    front = dense & (disparity[:, None, None] > 0.2)
    assert front.any(0).all()
    assert torch.equal(planes[:, :3].movedim(1, -1)[front], rgb.movedim(0, -1).expand(24, *SIZE, 3)[front])
    last = torch.where(background > 0, hidden, rgb)
    assert torch.equal(planes[-1, :3], last)


def test_the_foregrounds_colour_reaches_beyond_its_edge() -> None:
    """Bilinear samples beside a silhouette mix texels without density: these have the foreground's colour too."""
    surface = torch.full((1, *SIZE), 0.1)
    surface[..., :6] = 1.0
    rgb = torch.where(surface > 0.5, 0.9, 0.2).expand(3, *SIZE).contiguous()
    none = torch.zeros(1, *SIZE)
    planes, _ = lift_layers(Layers(surface, torch.ones(1, *SIZE), rgb, none, rgb), torch.linspace(1, 0.1, 8), surface)
    assert (planes[0, 3, :, 6] == 0).all()
    assert torch.allclose(planes[0, :3, :, 6], torch.tensor(0.9))


def test_the_photo_is_shown_down_to_the_back_of_its_surface_and_before_the_background() -> None:
    """A slope through the four nearest planes, then with a background from the fifth on."""
    disparity = torch.linspace(1, 0.1, 10)
    surface = torch.linspace(0.98, 0.72, SIZE[1]).expand(1, *SIZE).contiguous()
    rgb, none = torch.rand(3, *SIZE), torch.zeros(1, *SIZE)
    planes, reach = lift_layers(Layers(surface, torch.ones(1, *SIZE), rgb, none, rgb), disparity, surface)
    assert reach.shape == (1, *SIZE)
    for x in range(SIZE[1]):
        least = surface[0, 0, min(x + 2, SIZE[1] - 1)]  # of its own window and of its neighbours'
        assert reach[0, 4, x] == disparity[disparity <= least][0]
    shown = (disparity[:, None, None] >= reach) & (planes[:, 3] > 0)
    assert torch.equal(planes[:, :3].movedim(1, -1)[shown], rgb.movedim(0, -1).expand(10, *SIZE, 3)[shown])
    hidden = torch.full((1, *SIZE), 0.58)
    planes, reach = lift_layers(Layers(surface, torch.ones(1, *SIZE), rgb, hidden, 1 - rgb), disparity, surface)
    assert (reach > 0.65).all(), "the background begins on the plane at 0.6"


def test_memory_is_taken_by_the_surface_not_by_the_planes() -> None:
    """Planes of 48 GB, more than the system would promise, of which a wall needs one plane and the last."""
    size, planes = (1024, 1536), 2000
    wall, none, rgb = torch.full((1, *size), 0.5), torch.zeros(1, *size), torch.rand(3, *size)
    before = peak_memory() or 0
    lifted, _ = lift_layers(Layers(wall, torch.ones(1, *size), rgb, none, rgb), torch.linspace(1, 0.1, planes), wall)
    assert lifted.shape == (planes, 4, *size)
    if sys.platform == "linux":
        assert (peak_memory() or 0) - before < 0.5  # GB
