"""Planes in strips: the same planes, laid out in memory in another way."""

import pytest
import torch
from random_views import random_cameras
from torch import Tensor

from mine.render import Layers, lift_layers, lift_layers_in_strips, prepare
from mine.render.strips import STRIP_PITCH, STRIP_SHIFT, StripPlanes, texel_count, to_strips

COLUMNS = 1 << STRIP_SHIFT
SIZES = [(1, 5), (6, COLUMNS), (7, COLUMNS + 1), (5, 2 * COLUMNS - 1), (9, 3 * COLUMNS + 7)]


def layers(size: tuple[int, int]) -> tuple[Layers, Tensor, Tensor]:
    """Two layers of noise, the disparities of planes, and the shell."""
    generator = torch.Generator().manual_seed(0)
    surface = 0.4 + 0.5 * torch.rand(1, *size, generator=generator)
    opacity = torch.where(torch.rand(1, *size, generator=generator) < 0.3, 0.4, 1.0)
    background = torch.where(torch.rand(1, *size, generator=generator) < 0.5, 0.2, 0.0)
    rgb, hidden = (torch.rand(3, *size, generator=generator) for _ in range(2))
    return Layers(surface, opacity, rgb, background, hidden), torch.linspace(1, 0.1, 12), surface


@pytest.mark.parametrize("size", SIZES)
def test_a_texel_and_its_right_neighbour_are_beside_each_other(size: tuple[int, int]) -> None:
    image = torch.rand(1, 1, *size)
    strips = to_strips(image)[0, 0]
    assert len(strips) == texel_count(size)
    for y in range(size[0]):
        for x in range(size[1] - 1):
            index = x // COLUMNS * size[0] * STRIP_PITCH + y * STRIP_PITCH + x % COLUMNS
            assert torch.equal(strips[index : index + 2], image[0, 0, y, x : x + 2])


@pytest.mark.parametrize("size", SIZES)
def test_layers_lifted_in_strips_are_those_lifted_row_by_row(size: tuple[int, int]) -> None:
    planes, reach = lift_layers(*layers(size))
    strips, reach_of_strips = lift_layers_in_strips(*layers(size))
    assert torch.equal(strips.dense(), planes)
    assert torch.equal(reach, reach_of_strips)
    channels = planes.movedim(1, 0)[:, :, None].flatten(0, 1)
    assert torch.equal(strips.texels.movedim(2, 0).flatten(0, 1), to_strips(channels)[:, 0]), "with the copies"


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("detailed", [False, True])
def test_views_of_strips_are_those_of_planes_row_by_row(size: tuple[int, int], backend: str, detailed: bool) -> None:
    torch.manual_seed(1)
    planes, reach = lift_layers(*layers(size))
    strips, _ = lift_layers_in_strips(*layers(size))
    disparity, view_size = layers(size)[1][None], (20, 70)
    K_src, K_tgt, T = random_cameras(3, 0.05, 0.1, (size, view_size))
    photo = (0.1 * torch.rand(1, 3, 2 * size[0], 2 * size[1]), reach[None]) if detailed else ()
    views = [
        prepare(scene, disparity, K_src[:1], *photo).render(K_tgt, T, view_size, backend)
        for scene in (planes[None], strips)
    ]
    for values, expected in zip(*views, strict=True):
        assert torch.equal(values, expected)


def test_a_surface_that_crosses_planes_touches_fewer_pages_in_strips() -> None:
    """A slope to the right through 64 planes: pages, of 256 texels, that hold any of it."""
    size, width = (64, 4096), 4096
    surface = torch.linspace(1, 0.1, width).expand(1, *size).contiguous()
    rgb, none, disparity = torch.rand(3, *size), torch.zeros(1, *size), torch.linspace(1, 0.1, 64)
    parts = Layers(surface, torch.ones(1, *size), rgb, none, rgb), disparity, surface

    def pages(texels: Tensor) -> int:
        used = (texels.flatten(1) != 0)[:-1]  # the last plane is opaque everywhere
        return int(used[:, : used.shape[1] // 1024 * 1024].unflatten(1, (-1, 1024)).any(2).sum())

    strips = lift_layers_in_strips(*parts)[0]
    assert isinstance(strips, StripPlanes)
    assert pages(strips.texels) < 0.55 * pages(lift_layers(*parts)[0].movedim(1, -1))
