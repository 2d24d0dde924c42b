"""The photo's own detail in views: exact on its pixels, sharp between them, and free of aliases when shrunk."""

import math
from itertools import product

import pytest
import torch
from fine_detail import fine_detail
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from mine.output.framing import zoom_intrinsics
from mine.scene import detail as details
from mine.scene.camera import intrinsics
from mine.scene.detail import FINER, MARGIN, detail_size, photo_detail
from mine.scene.mpi import MPI
from mine.scene.resize import resize

PLANES = (32, 48)
INNER = (..., slice(8, -8), slice(8, -8))


# These tests are about the photo, not kernels; tests/render compares those.
pytestmark = pytest.mark.usefixtures("reference_renderer")


def wall(photo: Tensor) -> MPI:
    """The photo on an opaque wall."""
    rgb = resize(photo, PLANES).repeat(2, 1, 1, 1)
    return MPI(rgb, torch.full((2, 1, *PLANES), 1e5), torch.tensor([0.5, 0.005]), intrinsics(PLANES, 60), photo)


def stripes(size: tuple[int, int], period: float, phase: float = 0.0) -> Tensor:
    """A photo of vertical stripes, sinusoidal, `period` pixels apart, of contrast 0.5."""
    wave = 0.5 + 0.25 * torch.sin(2 * torch.pi * (torch.arange(size[1]) / period + phase))
    return wave.expand(3, *size).contiguous()


def moved(scene: MPI, shift: float, zoom: float = 1.0, size: tuple[int, int] | None = None) -> Tensor:
    """The source view (3, H, W), moved to the right by `shift` pixels and zoomed."""
    K = zoom_intrinsics(scene.intrinsics(size or scene.size), torch.tensor([zoom]))
    K[:, 0, 2] += shift
    return scene.render(torch.eye(4), K, size).rgb[0]


