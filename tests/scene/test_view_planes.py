"""Planes of a view's own resolution: silhouettes where the photo has them, and what stays as it was."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from fine_detail import fine_detail
from hypothesis import given, settings
from hypothesis import strategies as st

from mine.errors import InputError
from mine.evaluation.silhouettes import SHAPES, disparity_of_photo, edge_errors, generate_photo
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.output.camera_paths import swing
from mine.output.framing import zoom_intrinsics
from mine.scene.camera import intrinsics, off_axis_shift, shift_principal_point
from mine.scene.mpi import MPI
from mine.scene.plane_surfaces import known_surfaces
from mine.scene.resize import resize
from mine.scene.silhouettes import _unmix, find_layers
from mine.scene.view_planes import (
    MOST_PIXELS,
    USUAL_PLANES,
    fine_size,
    fit_planes,
    snap_silhouettes,
    subdivide,
)

SIZE, PLANES = (640, 960), (128, 192)


def scene(known: bool) -> MPI:
    """The generated photo with its exact disparity at a fifth of its resolution, which is `known` or forgotten."""
    photo, surface = generate_photo(SIZE), disparity_of_photo(SIZE, PLANES)
    disparity = plane_disparities(surface[None], 32)
    planes = lift_to_mpi(resize(photo, PLANES)[None], surface[None], disparity[None])[0]
    K = intrinsics(PLANES, 65.0, aspect=1.5)
    return MPI.from_planes(planes, disparity, K, photo, surface if known else None)


@pytest.mark.parametrize("known", [True, False])
def test_silhouettes_are_drawn_where_they_are_without_stairs_or_fringes(known: bool) -> None:
    lifted = scene(known)
    poses, K = swing(4, depth=1.0)[[1, 3]], lifted.intrinsics(SIZE)
    targets = shift_principal_point(K.expand(2, 3, 3), off_axis_shift(poses))
    views = lifted.render(poses, targets, SIZE)
    for shape in SHAPES:
        for rgb, K_tgt, T in zip(views.rgb, targets, poses.as_subclass(torch.Tensor), strict=True):
            errors = edge_errors(shape, rgb, K, K_tgt, T, SIZE)
            assert errors.rms < 0.7
            assert errors.step < 1.5
            assert errors.fringe < 0.05


@pytest.mark.parametrize("size", [(172, 258), (256, 384)])
def test_silhouettes_are_drawn_where_they_are_in_views_little_larger_than_the_planes(size: tuple[int, int]) -> None:
    photo, surface = generate_photo(size), disparity_of_photo(size, PLANES)
    disparity = plane_disparities(surface[None], 32)
    planes = lift_to_mpi(resize(photo, PLANES)[None], surface[None], disparity[None])[0]
    lifted = MPI.from_planes(planes, disparity, intrinsics(PLANES, 65.0, aspect=1.5), photo, surface)
    poses, K = swing(4, depth=1.0)[[1, 3]], lifted.intrinsics(size)
    targets = shift_principal_point(K.expand(2, 3, 3), off_axis_shift(poses))
    views = lifted.render(poses, targets, size)
    for shape in SHAPES:
        for rgb, K_tgt, T in zip(views.rgb, targets, poses.as_subclass(torch.Tensor), strict=True):
            errors = edge_errors(shape, rgb, K, K_tgt, T, size)
            assert errors.rms < 0.35
            assert errors.step < 0.9
            assert errors.fringe < 0.05


@pytest.mark.parametrize(("size", "planes"), [((640, 960), (128, 192)), ((426, 640), (256, 384))])
def test_the_outline_of_what_leans_has_no_stairs(size: tuple[int, int], planes: tuple[int, int]) -> None:
    """A post that leans towards the camera, from the side: a straight line, however many planes it crosses."""
    left, right = round(0.4 * planes[1]), round(0.6 * planes[1])
    surface, photo = torch.full((1, *planes), 0.1), torch.full((3, *size), 0.2)
    surface[..., left:right] = torch.linspace(0.5, 1, planes[0])[:, None]
    photo[..., left * size[1] // planes[1] : right * size[1] // planes[1]] = 0.8
    disparity = torch.linspace(1, 0.1, 32)
    lifted = lift_to_mpi(resize(photo, planes)[None], surface[None], disparity[None])[0]
    post = MPI.from_planes(lifted, disparity, intrinsics(planes, 65.0, aspect=1.5), photo, surface)
    poses, K = swing(4, depth=1.0)[[1, 3]], post.intrinsics(size)
    targets = shift_principal_point(K.expand(2, 3, 3), off_axis_shift(poses))
    views = post.render(poses, targets, size).rgb[:, 0]
    middle = round((left + right) / 2 * size[1] / planes[1])
    widths = ((views - 0.2) / 0.6).clamp(0, 1)[:, size[0] // 8 : -size[0] // 8]
    for view in widths:  # the post's half to the left of a column is bounded by its left outline
        outline = view[:, middle - size[1] // 4 : middle].sum(1)
        row = torch.arange(len(outline)) - (len(outline) - 1) / 2
        line = outline.mean() + row * (row * outline).sum() / row.square().sum()
        assert (outline - line).std() < 0.23


@pytest.mark.parametrize("ratio", [1.15, 1.3, 2.0])
def test_no_gap_opens_between_the_visible_background_and_what_is_inpainted(ratio: float) -> None:
    """The last plane lies far behind both: seen through a gap, it would show as a depth of its own."""
    surface = torch.tensor([0.48, 0.52]).repeat(PLANES[1] // 2).expand(1, *PLANES).clone()
    surface[..., 70:110] = 0.5 * ratio
    surface[..., :4] = 0.05
    photo = torch.full((3, *SIZE), 0.7)
    photo[..., 350:550] = 0.2
    disparity = torch.linspace(float(surface.max()), 0.05, 32)
    planes = lift_to_mpi(resize(photo, PLANES)[None], surface[None], disparity[None])[0]
    lifted = MPI.from_planes(planes, disparity, intrinsics(PLANES, 65.0, aspect=1.5), photo, surface)
    for pose in swing(4, depth=2 / ratio)[[1, 3]].as_subclass(torch.Tensor):
        view = lifted.render(pose)
        inner = (..., slice(100, -100), slice(150, -150))
        assert (1 / view.depth[inner]).min() > 0.45
        blend = ((view.rgb[inner] - 0.2) / 0.5).flatten()
        assert ((blend < -0.02) | (blend > 1.02)).sum() == 0, "no colour but those of both sides and their mixtures"


def test_the_ground_does_not_show_through_the_relief_of_an_object_far_in_front_of_it() -> None:
    """A bright textured wall, whose map bends along its outline as networks' do, before a dark ground."""
    surface = torch.full((1, *PLANES), 0.05)
    surface[..., 60:130] = 0.82
    surface[..., 120:130] = torch.tensor([0.82, 0.84, 0.92, 0.95, 0.97, 0.99, 1, 1, 1, 1])
    photo = torch.full((3, *SIZE), 0.1)
    photo[..., 300:650] = 0.7 + 0.2 * torch.rand(3, SIZE[0], 350, generator=torch.Generator().manual_seed(0))
    disparity = torch.linspace(1, 0.05, 32)
    planes = lift_to_mpi(resize(photo, PLANES)[None], surface[None], disparity[None])[0]
    lifted = MPI.from_planes(planes, disparity, intrinsics(PLANES, 65.0, aspect=1.5), photo, surface)
    for pose in swing(4, depth=1.0)[[1, 3]].as_subclass(torch.Tensor):
        wall = (lifted.render(pose).rgb[0].mean(0) > 0.4)[100:-100]
        outlines = (wall[:, 1:] != wall[:, :-1]).sum(1)
        assert (outlines == 2).float().mean() > 0.99, "rows in which the wall is one piece, and alone"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(step=st.floats(1.12, 1.9), seed=st.integers(0, 1000))
