"""Depth of field: what is in focus stays as it is, and how wide the rest is blurred."""

import math
from pathlib import Path

import av
import pytest
import torch

from mine import paths
from mine.errors import InputError
from mine.output.camera_path import CameraPath
from mine.output.lens import MAX_RADIUS, PIXELS_PER_SAMPLE, disc_points, make_lens
from mine.output.lens_options import parse_focus
from mine.output.video import render_path, render_video
from mine.scene.mpi import MPI

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about the lens, not kernels


def two_walls(dot: int = 1) -> MPI:
    """The left half at depth 1, the right half at depth 2, each dark with a bright dot, `dot` pixels to each side."""
    sigma = torch.zeros(2, 1, 64, 128)
    sigma[0, :, :, :64] = 1e5
    sigma[1] = 1e5
    rgb = torch.zeros(2, 3, 64, 128)
    rows = slice(32 - dot, 33 + dot)
    rgb[0, :, rows, rows] = 1
    rgb[1, :, rows, 96 - dot : 97 + dot] = 1
    return MPI(rgb, sigma, torch.tensor([1.0, 0.5]), torch.tensor([[100.0, 0, 64], [0, 100, 32], [0, 0, 1]]))


def spread(image: torch.Tensor) -> float:
    """Root mean square distance of the light in an image (3, H, W) from its middle, in pixels."""
    light = image[0].double() ** 2.2
    y, x = torch.meshgrid(torch.arange(light.shape[0]), torch.arange(light.shape[1]), indexing="ij")
    total = light.sum()
    cx, cy = (light * x).sum() / total, (light * y).sum() / total
    return float(((light * ((x - cx) ** 2 + (y - cy) ** 2)).sum() / total).sqrt())


def render(focus: tuple[float, float], aperture: float, frames: int = 1, dot: int = 1) -> torch.Tensor:
    """Pictures (N, 3, H, W) of a camera that stands still."""
    scene = two_walls(dot)
    path = CameraPath.of(torch.eye(4).repeat(frames, 1, 1))
    views = render_path(scene, path, (64, 128), crop=False, lens=make_lens(scene, aperture, focus, frames))
    return torch.cat([view.rgb for view in views])


def test_what_is_in_focus_is_sharp_and_the_rest_is_a_disc() -> None:
    sharp = spread(render((0, 0), 1e-6)[0, :, :, :60])
    near, far = (render((place, place), 6.0)[0] for place in (0.0, 1.0))
    assert spread(near[:, :, :60]) == pytest.approx(sharp, abs=0.1)
    assert spread(far[:, :, 70:]) == pytest.approx(sharp, abs=0.1)
    # A disc of diameter d has a root mean square radius of d / sqrt(8): 6% of 128 pixels between the nearest and the
    # farthest; both dots are blurred alike.
    disc = 0.06 * 128 / 8**0.5
    for blurred in (near[:, :, 70:], far[:, :, :60]):
        assert spread(blurred) == pytest.approx((sharp**2 + disc**2) ** 0.5, rel=0.1)


def test_large_pictures_are_those_of_all_views_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their blur is rendered smaller; what is in focus keeps the detail of the full size."""
    scene, size = two_walls(dot=3), (256, 512)
    path = CameraPath.of(torch.eye(4)[None])
    lens = make_lens(scene, 3.0, (0, 0), 1)
    (fast,) = render_path(scene, path, size, crop=False, lens=lens)
    monkeypatch.setattr("mine.output.lens.BLUR_MAGNIFICATION", 100)
    (exact,) = render_path(scene, path, size, crop=False, lens=lens)
    (plain,) = render_path(scene, path, size, crop=False)
    error = (fast.rgb - exact.rgb).abs()
    assert error.max() < 0.1 and error.square().mean().sqrt() < 0.01
    assert (fast.rgb - plain.rgb)[..., :200].abs().max() < 0.02, "in focus"


def test_light_is_kept() -> None:
    """But for what bilinear samples take from the dot's sides."""
    sharp, blurred = (render((0, 0), aperture, dot=7)[0] for aperture in (1e-6, 6.0))
    assert (blurred[0, :, 70:] ** 2.2).sum() == pytest.approx(float((sharp[0, :, 70:] ** 2.2).sum()), rel=0.1)


def test_focus_is_pulled_from_rest_to_rest() -> None:
    frames = render((0, 1), 6.0, frames=5)
    near = [spread(frame[:, :, :60]) for frame in frames]
    assert near == sorted(near)
    assert near[1] - near[0] < near[2] - near[1]


def test_lens_follows_a_camera_that_moves_forward() -> None:
    scene = two_walls()
    path = CameraPath.of(torch.eye(4).repeat(2, 1, 1))
    path.poses[1, 2, 3] = -0.4
    lens = make_lens(scene, 6.0, (0, 0), 2)
    first, second = (view.rgb[0] for view in render_path(scene, path, (64, 128), crop=False, lens=lens))
    assert spread(second[:, :, :64]) == pytest.approx(spread(first[:, :, :64]) / 0.6, rel=0.2), "larger, and sharp"


def test_apertures_are_bounded_and_filled_evenly() -> None:
    assert make_lens(two_walls(), 10.0, (0, 0), 1).radius <= MAX_RADIUS * 1.01
    points = disc_points(1000)
    assert len(points) == 72 and points.norm(dim=1).max() <= 1.01
    assert points.square().sum(1).mean() == pytest.approx(0.5, abs=0.02)
    assert points.mean(0).abs().max() < 1e-6


@pytest.mark.parametrize("zoomed", [1.0, 3.0])
@pytest.mark.parametrize("focus", [(0, 0), (1, 1), (0, 1)])
def test_as_many_cameras_as_the_largest_disc_needs(
    monkeypatch: pytest.MonkeyPatch, focus: tuple[float, float], zoomed: float
) -> None:
    """The nearest things are blurred by as much when the farthest are in focus as the other way round."""
    counts: list[int] = []
    monkeypatch.setattr("mine.output.lens.disc_points", lambda count: counts.append(count) or disc_points(24))
    scene, aperture = two_walls(), 6.0
    path = CameraPath(torch.eye(4).repeat(2, 1, 1), torch.tensor([1.0, zoomed]))
    next(render_path(scene, path, (64, 128), crop=False, lens=make_lens(scene, aperture, focus, 2)))
    diameter = aperture / 100 * 128 * zoomed
    assert counts == [pytest.approx(math.pi / 4 * diameter**2 / PIXELS_PER_SAMPLE, abs=1)]


def test_videos_have_depth_of_field(tmp_path: Path) -> None:
    scene = two_walls()
    lens = make_lens(scene, 3.0, (0, 1), 3)
    render_video(scene, paths.swing(frames=3), tmp_path / "a.mp4", depth=tmp_path / "b.mp4", lens=lens)
    for name in ("a.mp4", "b.mp4"):
        with av.open(str(tmp_path / name)) as video:
            assert sum(1 for _ in video.decode(video=0)) == 3


def test_a_lens_for_another_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="for 2 poses, the path has 3"):
        render_video(
            two_walls(), paths.swing(frames=3), tmp_path / "a.mp4", lens=make_lens(two_walls(), 3.0, (0, 1), 2)
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "nearby", "near:far:near", "1.5", "-0.1:near", "nan", ":"])
def test_places_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="give near, middle, far"):
        parse_focus(text)


def test_places_are_named_or_numbers() -> None:
    assert parse_focus("near") == (0, 0) and parse_focus("Near:0.25") == (0, 0.25)