@pytest.mark.parametrize("size", [(64, 96), (70, 101), (32, 48), (128, 192)])
def test_the_source_view_is_the_photo(size: tuple[int, int]) -> None:
    photo = torch.rand(3, *size)
    torch.testing.assert_close(wall(photo).render(torch.eye(4)).rgb[0], photo, atol=3e-4, rtol=0)


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_colours_are_in_range_beside_the_sharpest_edges(shift: float, fine: bool) -> None:
    """Black and white squares of seven pixels, at whose edges cubic filters ring."""
    y, x = torch.meshgrid(torch.arange(64) // 7, torch.arange(96) // 7, indexing="ij")
    scene = wall(((x + y) % 2).float().expand(3, 64, 96).contiguous())
    K = scene.intrinsics(scene.size).clone()
    K[0, 2] += shift
    view = scene.render(torch.eye(4), K, fine=fine).rgb
    assert view.min() == 0 and view.max() == 1


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_between_pixels_a_view_holds_what_the_photo_does(shift: float) -> None:
    """Stripes 3 pixels apart: bilinear samples keep half their contrast midway between two pixels."""
    view = moved(wall(stripes((64, 96), 3.0)), shift)
    expected = stripes((64, 96), 3.0, -shift / 3)
    contrast = float(view[INNER].std() / expected[INNER].std())
    assert 0.75 < contrast < 1.1
    assert (view - expected)[INNER].abs().max() < 0.08


def test_a_slight_crop_keeps_three_quarters_of_the_fine_detail_at_every_phase() -> None:
    """Photos have less of the finest detail than noise: each pixel here is the mean of a few."""
    photo = resize(torch.rand(3, 640, 960, generator=torch.Generator().manual_seed(0)), (256, 384))
    scene, own = wall(photo), fine_detail(photo)
    assert fine_detail(moved(scene, 0.0, 1.034)) / own > 0.7, "bilinear samples keep 0.35"
    kept = [fine_detail(moved(scene, shift)) / own for shift in (0.0, 0.25, 0.5, 0.75)]
    assert min(kept) > 0.55 and max(kept) < 1.15, "it neither fades nor glitters as a camera moves"


@pytest.mark.parametrize("zoom", [1.0, 1.1])
def test_stripes_too_fine_for_a_view_vanish(zoom: float) -> None:
    """Five photo pixels a view pixel, stripes 5.6 photo pixels apart: samples would show them 50 pixels wide."""
    scene = wall(stripes((320, 480), 5.6))
    view = moved(scene, 0.0, zoom, size=(64, 96))
    assert view[INNER].std() < 0.02, "a tenth of their contrast; samples of the photo have all of it"
    wide = wall(stripes((320, 480), 40.0))
    assert moved(wide, 0.0, zoom, size=(64, 96))[INNER].std() > 0.15, "wider ones stay"


def test_a_small_view_has_no_more_detail_than_a_large_one_shrunk() -> None:
    photo = torch.rand(3, 320, 480, generator=torch.Generator().manual_seed(0))
    scene, small = wall(photo), (64, 96)
    view, shrunk = scene.render(torch.eye(4), size=small).rgb[0], avg_pool2d(moved(scene, 0.0), 5)
    assert 0.5 < fine_detail(view) / fine_detail(shrunk) < 1.1, "samples of the photo have 5 times as much"


@pytest.mark.parametrize(
    ("size", "zoom", "expected"),
    [
        ((640, 960), 1.0, (640, 960)),
        ((2000, 3000), 1.0, (640, 960)),
        ((600, 900), 1.0, (640, 960)),
        ((300, 450), 2.0, (640, 960)),
        ((291, 436), 1.0, (320, 480)),
        ((145, 218), 1.0, (160, 240)),
        ((8, 12), 1.0, (32, 48)),
    ],
)
def test_the_photo_is_shown_at_the_views_scale(size: tuple[int, int], zoom: float, expected: tuple[int, int]) -> None:
    assert detail_size((640, 960), PLANES, size, zoom) == expected


def test_views_of_almost_one_scale_share_their_detail() -> None:
    sizes = {detail_size((640, 960), PLANES, (300, 450), zoom) for zoom in (0.98, 1.0, 1.02)}
    assert len(sizes) <= 2
    for zoom in (1.0, 1.1, 1.3, 1.7):
        height, _ = detail_size((640, 960), PLANES, (300, 450), zoom)
        assert abs(height / (300 * zoom * MARGIN) - 1) < 0.05


def test_a_view_of_a_zoom_is_the_same_alone_and_among_others() -> None:
    """A dolly zoom is rendered a few frames at a time: where one batch ends must not show."""
    scene, size, zooms = wall(torch.rand(3, 320, 480)), (36, 54), torch.tensor([0.6, 1.0, 1.0, 1.5, 2.5, 1.5, 1.0])
    K = zoom_intrinsics(scene.intrinsics(size), zooms)
    T = torch.eye(4).repeat(len(K), 1, 1)
    T[:, 0, 3] = 0.01 * torch.arange(len(K))
    together = scene.render(T, K, size)
    for i in range(len(K)):
        for values, alone in zip(together, scene.render(T[i], K[i], size), strict=True):
            assert torch.equal(values[i : i + 1], alone)
    still = scene.render(torch.eye(4), K, size)
    assert len(still.rgb) == len(K) and torch.equal(still.rgb[0], together.rgb[0])


@pytest.mark.parametrize("focal", [1e-30, 1e-25, 1e25, 1e30])
def test_views_of_any_focal_length_are_rendered(focal: float) -> None:
    K = torch.tensor([[focal, 0, 24], [0, focal, 16], [0, 0, 1]])
    assert wall(torch.rand(3, 64, 96)).render(torch.eye(4), K, PLANES).rgb.isfinite().all()
    assert detail_size((640, 960), PLANES, PLANES, math.inf) == (640, 960)


def test_large_photos_have_one_pixel_of_detail_for_each_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = torch.rand(3, 64, 96)
    assert photo_detail(photo, PLANES, (64, 96)).shape == (3, 64 * FINER, 96 * FINER)
    monkeypatch.setattr(details, "MAX_PIXELS", 64 * 96)
    assert photo_detail(photo, PLANES, (64, 96)).shape == (3, 64, 96)
    torch.testing.assert_close(wall(photo).render(torch.eye(4)).rgb[0], photo, atol=3e-4, rtol=0)


@pytest.mark.parametrize(
    ("mode", "size"),
    [*product(["bilinear", "bicubic"], [(64, 96), (37, 50), (20, 31)]), ("area", (16, 24)), ("area", (8, 24))],
)
def test_both_libraries_sample_alike(mode: str, size: tuple[int, int]) -> None:
    image = torch.rand(3, 32, 48)
    expected = interpolate(image[None], size, mode=mode)[0]
    torch.testing.assert_close(details.sample(image, size, mode), expected, atol=1e-5, rtol=0)