def test_no_crack_shows_what_lies_farther_than_the_lower_side_of_a_step(step: float, seed: int) -> None:
    """A wall with a step and random patches before the sky: steps that would show the sky are slopes."""
    surface = torch.full((1, *PLANES), 0.4)
    surface[..., 90:] = 0.4 / step
    patches = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(seed)) < 0.2
    surface = torch.where(F.interpolate(patches.float(), PLANES)[0] > 0, 0.4 / step**0.5, surface)
    surface[:, :40] = 0.02
    layers = find_layers(known_surfaces(surface), generate_photo(PLANES))
    near, behind = layers.disparity[0, 1:-1, 1:-1], layers.background_disparity[0, 1:-1, 1:-1]
    for dy, dx in ((0, 1), (1, 0), (1, 2), (2, 1)):
        beside = layers.disparity[0, dy : dy + PLANES[0] - 2, dx : dx + PLANES[1] - 2]
        crack = (near > 1.1001 * beside) & (near < 2 * beside) & (1.1001 * behind < beside)
        assert not crack.any()


def test_the_source_camera_sees_the_photo_and_its_depth() -> None:
    lifted = scene(known=True)
    view = lifted.render(torch.eye(4))
    error = (view.rgb[0] - lifted.photo).abs().amax(0)
    assert error.max() < 0.2  # of a contrast of 0.75, in pixels that mix both sides
    assert (error > 0.01).float().mean() < 0.01
    depth = 1 / disparity_of_photo(SIZE, SIZE)
    assert ((view.depth[0] / depth - 1).abs() > 0.02).float().mean() < 0.01
    assert view.mask.max() == 32


