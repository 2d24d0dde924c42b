"""Cutting a scene to another aspect, and zooming in until no view shows what is beyond the photo."""

import pytest
import torch

from mine.output import camera_paths as paths
from mine.output.framing import MAX_ZOOM, covering_zoom, crop_to_aspect
from mine.output.video import render_path
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about framing, not kernels

PLANES = (128, 256)


def ramps(size: tuple[int, int]) -> torch.Tensor:
    """(3, H, W) red from 0 to 1 from the left to the right edge, green from the top to the bottom edge."""
    y, x = ((torch.arange(side) + 0.5) / side for side in size)
    return torch.stack([x.expand(size), y[:, None].expand(size), torch.full(size, 0.5)])


@pytest.mark.parametrize("size", [(256, 512), (85, 171), (17, 33), (128, 192), (384, 640), (341, 512)])
@pytest.mark.parametrize("aspect", [1.0, 0.5, 16 / 9, 3.0])
def test_planes_and_photo_are_cut_at_the_same_places(size: tuple[int, int], aspect: float) -> None:
    scene = MPI(
        ramps(PLANES).repeat(2, 1, 1, 1),
        torch.ones(2, 1, *PLANES),
        torch.tensor([1.0, 0.2]),
        intrinsics(PLANES, 60.0, aspect=size[1] / size[0]),
        ramps(size),
    )
    cropped = crop_to_aspect(scene, aspect)
    assert cropped.photo is not None
    height, width = cropped.size
    assert width / height == pytest.approx(aspect, rel=0.02 + 0.5 / min(height, width))
    for channel, axis in ((0, 1), (1, 0)):
        means = [image[channel].mean(1 - axis) for image in (cropped.rgb[0], cropped.photo)]
        edges = [(line[0] - (line[1] - line[0]) / 2, line[-1] + (line[-1] - line[-2]) / 2) for line in means]
        beside = (torch.tensor(edges[0]) - torch.tensor(edges[1])) * size[axis]
        assert beside.abs().max() < 0.05, "in pixels of the photo"
    before, after = scene.K, cropped.K
    corner = cropped.rgb[0, :2, 0, 0] * torch.tensor(PLANES[::-1]) - 0.5
    torch.testing.assert_close(before[:2, 2] - corner, after[:2, 2], atol=1e-3, rtol=0)


def test_a_photo_whose_pixels_end_at_the_cut_is_kept_as_it_is() -> None:
    photo = torch.rand(3, 341, 2048, generator=torch.Generator().manual_seed(0))
    K = intrinsics((128, 384), 60.0, aspect=6.0)
    planes = torch.zeros(2, 3, 128, 384), torch.ones(2, 1, 128, 384), torch.tensor([1.0, 0.2])
    cropped = crop_to_aspect(MPI(*planes, K, photo), 1.0).photo
    assert cropped is not None and cropped.shape[-1] % 16 == 0
    left = (2048 - cropped.shape[-1]) // 2
    assert any(torch.equal(cropped, photo[..., at : at + cropped.shape[-1]]) for at in range(left - 16, left + 17))


def bordered(depth: float) -> MPI:
    """One opaque wall at `depth`, in a frame twice as wide as high; a far plane behind it shows nowhere."""
    sigma = torch.full((2, 1, 64, 128), 1e5)
    K = torch.tensor([[64.0, 0, 64], [0, 64, 32], [0, 0, 1]])
    return MPI(torch.rand(2, 3, 64, 128), sigma, torch.tensor([1 / depth, 1 / depth / 100]), K)


def test_the_zoom_does_not_depend_on_the_principal_point() -> None:
    """A camera that moves sideways moves a wall by as much in a corner of a photo as in its middle."""
    path, zooms = paths.line(frames=5), []
    for beside in (0, 40, 200):
        scene = bordered(2.0)
        K = scene.K.clone()
        K[0, 2] -= beside
        corner = MPI(scene.rgb, scene.sigma, scene.disparity, K)
        zooms.append(covering_zoom(corner, path, torch.ones(5)))
    assert 1.02 < zooms[0] < MAX_ZOOM
    assert zooms[1:] == pytest.approx([zooms[0]] * 2, abs=0.005)


