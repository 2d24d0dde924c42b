"""The readable renderer against geometry and volume rendering worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_views import planes_of_noise, random_cameras
from torch import Tensor

from mine.render import View, reference, render
from mine.render.published import published_render
from mine.scene.camera import intrinsics, pose
from mine.scene.mpi import MPI
from mine.scene.resize import resize

SIZE = (12, 16)
OPAQUE = 1e4
"""Density at which an interval of any length used here lets nothing through."""


def camera(size: tuple[int, int] = SIZE, fov: float = 80.0) -> Tensor:
    """(1, 3, 3) in double precision."""
    return intrinsics(size, fov).double()[None]


def translation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Tensor:
    """Pose (1, 4, 4) of a camera turned nowhere."""
    return pose(translation=torch.tensor([x, y, z], dtype=torch.double))[None]


def rotated(x: float, y: float, z: float) -> Tensor:
    """Rotation (3, 3) about the axis (x, y, z) by its length in radians."""
    return torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.double))


def planes_of(rgb: Tensor, *sigma: float) -> Tensor:
    """Planes (1, S, 4, H, W) with colours (S, 3, H, W) and one density each."""
    density = torch.tensor(sigma, dtype=torch.double)[:, None, None, None].expand(-1, 1, *rgb.shape[-2:])
    return torch.cat([rgb, density], dim=1)[None]


def random_colours(planes: int, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.rand(planes, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.double)


def at_depths(*depths: float) -> Tensor:
    """Disparity (1, S)."""
    return 1 / torch.tensor([depths], dtype=torch.double)


def view(planes: Tensor, disparity: Tensor, T: Tensor, K_tgt: Tensor | None = None) -> View:
    """Seen through the source camera's intrinsics unless others are given."""
    return render(planes, disparity, camera(), camera() if K_tgt is None else K_tgt, T, SIZE, backend="reference")


def ray_meets_plane(K_tgt: Tensor, T: Tensor, depth: float) -> tuple[Tensor, Tensor]:
    """Where each target pixel sees the plane z_src = depth: source pixel (H, W, 2) and target depth (H, W).

    Written with the target camera's centre and ray directions in source coordinates, not with a homography.
    """
    v, u = torch.meshgrid(*(torch.arange(n, dtype=torch.double) for n in SIZE), indexing="ij")
    K, R, t = K_tgt[0], T[0, :3, :3], T[0, :3, 3]
    ray = torch.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], torch.ones_like(u)], dim=-1)
    centre, direction = -(R.mT @ t), ray @ R
    along = (depth - centre[2]) / direction[..., 2]
    point = centre + along[..., None] * direction
    source = camera()[0]
    pixel = point[..., :2] / depth * source.diagonal()[:2] + source[:2, 2]
    return pixel, along


def affine_image(pixel: Tensor) -> Tensor:
    """An image (3, H, W) linear in its pixel coordinates (H, W, 2): bilinear sampling of it is exact."""
    u, v = pixel.unbind(-1)
    return torch.stack([0.1 + 0.05 * u, 0.9 - 0.06 * v, 0.2 + 0.01 * u + 0.03 * v])


@pytest.mark.parametrize("opaque", [0, 1])
@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.05, -0.1, 0.2), (-0.1, 0.15, -0.4)])
def test_opaque_plane_is_seen_through_a_homography(opaque: int, turn: tuple[float, float, float]) -> None:
    grid = reference.pixel_grid(SIZE, camera())[:2].movedim(0, -1)
    depths = (2.0, 5.0)
    planes = planes_of(torch.zeros(2, 3, *SIZE, dtype=torch.double), *(OPAQUE * (k == opaque) for k in range(2)))
    planes[0, opaque, :3] = affine_image(grid)
    T = pose(rotated(*turn), torch.tensor([0.3, -0.2, 0.4], dtype=torch.double))[None]
    K_tgt = camera(fov=60.0)
    actual = view(planes, at_depths(*depths), T, K_tgt)

    pixel, depth = ray_meets_plane(K_tgt, T, depths[opaque])
    last = torch.tensor([SIZE[1] - 1, SIZE[0] - 1], dtype=torch.double)
    inside = ((pixel >= 0) & (pixel <= last)).all(-1)
    assert inside.double().mean() > 0.5
    # Outside the frame the border continues.
    clamped = torch.minimum(pixel.clamp(min=0), last)
    torch.testing.assert_close(actual.rgb[0], affine_image(clamped), atol=3e-6, rtol=0)
    torch.testing.assert_close(actual.depth[0, 0][inside], depth[inside], rtol=3e-5, atol=0)