def test_a_slanted_surface_keeps_the_photos_fine_detail() -> None:
    """Most of its pixels are shown by two planes: the photo is sharp on both, whatever the first one hides."""
    photo = resize(torch.rand(3, 1067, 1600, generator=torch.Generator().manual_seed(0)), SIZE)
    surface = torch.linspace(0.6, 0.9, PLANES[1]).expand(1, *PLANES).contiguous()
    disparity = plane_disparities(surface[None], 32)
    planes = lift_to_mpi(resize(photo, PLANES)[None], surface[None], disparity[None])[0]
    slanted = MPI.from_planes(planes, disparity, intrinsics(PLANES, 65.0, aspect=1.5), photo, surface)
    K = zoom_intrinsics(slanted.intrinsics(SIZE), torch.tensor([1.034]))
    for pose in (torch.eye(4), torch.as_tensor(swing(4, depth=1.1)[1])):
        view = slanted.render(pose, K, SIZE).rgb[0]
        assert fine_detail(view) / fine_detail(photo) > 0.6, "noise, of which the scene's own planes keep 0.4"


def test_small_views_are_rendered_from_the_scenes_own_planes() -> None:
    pose = swing(4)[1]
    for known in (True, False):
        fine, plain = (scene(known).render(pose, size=PLANES, fine=fine) for fine in (True, False))
        assert torch.equal(fine.rgb, plain.rgb)


@pytest.mark.parametrize("size", [(1, 1), (1, 16), (16, 1)], ids=str)
def test_planes_of_one_row_or_column_have_views_larger_than_they_are(size: tuple[int, int]) -> None:
    photo, planes = torch.rand(3, *(20 * side for side in size)), torch.full((3, 4, *size), 0.5)
    planes[-1, 3] = 50
    for surface in (None, torch.rand(1, *size) * 0.5 + 0.4):
        own = MPI.from_planes(planes, torch.tensor([1.0, 0.5, 0.2]), intrinsics(size, 60), photo, surface)
        assert all(values.isfinite().all() for values in own.render(torch.eye(4)))


def test_a_surface_is_kept_in_files_and_scenes_without_one_open(tmp_path: Path) -> None:
    for known in (True, False):
        before = scene(known)
        before.save(tmp_path / "scene.mpi")
        after = MPI.open(tmp_path / "scene.mpi")
        if known:
            assert (after.surface / before.surface - 1).abs().max() < 1e-3
        else:
            assert after.surface is None


def test_a_surface_of_another_size_or_without_depth_is_refused() -> None:
    plain = scene(known=False)
    with pytest.raises(InputError, match="surface has shape"):
        MPI.from_planes(plain.planes, plain.disparity, plain.K, None, torch.ones(1, 2, 2))
    with pytest.raises(InputError, match="surface reaches from 0"):
        MPI.from_planes(plain.planes, plain.disparity, plain.K, None, torch.zeros(1, *PLANES))


