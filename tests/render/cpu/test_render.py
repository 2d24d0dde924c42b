"""The CPU renderer against `reference` in double precision, and against closed forms."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_views import planes_of_noise, random_cameras, render_in_double
from torch import Tensor

from mine.errors import InputError
from mine.kernels.jit import compiled
from mine.render import View, reference
from mine.render.cameras import distinct
from mine.render.cpu import render as cpu
from mine.render.cpu.layout import BLOCK_WIDTH, ONE_STRIP, ROW_BLOCKS, TILE
from mine.render.strips import STRIP_PITCH, STRIP_SHIFT, to_strips
from mine.scene.camera import intrinsics, pose

PLANE_SIZE, SIZE = (24, 40), (30, 150)

random_planes = partial(planes_of_noise, size=PLANE_SIZE)
cameras = partial(random_cameras, sizes=(PLANE_SIZE, SIZE))


def surface_planes(batch: int, planes: int) -> Tensor:
    """What a network predicts: almost no density in front of a surface, which is opaque and a few planes thick."""
    values = random_planes(batch, planes, 1e-3)
    surface = torch.rand(batch, 1, 3, 5) * planes
    surface = torch.nn.functional.interpolate(surface, PLANE_SIZE, mode="bilinear")
    distance = (torch.arange(planes)[:, None, None] - surface).abs()
    values[:, :, 3] += 30 * (1 - distance).clamp(min=0)
    return values


def assert_same(actual: View, expected: View) -> None:
    """To 2e-4, depths on the scale of the scene. Coverage may differ where a sample lies exactly at -1 or W."""
    torch.testing.assert_close(actual.rgb.double(), expected.rgb.double(), atol=2e-4, rtol=0)
    torch.testing.assert_close(actual.depth.double(), expected.depth.double(), atol=2e-4, rtol=2e-4)
    assert (actual.mask != expected.mask).double().mean() < 1e-3


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    planes=st.integers(2, 12),
    turn=st.sampled_from([0.0, 0.05, 0.5, 3.0]),
    move=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    density=st.sampled_from([0.0, 0.1, 3.0, 1000.0]),
    detailed=st.booleans(),
)
def test_agrees_with_the_reference_from_any_camera(
    seed: int, planes: int, turn: float, move: float, density: float, detailed: bool
) -> None:
    torch.manual_seed(seed)
    scenes, disparity = random_planes(2, planes, density), torch.linspace(1, 0.1, planes).expand(2, planes)
    detail = torch.rand(2, 3, 51, 77) - 0.5 if detailed else None
    arguments = (scenes, disparity, *cameras(2, turn, move), SIZE, detail)
    assert_same(cpu.render(*arguments), render_in_double(*arguments))


@pytest.mark.parametrize("detailed", [False, True])
def test_agrees_with_the_reference_on_surfaces(detailed: bool) -> None:
    torch.manual_seed(0)
    scenes, disparity = surface_planes(2, 32), torch.linspace(1, 0.02, 32).expand(2, 32)
    detail = torch.rand(2, 3, 48, 80) - 0.5 if detailed else None
    arguments = (scenes, disparity, *cameras(2, 0.03, 0.05), SIZE, detail)
    assert_same(cpu.render(*arguments), render_in_double(*arguments))


def random_reach(batch: int, disparity: Tensor) -> Tensor:
    """Disparities (B, 1, H, W) of planes at random."""
    return disparity[torch.randint(len(disparity), (batch, 1, *PLANE_SIZE))]


@pytest.mark.parametrize("views", [1, 3])
def test_detail_is_shown_down_to_a_disparity_at_each_pixel(views: int) -> None:
    torch.manual_seed(0)
    planes = torch.linspace(1, 0.1, 8)
    scenes, disparity = random_planes(views, 8, 1.0), planes.expand(views, 8)
    photo = torch.rand(views, 3, 33, 44) - 0.5, random_reach(views, planes)
    arguments = (scenes, disparity, *cameras(views, 0.05, 0.1), SIZE, *photo)
    view = cpu.render(*arguments)
    assert_same(view, render_in_double(*arguments))
    assert (view.rgb - cpu.render(*arguments[:-1]).rgb).abs().max() > 0.02, "elsewhere than the source transmittance"


@pytest.mark.parametrize("density", [0.0, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("forward", [-0.3, 0.0, 3.0])
def test_agrees_with_the_reference_in_thin_fog(density: float, forward: float) -> None:
    """Nothing is empty and nothing opaque: planes that a block could skip are all there is to see."""
    torch.manual_seed(0)
    scenes, disparity = random_planes(1, 24, 0.0), torch.linspace(1, 0.02, 24)[None]
    scenes[:, :, 3] = density
    K_src, K_tgt, _ = cameras(1, 0.0, 0.0)
    T = pose(translation=torch.tensor([[0.05, 0.02, forward]]))
    arguments = (scenes, disparity, K_src, K_tgt, T, SIZE)
    assert_same(cpu.render(*arguments), render_in_double(*arguments))


def test_agrees_with_the_reference_on_surfaces_in_fog() -> None:
    """What published networks predict: σ = |x| + 1e-4 is never 0, but close to it in front of surfaces."""
    torch.manual_seed(0)
    scenes, disparity = surface_planes(2, 32), torch.linspace(1, 0.02, 32).expand(2, 32)
    scenes[:, :, 3] = scenes[:, :, 3].where(scenes[:, :, 3] > 1e-3, 0) + 1e-4
    arguments = (scenes, disparity, *cameras(2, 0.03, 0.05), SIZE)
    assert_same(cpu.render(*arguments), render_in_double(*arguments))


def test_agrees_with_the_reference_in_a_view_wider_than_a_row_of_blocks() -> None:
    torch.manual_seed(0)
    scenes, disparity = surface_planes(1, 6), torch.linspace(1, 0.1, 6)[None]
    size = (9, 2 * ROW_BLOCKS * BLOCK_WIDTH + 5)
    arguments = (scenes, disparity, *random_cameras(1, 0.03, 0.05, (PLANE_SIZE, size)), size)
    assert_same(cpu.render(*arguments), render_in_double(*arguments))


@pytest.mark.parametrize("plane_size", [(1, 1), (1, 9), (9, 1)])
def test_agrees_with_the_reference_on_planes_one_pixel_wide(plane_size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    scenes, disparity = random_planes(1, 3, 2.0, size=plane_size), torch.tensor([[1.0, 0.5, 0.2]])
    K_src = torch.tensor([[[10.0, 0, 1], [0, 10, 1], [0, 0, 1]]])
    arguments = (scenes, disparity, K_src, K_src, cameras(1, 0.1, 0.1)[2], (7, 5), torch.rand(1, 3, *plane_size))
    assert_same(cpu.render(*arguments), render_in_double(*arguments))
    reach = torch.full((1, 1, *plane_size), 0.5)
    assert_same(cpu.render(*arguments, reach), render_in_double(*arguments, reach))


def test_an_opaque_plane_shows_its_colour_at_its_distance() -> None:
    """Moving 0.5 towards an opaque plane at depth 4 leaves 3.5, and hides everything behind it."""
    scene = torch.zeros(1, 3, 4, *PLANE_SIZE)
    scene[:, 1, :3], scene[:, 1, 3] = torch.tensor([0.2, 0.4, 0.8])[:, None, None], 1e4
    scene[:, 2] = 1
    K = intrinsics(PLANE_SIZE)[None]
    forward = pose(translation=torch.tensor([[0.0, 0.0, -0.5]]))
    view = cpu.render(scene, torch.tensor([[1.0, 0.25, 0.1]]), K, K, forward, PLANE_SIZE)
    torch.testing.assert_close(view.rgb, torch.tensor([0.2, 0.4, 0.8])[None, :, None, None].expand_as(view.rgb))
    torch.testing.assert_close(view.depth, torch.full_like(view.depth, 3.5), rtol=1e-4, atol=0)
    assert (view.mask == 3).all()


def test_planes_behind_the_camera_are_not_seen() -> None:
    scene = torch.ones(1, 2, 4, *PLANE_SIZE)
    K = intrinsics(PLANE_SIZE)[None]
    beyond = pose(translation=torch.tensor([[0.0, 0.0, -9.0]]))
    view = cpu.render(scene, torch.tensor([[1.0, 0.5]]), K, K, beyond, PLANE_SIZE)
    assert (view.rgb == 0).all() and (view.depth == 0).all()


def test_a_scene_expanded_over_poses_is_not_copied() -> None:
    torch.manual_seed(0)
    scene, disparity, detail = random_planes(1, 4, 2.0), torch.linspace(1, 0.1, 4)[None], torch.rand(1, 3, 33, 44)
    expanded = scene.expand(3, -1, -1, -1, -1)
    once = cpu._float32(distinct(expanded))
    assert len(once) == 1 and once.ctypes.data == scene.data_ptr()
    views = (*cameras(3, 0.1, 0.1), SIZE)
    shared = cpu.render(expanded, disparity.expand(3, 4), *views, detail.expand(3, -1, -1, -1))
    copied = cpu.render(expanded.clone(), disparity.repeat(3, 1), *views, detail.repeat(3, 1, 1, 1))
    for one, other in zip(shared, copied, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_one_scene_may_have_other_intrinsics_and_disparities_in_each_view() -> None:
    torch.manual_seed(0)
    scene, detail = random_planes(1, 4, 2.0), torch.rand(1, 3, 33, 44)
    _, K_tgt, T = cameras(2, 0.1, 0.1)
    K_src = torch.stack([intrinsics(PLANE_SIZE, 90), intrinsics(PLANE_SIZE, 50)])
    disparity = torch.stack([torch.linspace(1, 0.1, 4), torch.linspace(0.5, 0.3, 4)])
    arguments = (scene.expand(2, -1, -1, -1, -1), disparity, K_src, K_tgt, T, SIZE, detail.expand(2, -1, -1, -1))
    assert_same(cpu.render(*arguments), render_in_double(*arguments))


@pytest.mark.parametrize("side_by_side", [True, False])
def test_source_colours_are_blended_in_place_where_planes_are_interleaved(side_by_side: bool) -> None:
    torch.manual_seed(0)
    scene, disparity, image = random_planes(1, 5, 3.0), torch.linspace(1, 0.1, 5)[None], torch.rand(1, 3, *PLANE_SIZE)
    K = intrinsics(PLANE_SIZE)[None]
    expected = reference.blend_source(*(x.double() for x in (scene, disparity, K, image)))
    given = cpu.interleave_channels(scene) if side_by_side else scene
    before = given.clone()
    blended = cpu.blend_source_(given, disparity, K, image)
    torch.testing.assert_close(blended.double(), expected, atol=2e-6, rtol=0)
    assert torch.equal(given, blended if side_by_side else before)


def test_channels_are_interleaved_from_parts() -> None:
    """More pixels than are copied at a time; channels that no part has are 0."""
    rgb, sigma = torch.rand(2, 3, 3, 71, 73), torch.rand(2, 3, 1, 71, 73)
    planes = cpu.interleave_channels(rgb, sigma)
    assert planes.movedim(2, -1).is_contiguous()
    assert torch.equal(planes, torch.cat([rgb, sigma], dim=2))
    assert cpu.interleave_channels(planes).data_ptr() == planes.data_ptr()
    assert torch.equal(cpu.interleave_channels(rgb), torch.cat([rgb, torch.zeros_like(sigma)], dim=2))
    half = cpu.interleave_channels(rgb.half(), sigma)
    assert half.dtype == torch.float32
    assert torch.equal(half, torch.cat([rgb.half().float(), sigma], dim=2))


def test_calls_from_several_threads_at_once_return_what_they_return_alone() -> None:
    torch.manual_seed(0)
    scenes = [random_planes(1, 6, 2.0) for _ in range(4)]
    disparity, (K_src, K_tgt, T) = torch.linspace(1, 0.1, 6)[None], cameras(1, 0.1, 0.1)

    def render(scene: Tensor) -> Tensor:
        return cpu.render(scene, disparity, K_src, K_tgt, T, SIZE).rgb

    alone = [render(scene) for scene in scenes] * 10
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # so that each call has workers of its own
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(render, scenes * 10, timeout=60))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_input_that_is_not_finite_reads_nothing_outside_the_planes(value: float) -> None:
    """The public function refuses such poses; here a wrong read would end the process."""
    scene, disparity = random_planes(1, 4, 1.0), torch.linspace(1, 0.1, 4)[None]
    K_src, K_tgt, T = cameras(1, 0.0, 0.0)
    for row, column in [(0, 0), (1, 3), (2, 2)]:
        broken = T.clone()
        broken[0, row, column] = value
        view = cpu.render(scene, disparity, K_src, K_tgt, broken, SIZE, torch.rand(1, 3, 33, 44))
        assert view.mask.shape == (1, 1, *SIZE)


def test_gradients_are_refused_and_torch_no_grad_accepted() -> None:
    scene = random_planes(1, 2, 1.0).requires_grad_()
    arguments = (scene, torch.tensor([[1.0, 0.5]]), *cameras(1, 0.0, 0.0), SIZE)
    with pytest.raises(InputError, match="no gradients"):
        cpu.render(*arguments)
    with torch.no_grad():
        assert cpu.render(*arguments).rgb.shape == (1, 3, *SIZE)


def test_kernels_compile_where_no_cache_can_be_kept() -> None:
    namespace: dict[str, object] = {}
    exec("def twice(x):\n    return 2 * x", namespace)  # numba finds no file, so no folder, for it
    assert compiled("float64(float64)")(namespace["twice"])(4.0) == 8


def test_the_second_start_compiles_nothing() -> None:
    report = "from mine.render.cpu.kernels import *; print(len(render_rows.stats.cache_misses))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize("seed", range(6))
def test_skipping_empty_space_changes_nothing(seed: int) -> None:
    """Islands of density in empty planes, from afar and from within: empty tiles are skipped, islands are not."""
    generator = torch.Generator().manual_seed(seed)
    planes = torch.rand(1, 6, 4, 70, 150, generator=generator)
    islands = torch.rand(1, 6, 70, 150, generator=generator) > 0.9995
    planes[:, :, 3] = 40 * islands
    disparity = torch.linspace(1, 0.1, 6)[None]
    K = intrinsics((70, 150), 70)[None]
    turn = 0.3 * torch.randn(3, generator=generator)
    T = torch.eye(4)[None]
    cross = torch.tensor([[0, -turn[2], turn[1]], [turn[2], 0, -turn[0]], [-turn[1], turn[0], 0]])
    T[0, :3, :3] = torch.matrix_exp(cross * (2 if seed > 3 else 0.2))
    T[0, :3, 3] = 0.3 * torch.randn(3, generator=generator)
    expected = reference.render(planes, disparity, K, K, T, (60, 300))
    actual = cpu.render(planes, disparity, K, K, T, (60, 300))
    assert islands.any()
    assert (actual.rgb - expected.rgb).abs().max() < 2e-3  # an island left out would make a difference of about 1
    assert torch.equal(actual.mask, expected.mask)


@pytest.mark.parametrize("size", [(1, 1), (TILE, TILE), (3 * TILE + 1, 2 * TILE - 3)])
def test_tiles_bound_every_bilinear_sample_that_begins_in_them(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    sigma = torch.rand(2, 3, *size, generator=generator) ** 8
    planes = torch.zeros(2, 3, 4, *size)
    planes[:, :, 3] = sigma
    in_strips = to_strips(planes.flatten(0, 2)[:, None]).view(2, 3, 4, -1).movedim(2, -1).contiguous().numpy()
    layouts = (cpu._texels(planes), (ONE_STRIP, size[1])), (in_strips, (STRIP_SHIFT, STRIP_PITCH))
    found, found_in_strips = (torch.from_numpy(cpu._max_densities(texels, size, of)) for texels, of in layouts)
    assert torch.equal(found, found_in_strips)
    assert found.shape == (2, 3, -(-size[0] // TILE), -(-size[1] // TILE))
    for y in range(found.shape[2]):
        for x in range(found.shape[3]):
            reach = sigma[..., y * TILE : (y + 1) * TILE + 1, x * TILE : (x + 1) * TILE + 1]
            assert torch.equal(found[..., y, x], reach.amax((-2, -1)))