def test_no_zoom_where_nothing_moves_or_the_camera_only_approaches() -> None:
    scene = bordered(2.0)
    assert covering_zoom(scene, torch.eye(4)[None], torch.ones(1)) == 1
    ahead = paths.zoom(frames=8, depth=2.0)
    assert covering_zoom(scene, ahead, torch.ones(8)) == 1


@pytest.mark.parametrize("amount", [0.5, 1.0, 1.5])
def test_zoom_is_the_least_that_covers_a_shift(amount: float) -> None:
    """A camera s to the side sees the wall shifted by s f / z pixels: half the width must shrink by that much."""
    shift = paths.SIDEWAYS * amount
    zoom = covering_zoom(bordered(1.0), paths.line(frames=5, amount=amount), torch.ones(5))
    exact = 1 / (1 - shift)
    assert exact - 0.015 < zoom < exact + 0.01, "the frame reaches half a pixel in 64 beyond the outermost centres"


def test_zoom_counts_what_shows_not_transparent_planes() -> None:
    """The near plane is transparent: only the far wall's small shift counts."""
    scene = bordered(1.0)
    sigma = scene.sigma.clone()
    sigma[0] = 0
    far_only = MPI(scene.rgb, sigma, scene.disparity, scene.K)
    path = paths.line(frames=5, amount=1.5)
    assert covering_zoom(far_only, path, torch.ones(5)) < 1.01 < covering_zoom(scene, path, torch.ones(5))


def test_zoom_is_limited_and_follows_focal_lengths() -> None:
    scene, path = bordered(1.0), paths.line(frames=5, amount=6)
    assert covering_zoom(scene, path, torch.ones(5)) == MAX_ZOOM
    assert covering_zoom(scene, path, torch.full((5,), 3.0)) == 1, "a path that is already zoomed in stays inside"


@pytest.mark.parametrize("at", [1, 50, 98])
def test_zoom_covers_an_excursion_however_short(at: int) -> None:
    """One pose of a hundred is to the side: it needs what it needs alone."""
    poses = torch.eye(4).repeat(100, 1, 1)
    poses[at, 0, 3] = -0.1
    zoom = covering_zoom(bordered(1.0), poses, torch.ones(100))
    assert zoom == pytest.approx(covering_zoom(bordered(1.0), poses[at : at + 1], torch.ones(1)), abs=1e-6)
    assert zoom > 1.05


def test_no_streaks_at_the_borders() -> None:
    """The outermost columns are marked red: with the crop, a swing never shows more of them than the photo does."""
    scene = bordered(1.0)
    rgb = torch.zeros_like(scene.rgb)
    rgb[:, 0, :, :1] = rgb[:, 0, :, -1:] = 1
    scene = MPI(rgb, scene.sigma, scene.disparity, scene.K)
    path = paths.swing(frames=12, amount=2)

    def red(crop: bool) -> float:
        return float(torch.cat([view.rgb for view in render_path(scene, path, crop=crop)])[:, 0].sum(dim=(1, 2)).max())

    assert red(crop=False) > 200, "streaks without it"
    assert red(crop=True) <= 64 * 1.0875 * 1.05, "one column, zoomed in; a streak would be at least half a column more"


def test_no_crop_shows_more_than_the_photo_at_any_resolution_of_the_planes() -> None:
    """A wall at the near depth, its photo red along the border: the clip ends in it, and repeats none of it."""
    photo = torch.zeros(3, 64 * 4, 128 * 4)
    photo[0, :, 0] = photo[0, :, -1] = 1
    wall = bordered(1.0)
    scene = MPI(wall.rgb * 0, wall.sigma, wall.disparity, wall.K, photo)
    for view in render_path(scene, paths.swing(frames=8)):
        red = view.rgb[:, 0, 100]
        assert red.max() > 0.3, "so close to the border is the crop"
        assert (red[:, 1:-1] < 0.99).all() and (red.sum(dim=1) < 1.5).all()