def test_finer_planes_are_as_large_as_the_view_and_at_most_as_the_photo() -> None:
    assert fine_size((640, 960), (256, 384), (2000, 3000)) == (640, 960)
    assert fine_size((2000, 3000), (256, 384), (640, 960)) == (640, 960)
    assert fine_size((1080, 1080), (256, 384), (2000, 3000)) == (720, 1080)
    assert fine_size((256, 384), (256, 384), (2000, 3000)) is None
    side = int(MOST_PIXELS**0.5)
    for larger in (side, side + 1, 2 * side):
        assert fine_size((larger, larger), (256, 256), (2 * side, 2 * side)) == (side, side)


def test_subdivided_planes_include_the_old_ones() -> None:
    disparity = torch.tensor([1.0, 0.7, 0.1])
    assert subdivide(disparity, 3).tolist() == pytest.approx([1, 0.9, 0.8, 0.7, 0.5, 0.3, 0.1])


def test_many_planes_become_no_more_than_the_usual_number_would() -> None:
    for planes in (USUAL_PLANES, 40, 64, 100, 500):
        disparity = torch.linspace(1, 0.1, planes)
        for steps in (1, 1.7, 10 / 3):
            fine = subdivide(disparity, steps)
            assert len(fine) <= max(planes, len(subdivide(torch.linspace(1, 0.1, USUAL_PLANES), steps)))
            assert len(fine) >= max(planes, steps * (USUAL_PLANES - 1))
            assert (fine[1:] < fine[:-1]).all()
            assert (float(fine[0]), float(fine[-1])) == (float(disparity[0]), float(disparity[-1]))


def test_planes_move_to_silhouettes_and_stay_in_order() -> None:
    disparity = torch.linspace(1, 0.1, 10)
    outline = torch.cat([torch.full((50,), 0.57), torch.full((50,), 0.83)])
    fitted = fit_planes(disparity, outline)
    assert (fitted[1:] < fitted[:-1]).all()
    assert fitted[0] == disparity[0] and fitted[-1] == disparity[-1]
    for value in (0.57, 0.83):
        assert (fitted - value).abs().min() < 1e-6


def test_a_surface_is_moved_to_a_plane_along_its_silhouette_alone() -> None:
    surface = torch.full((1, 9, 40), 0.2)
    surface[..., 20:] = 0.63
    snapped = snap_silhouettes(surface, torch.tensor([1.0, 0.6, 0.2]), 4)
    assert snapped[0, 0, 20:24].tolist() == pytest.approx([0.6] * 4)
    assert torch.equal(snapped[..., 24:], surface[..., 24:])
    assert torch.equal(snapped[..., :20], surface[..., :20])


@pytest.mark.parametrize("edge", [40.0, 40.3, 40.5, 40.8])
def test_a_pixel_that_mixes_both_sides_gets_its_opacity_and_pure_colours(edge: float) -> None:
    """A blue foreground on the right of a column at `edge`, before a yellow ground; the map is off by up to a pixel."""
    size, small = (60, 80), (12, 16)
    share = (torch.arange(80) + 0.5 - edge).clamp(0, 1).expand(1, *size)
    front, back = torch.tensor([0.1, 0.2, 0.8])[:, None, None], torch.tensor([0.9, 0.8, 0.3])[:, None, None]
    surface = torch.full((1, *small), 0.2)
    surface[..., 8:] = 0.8
    layers = find_layers(known_surfaces(surface), share * front + (1 - share) * back)
    foreground = layers.opacity * (layers.disparity > 0.5)
    assert (foreground - share).abs().max() < 0.06
    visible = (foreground > 0).expand(3, -1, -1)
    assert torch.allclose(layers.rgb[visible], front.expand(3, *size)[visible], atol=0.02)
    behind = ((foreground < 1) & (foreground > 0)).expand(3, -1, -1)
    assert torch.allclose(layers.background_rgb[behind], back.expand(3, *size)[behind], atol=0.02)
    assert torch.allclose(layers.rgb[~visible], back.expand(3, *size)[~visible], atol=0.02)


