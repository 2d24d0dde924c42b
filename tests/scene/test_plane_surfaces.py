"""The surfaces that planes show, in cases with a known result."""

import pytest
import torch

from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.scene.camera import intrinsics, pose
from mine.scene.mpi import MPI
from mine.scene.plane_surfaces import Surfaces, find_surfaces
from mine.scene.silhouettes import SEAM, find_layers

SIZE, NEAR, FAR = (32, 48), 0.83, 0.21

GREEN, RED, BLUE = (
    torch.tensor(colour)[:, None, None] for colour in ((0.1, 0.8, 0.1), (0.8, 0.1, 0.1), (0.1, 0.1, 0.8))
)


def opaque_planes(disparity: torch.Tensor, opacity: dict[int, float | torch.Tensor]) -> torch.Tensor:
    """White planes (S, 4, H, W) of the opacities given, transparent elsewhere."""
    planes = torch.ones(len(disparity), 4, *SIZE)
    planes[:, 3] = 0
    for k, value in opacity.items():
        interval = 1 / disparity[k + 1] - 1 / disparity[k] if k + 1 < len(disparity) else 1e3
        planes[k, 3] = -torch.log1p(-torch.as_tensor(value).clamp(max=1 - 1e-5)) / interval
    return planes


def lifted(surface: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Planes of a disparity map (1, H, W), and their disparities."""
    image = torch.rand(1, 3, *surface.shape[-2:], generator=torch.Generator().manual_seed(0))
    disparity = plane_disparities(surface[None], 32)
    return lift_to_mpi(image, surface[None], disparity[None])[0], disparity


def hides(found: Surfaces) -> torch.Tensor:
    """Where (H, W) a background is known."""
    return found.background[0] < found.disparity[0]


def bar() -> torch.Tensor:
    """The disparity (1, H, W) of a bar before a wall."""
    surface = torch.full((1, *SIZE), FAR)
    surface[..., 16:32] = NEAR
    return surface


def test_the_visible_surface_is_what_planes_were_lifted_from() -> None:
    for surface in (bar(), torch.linspace(0.3, 1, SIZE[1]).expand(1, *SIZE).contiguous()):
        planes, disparity = lifted(surface)
        found = find_surfaces(planes, disparity)
        assert (found.disparity - surface).abs().max() < 1e-4
        assert abs(found.share - 1) < 1e-4


def test_the_hidden_surface_is_the_background_that_was_inpainted() -> None:
    found = find_surfaces(*lifted(bar()))
    assert (found.background[0, :, 17:31] - FAR).abs().max() < 1e-4
    assert not hides(found)[:, :16].any() and not hides(found)[:, 32:].any()


@pytest.mark.parametrize(("share", "expected"), [(0.4, 0.2), (0.6, 0.8)])
def test_where_two_surfaces_mix_the_one_that_shows_more_is_seen(share: float, expected: float) -> None:
    disparity = torch.tensor([1.0, 0.8, 0.6, 0.4, 0.2])
    found = find_surfaces(opaque_planes(disparity, {1: share, 4: 1.0}), disparity)
    assert (found.disparity - expected).abs().max() < 1e-5
    assert abs(found.share - max(share, 1 - share)) < 1e-4


def test_nothing_is_hidden_without_a_gap_or_where_the_visible_surface_is_transparent() -> None:
    disparity = torch.tensor([1.0, 0.8, 0.6, 0.4, 0.2])
    without_gap = {k: 1.0 for k in range(1, 5)}
    for opacity in (without_gap, {1: 0.8, 4: 1.0}, {1: 1.0}):
        assert not hides(find_surfaces(opaque_planes(disparity, opacity), disparity)).any()
    assert hides(find_surfaces(opaque_planes(disparity, {1: 1.0, 4: 1.0}), disparity)).all()


def test_what_planes_hide_is_seen_in_views_larger_than_them() -> None:
    """Behind a red bar before a blue wall is green, which no photo shows."""
    disparity, small = torch.tensor([1.0, 0.6, 0.2]), (12, 48)
    column = torch.arange(48).expand(small)
    planes = torch.zeros(3, 4, *small)
    planes[:2, :3], planes[2, :3] = RED, torch.where((column >= 16) & (column < 32), GREEN, BLUE)
    planes[0, 3], planes[2, 3] = 1e3 * ((column >= 16) & (column < 32)), 1e3
    wide = torch.arange(240).expand(60, 240)
    photo = torch.where((wide >= 80) & (wide < 160), RED, BLUE)
    scene = MPI.from_planes(planes, disparity, intrinsics(small, 60.0, aspect=4.0), photo)
    view = scene.render(pose(translation=torch.tensor([-0.25, 0.0, 0.0])), size=(60, 240)).rgb[0]
    uncovered = ((view - GREEN).abs().amax(0) < 0.05).float()
    shift = 0.25 * float(scene.intrinsics((60, 240))[0, 0]) * 0.8
    assert (uncovered.sum(1) > shift - 5 * (SEAM + 2)).all() and (uncovered.sum(1) < shift).all()


def test_hidden_surfaces_reach_to_the_photos_silhouette() -> None:
    """It lies two pixels of the map beside the planes' one."""
    surface = torch.full((1, 12, 48), FAR)
    surface[..., 16:32] = NEAR
    planes, disparity = lifted(surface)
    inside = ((torch.arange(240) >= 68) & (torch.arange(240) < 160)).expand(60, 240)
    layers = find_layers(find_surfaces(planes, disparity), torch.where(inside, RED, BLUE))
    assert (layers.disparity[0, :, 70:150] - NEAR).abs().max() < 1e-3
    assert (layers.background_disparity[0, :, 70:150] - FAR).abs().max() < 0.01


def test_fog_is_rendered_as_it_is() -> None:
    generator = torch.Generator().manual_seed(0)
    rgb, photo = torch.rand(8, 3, 16, 24, generator=generator), torch.rand(3, 64, 96, generator=generator)
    disparity = torch.linspace(1, 0.1, 8)
    interval = torch.cat([(1 / disparity).diff(), torch.tensor([1e3])])[:, None, None, None]
    fog = MPI(rgb, 0.2 / interval.expand(8, 1, 16, 24), disparity, intrinsics((16, 24), 60.0), photo)
    assert fog.surfaces.are_fog
    T = pose(translation=torch.tensor([0.1, 0.0, 0.0]))
    assert torch.equal(fog.render(T).rgb, fog.render(T, fine=False).rgb)


def test_gradients_of_large_views_reach_the_planes() -> None:
    planes, disparity = lifted(bar())
    photo = torch.rand(3, 128, 192, generator=torch.Generator().manual_seed(0))
    scene = MPI.from_planes(planes.requires_grad_(), disparity, intrinsics(SIZE, 60.0), photo)
    scene.render(torch.eye(4)).rgb.sum().backward()
    assert planes.grad is not None and planes.grad.abs().sum() > 0