def test_border_continues_outside_the_frame() -> None:
    colours = random_colours(2)
    seen = view(planes_of(colours, OPAQUE, 0), at_depths(1, 2), translation(x=100.0))
    expected = colours[0, :, :, :1].expand(3, *SIZE)
    torch.testing.assert_close(seen.rgb[0], expected, atol=3e-6, rtol=0)
    assert (seen.mask == 0).all()


def test_identity_pose_returns_the_composited_source() -> None:
    planes = planes_of(random_colours(4), 0.3, 1.0, 0.1, 2.0)
    disparity = at_depths(1, 1.5, 3, 8)
    expected = reference.render_source(planes, disparity, camera())
    for actual, value in zip(view(planes, disparity, translation()), expected, strict=True):
        torch.testing.assert_close(actual, value, atol=1e-9, rtol=0)


def test_volume_rendering_of_one_ray_by_hand() -> None:
    depths, sigma = (1.0, 1.5, 3.0), (0.4, 0.7, 0.002)
    colours = random_colours(3)
    K = camera()
    seen = view(planes_of(colours, *sigma), at_depths(*depths), translation())
    row, column = 3, 13
    ray = math.hypot((column - K[0, 0, 2].item()) / K[0, 0, 0].item(), (row - K[0, 1, 2].item()) / K[0, 1, 1].item(), 1)
    passes, rgb, depth, opacity = 1.0, torch.zeros(3, dtype=torch.double), 0.0, 0.0
    for k, interval in enumerate((0.5 * ray, 1.5 * ray, 1e3)):
        through = math.exp(-sigma[k] * interval)
        weight = passes * (1 - through)
        rgb += weight * colours[k, :, row, column]
        depth += weight * depths[k]
        opacity += weight
        passes *= through + 1e-6
    torch.testing.assert_close(seen.rgb[0, :, row, column], rgb)
    assert seen.depth[0, 0, row, column].item() == pytest.approx(depth / (opacity + 1e-5))


@pytest.mark.parametrize("shift", [-4, -1, 3])
@pytest.mark.parametrize("depth", [1.0, 4.0])
def test_sideways_move_shifts_a_plane_by_focal_length_times_move_over_depth(shift: int, depth: float) -> None:
    colours = random_colours(2)
    focal = camera()[0, 0, 0].item()
    seen = view(planes_of(colours, OPAQUE, 0), at_depths(depth, 10), translation(x=shift * depth / focal))
    expected = colours[0].roll(shift, dims=-1)
    kept = slice(max(shift, 0), SIZE[1] + min(shift, 0))
    torch.testing.assert_close(seen.rgb[0][..., kept], expected[..., kept], atol=3e-6, rtol=0)
    torch.testing.assert_close(seen.depth, torch.full_like(seen.depth, depth), rtol=2e-5, atol=0)


@pytest.mark.parametrize("density", [50.0, 1e6, 1e30])
def test_density_towards_infinity_shows_the_nearest_plane_alone(density: float) -> None:
    colours = random_colours(3)
    seen = view(planes_of(colours, density, 1.0, 1.0), at_depths(1.25, 2, 3), translation())
    torch.testing.assert_close(seen.rgb[0], colours[0], atol=3e-6, rtol=0)
    torch.testing.assert_close(seen.depth, torch.full_like(seen.depth, 1.25), rtol=2e-5, atol=0)