def soft_edge(width: float, noise: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A photo whose blue right side fades into the yellow left one over `width` pixels; its map; the share of blue."""
    size, small = (60, 80), (12, 16)
    share = ((torch.arange(80) + 0.5 - 40) / width + 0.5).clamp(0, 1).expand(1, *size)
    front, back = torch.tensor([0.1, 0.2, 0.8])[:, None, None], torch.tensor([0.9, 0.8, 0.3])[:, None, None]
    surface = torch.full((1, *small), 0.2)
    surface[..., 8:] = 0.8
    texture = noise * torch.randn(1, *size, generator=torch.Generator().manual_seed(0))
    return (share * front + (1 - share) * back + texture).clamp(0, 1), surface, share


@pytest.mark.parametrize("width", [4.0, 8.0])
def test_an_edge_out_of_focus_fades_from_opaque_to_nothing(width: float) -> None:
    image, surface, share = soft_edge(width)
    layers = find_layers(known_surfaces(surface), image)
    foreground = layers.opacity * (layers.disparity > 0.5)
    inner = (..., slice(10, -10), slice(None))
    assert (foreground - share)[inner].abs().max() < 0.3
    assert (foreground[inner].diff(dim=-1) > -0.05).all()
    seen = layers.opacity * layers.rgb + (1 - layers.opacity) * layers.background_rgb
    assert (seen - image)[inner].abs().max() < 0.2, "the source view shows the photo"


def test_halos_of_sharpening_do_not_stay_on_an_even_background() -> None:
    image, surface, _ = soft_edge(1.0)
    halo = image.clone()
    halo[..., 37:39] = (halo[..., 37:39] + torch.tensor([0.05, 0.08, 0.12])[:, None, None]).clamp(0, 1)
    layers = find_layers(known_surfaces(surface), halo)
    behind = torch.where(layers.disparity > 0.5, layers.background_rgb, layers.rgb)[..., 30:39]
    assert (behind - image[..., 30:31]).abs().max() < 0.04


def test_a_speck_does_not_colour_a_border_of_the_depth_that_the_photo_has_not() -> None:
    size, speck = (41, 41), (20, 20)
    y, x = torch.meshgrid(torch.arange(41), torch.arange(41), indexing="ij")
    foreground = (y - speck[0]) ** 2 + (x - speck[1]) ** 2 <= 8**2
    share = torch.where(foreground, 0.3, 0.0)
    share[19:22, 19:22] = 1  # around the one pixel that is the foreground's alone
    image = torch.ones(3, *size)
    image[:, speck[0], speck[1]] = 0
    pixels, alpha, front, back = _unmix(image, share, foreground, torch.ones(size, dtype=torch.bool))
    assert foreground[*pixels.T].sum() == foreground.sum() - 1
    assert (front[alpha > 0] == 1).all() and (back == 1).all()


@pytest.mark.parametrize("edge", [108, 117, 126, 132])
def test_outlines_that_a_map_draws_two_pixels_off_are_found_in_the_photo(edge: int) -> None:
    size, small = (60, 240), (12, 48)
    front, back = torch.tensor([0.1, 0.2, 0.8])[:, None, None], torch.tensor([0.9, 0.8, 0.3])[:, None, None]
    surface = torch.full((1, *small), 0.2)
    surface[..., 24:] = 0.8
    inside = (torch.arange(240) >= edge).expand(1, *size)
    layers = find_layers(known_surfaces(surface), torch.where(inside, front, back))
    assert ((layers.disparity > 0.5) != inside).sum() <= 2


def test_without_discontinuities_the_photo_has_one_opaque_layer() -> None:
    surface = torch.linspace(0.5, 0.8, 16).expand(1, 12, 16)
    image = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(0))
    layers = find_layers(known_surfaces(surface), image)
    assert torch.equal(layers.rgb, image)
    assert (layers.opacity == 1).all()
    assert (layers.background_disparity == 0).all()