def test_one_plane_is_a_scene_to_the_renderer() -> None:
    rgb = random_colours(1)
    planes, disparity = planes_of(rgb, 0.02), at_depths(2.0)
    opacity = 1 - math.exp(-0.02 * reference.LAST_INTERVAL)
    for seen in (view(planes, disparity, translation()), reference.render_source(planes, disparity, camera())):
        torch.testing.assert_close(seen.rgb[0], opacity * rgb[0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(seen.depth, torch.full_like(seen.depth, 2.0), rtol=1e-4, atol=0)
    compiled = render(planes, disparity, camera(), camera(), translation(), SIZE, backend="cpu")
    torch.testing.assert_close(compiled.rgb[0].double(), opacity * rgb[0], rtol=1e-4, atol=1e-4)


def test_empty_scene_is_black_and_has_no_depth() -> None:
    seen = view(planes_of(random_colours(3), 0, 0, 0), at_depths(1, 2, 3), translation(0.1, 0.2, 0.3))
    assert (seen.rgb == 0).all()
    assert (seen.depth == 0).all()


def test_planes_behind_the_camera_vanish() -> None:
    """Two units forward, past the two nearest planes: their sum is as if they were empty."""
    colours = random_colours(4)
    forward, disparity = translation(z=-2), at_depths(1, 1.9, 4, 6)
    seen = view(planes_of(colours, OPAQUE, 5.0, 0.3, 1.0), disparity, forward)
    expected = view(planes_of(colours, 0, 0, 0.3, 1.0), disparity, forward)
    torch.testing.assert_close(seen.rgb, expected.rgb, atol=1e-12, rtol=0)
    torch.testing.assert_close(seen.depth, expected.depth, atol=1e-12, rtol=0)
    assert seen.rgb.amax() > 0.1
    # What remains is seen as near as it now is.
    assert seen.depth.amin() >= 2 and seen.depth.amax() <= 4


@pytest.mark.parametrize("pixels", [0.0, 2.5, -2.5, 3.0, -3.0, 40.0])
def test_mask_counts_the_planes_that_cover_a_pixel(pixels: float) -> None:
    """Moving sideways shifts planes at depths 1, 2, 4 by the whole, a half, a quarter; one pixel beyond counts."""
    focal = camera()[0, 0, 0].item()
    seen = view(planes_of(random_colours(3), 1, 1, 1), at_depths(1, 2, 4), translation(x=pixels / focal))
    # An exact -1 or W is on the edge, where rounding decides.
    edge = 1e-6
    for column in range(SIZE[1]):
        sources = [column - pixels / depth for depth in (1, 2, 4)]
        least, most = (sum(-1 + e < x < SIZE[1] - e for x in sources) for e in (edge, -edge))
        counts = seen.mask[0, 0, :, column]
        assert least <= counts.min() and counts.max() <= most


def test_transmittance_is_the_product_of_what_each_plane_lets_through() -> None:
    depth = torch.tensor([0.5, 1.0, 3.0, 0.2], dtype=torch.double)[None, :, None, None]
    factors = torch.exp(-depth) + 1e-6
    expected = torch.stack([factors[0, :k].prod() for k in range(4)])
    torch.testing.assert_close(reference.transmittance(depth)[0, :, 0, 0], expected)


def test_blended_source_view_is_the_photo_where_one_surface_hides_the_rest() -> None:
    """A surface at another depth in every pixel: what it hides keeps the network's colours."""
    generator = torch.Generator().manual_seed(1)
    surface = torch.randint(4, SIZE, generator=generator)
    planes = planes_of(random_colours(4), 0, 0, 0, 0)
    planes[0, :, 3] = OPAQUE * (torch.arange(4)[:, None, None] >= surface)
    disparity = at_depths(1, 2, 3, 4)
    photo = torch.rand(1, 3, *SIZE, generator=generator, dtype=torch.double)
    blended = reference.blend_source(planes, disparity, camera(), photo)
    seen = reference.render_source(blended, disparity, camera())
    torch.testing.assert_close(seen.rgb, photo, atol=1e-5, rtol=0)
    hidden = (torch.arange(4)[:, None, None] > surface)[None, :, None].expand(1, 4, 3, *SIZE)
    torch.testing.assert_close(blended[:, :, :3][hidden], planes[:, :, :3][hidden], atol=1e-5, rtol=0)
    assert torch.equal(blended[:, :, 3], planes[:, :, 3])


def test_view_from_the_source_camera_is_as_sharp_as_the_photo() -> None:
    photo = random_colours(1, (3 * SIZE[0], 2 * SIZE[1]))[0].float()
    rgb = resize(photo, SIZE).expand(2, -1, -1, -1)
    sigma = torch.tensor([OPAQUE, 0.0])[:, None, None, None].expand(2, 1, *SIZE)
    scene = MPI(rgb, sigma, torch.tensor([1.0, 0.5]), camera()[0].float(), photo)
    seen = scene.render(torch.eye(4), backend="reference")
    assert seen.rgb.shape == (1, *photo.shape)
    torch.testing.assert_close(seen.rgb[0], photo, atol=2e-4, rtol=0)
    # Without the photo's detail the view could not be that sharp.
    plain = MPI(rgb, sigma, scene.disparity, scene.K).render(torch.eye(4), size=scene.size, backend="reference")
    assert (plain.rgb[0] - photo).abs().mean() > 0.1


def test_detail_is_added_only_as_far_as_the_source_saw_the_plane() -> None:
    """Behind an opaque plane nothing of the photo is known: seen from beside it, the plane has its own colours."""
    planes = planes_of(torch.full((2, 3, *SIZE), 0.5, dtype=torch.double), OPAQUE, OPAQUE)
    planes[0, 0, 3, :, SIZE[1] // 2 :] = 0  # the near plane covers the left half
    detail = torch.full((1, 3, *SIZE), 0.25, dtype=torch.double)
    shift = 4
    T = translation(x=-shift / camera()[0, 0, 0].item())  # the near plane (depth 1) moves left by `shift`
    arguments = (planes, at_depths(1, 1000), camera(), camera(), T, SIZE)
    seen = render(*arguments, detail=detail, backend="reference").rgb[0]
    near, uncovered, far = slice(0, 3), slice(5, 7), slice(9, 16)
    for columns, colour in ((near, 0.75), (uncovered, 0.5), (far, 0.75)):
        torch.testing.assert_close(seen[..., columns], torch.full_like(seen[..., columns], colour), atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(6))
def test_the_published_form_renders_the_same(seed: int) -> None:
    """From cameras that see planes edge on and from behind too; coverage may differ where a sample lies at the edge."""
    torch.manual_seed(seed)
    scenes = [planes_of_noise(2, 5, 3.0, (9, 14)), torch.linspace(1, 0.1, 5).expand(2, 5)]
    scenes += random_cameras(2, (0.05, 0.5, 3.0)[seed % 3], (0.1, 0.5)[seed % 2], ((9, 14), SIZE))
    arguments = [x.double() for x in scenes]
    actual, expected = published_render(*arguments, SIZE), reference.render(*arguments, SIZE)
    torch.testing.assert_close(actual.rgb, expected.rgb, atol=1e-4, rtol=0)
    torch.testing.assert_close(actual.depth, expected.depth, atol=1e-4, rtol=1e-4)
    assert (actual.mask != expected.mask).double().mean() < 1e-2


@pytest.mark.parametrize("detailed", [False, True])
def test_gradients_of_planes(detailed: bool) -> None:
    torch.manual_seed(0)
    size = (2, 3)
    planes = (torch.rand(1, 3, 4, *size, dtype=torch.double) * 0.8 + 0.1).requires_grad_()
    detail = torch.rand(1, 3, 5, 6, dtype=torch.double) if detailed else None
    T = pose(rotated(0.05, -0.1, 0.2), torch.tensor([0.1, -0.1, 0.2], dtype=torch.double))[None]

    def rendered(values: Tensor) -> tuple[Tensor, Tensor]:
        seen = render(values, at_depths(1, 2, 4), camera(size), camera(size), T, size, detail)
        return seen.rgb, seen.depth

    assert torch.autograd.gradcheck(rendered, (planes,))


def test_one_scene_broadcasts_over_poses_and_many_scenes_over_one() -> None:
    planes = torch.cat([planes_of(random_colours(2).roll(k, 0), 0.5 + k, 1.0) for k in range(3)])
    disparity = at_depths(1, 3)
    poses = torch.cat([translation(0.1 * k, 0, -0.2 * k) for k in range(3)])
    for scenes, cameras in ((planes[:1], poses), (planes, poses[:1]), (planes, poses)):
        together = view(scenes, disparity, cameras)
        for i in range(3):
            alone = view(scenes[i % len(scenes)][None], disparity, cameras[i % len(cameras)][None])
            for actual, expected in zip(together, alone, strict=True):
                torch.testing.assert_close(actual[i], expected[0], atol=1e-12, rtol=0)


def test_target_intrinsics_broadcast_too() -> None:
    planes, disparity = planes_of(random_colours(2), 0.5, 1.0), at_depths(1, 3)
    zooms = torch.cat([camera(fov=80), camera(fov=40)])
    together = view(planes, disparity, translation(), zooms)
    assert together.rgb.shape == (2, 3, *SIZE)
    torch.testing.assert_close(together.rgb[1], view(planes, disparity, translation(), zooms[1:]).rgb[0])


small = st.floats(-0.4, 0.4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    turn=st.tuples(small, small, small),
    move=st.tuples(small, small, st.floats(-3, 3)),
    density=st.floats(-4, 4),
    seed=st.integers(0, 2**16),
)
def test_any_motion_leaves_colours_and_depths_in_range(
    turn: tuple[float, float, float], move: tuple[float, float, float], density: float, seed: int
) -> None:
    planes = torch.rand(1, 4, 4, *SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    planes[:, :, 3] *= 10**density
    T = pose(rotated(*turn), torch.tensor(move, dtype=torch.double))[None]
    seen = view(planes, at_depths(0.5, 1, 2, 4), T)
    assert torch.isfinite(seen.rgb).all() and torch.isfinite(seen.depth).all()
    assert seen.rgb.min() >= 0 and seen.rgb.max() <= 1 + 1e-5
    assert seen.depth.min() >= 0
    assert seen.mask.min() >= 0 and seen.mask.max() <= 4


@settings(max_examples=20, deadline=None, derandomize=True)
@given(turn=st.tuples(small, small, small), move=st.tuples(small, small, small), seed=st.integers(0, 2**16))
def test_depth_and_colour_do_not_depend_on_the_unit_of_length(
    turn: tuple[float, float, float], move: tuple[float, float, float], seed: int
) -> None:
    """Lengths doubled and densities halved: the same picture, depths doubled (the last plane is opaque either way)."""
    planes = torch.rand(1, 3, 4, *SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.double) + 0.1
    R, t = rotated(*turn), torch.tensor(move, dtype=torch.double)
    doubled = planes.clone()
    doubled[:, :, 3] /= 2
    seen = view(planes, at_depths(1, 2, 4), pose(R, t)[None])
    expected = view(doubled, at_depths(2, 4, 8), pose(R, 2 * t)[None])
    torch.testing.assert_close(seen.rgb, expected.rgb, atol=1e-9, rtol=0)
    torch.testing.assert_close(2 * seen.depth, expected.depth, rtol=1e-6, atol=1e-9)
