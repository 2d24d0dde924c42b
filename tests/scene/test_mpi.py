"""Scenes: what they accept, how large they and their views are, and their files."""

import math
from inspect import unwrap
from pathlib import Path

import pytest
import torch
from small_scene import HEIGHT, PLANES, WIDTH, changed, make_photo, make_scene
from torch import Tensor

from mine.errors import InputError
from mine.render import Backend
from mine.render.cpu import render as cpu
from mine.scene.camera import pose
from mine.scene.depth import depth_range, near_depth
from mine.scene.mpi import MPI

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about scenes, not kernels


# What a scene accepts


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rgb", torch.rand(PLANES, 4, HEIGHT, WIDTH)),
        ("rgb", torch.rand(PLANES, 3, HEIGHT, WIDTH + 1)),
        ("rgb", torch.rand(PLANES + 1, 3, HEIGHT, WIDTH)),
        ("rgb", torch.rand(3, HEIGHT, WIDTH)),
        ("rgb", torch.rand(7)),
        ("sigma", torch.rand(PLANES, 3, HEIGHT, WIDTH)),
        ("sigma", torch.rand(PLANES, HEIGHT, WIDTH)),
        ("sigma", -torch.rand(PLANES, 1, HEIGHT, WIDTH)),
        ("sigma", torch.full((PLANES, 1, HEIGHT, WIDTH), math.nan)),
        ("sigma", torch.full((PLANES, 1, HEIGHT, WIDTH), math.inf)),
        ("photo", torch.rand(HEIGHT, WIDTH)),
        ("photo", torch.rand(HEIGHT, WIDTH, 3)),
        ("disparity", torch.tensor([1.0, 0.5])),
        ("disparity", torch.tensor([[1.0, 0.5, 0.1]])),
        ("disparity", torch.tensor(1.0)),
        ("disparity", torch.tensor([1.0, 0.5, 0.0])),
        ("disparity", torch.tensor([1.0, 0.5, -0.1])),
        ("disparity", torch.tensor([math.inf, 0.5, 0.1])),
        ("disparity", torch.tensor([1.0, math.nan, 0.1])),
        ("disparity", torch.tensor([0.1, 0.5, 1.0])),
        ("disparity", torch.tensor([1.0, 0.5, 0.5])),
        ("K", torch.zeros(3, 3)),
        ("K", torch.eye(3) * math.nan),
        ("K", torch.eye(4)),
        ("K", 2 * torch.eye(3)),
        ("K", torch.eye(3).expand(PLANES, 3, 3)),
        ("K", torch.tensor([[20.0, 0, 12], [0.1, 20, 8], [0, 0, 1]])),
        ("K", torch.tensor([[-20.0, 0, 12], [0, 20, 8], [0, 0, 1]])),
        ("rgb", torch.tensor(1.0)),
        ("rgb", torch.full((PLANES, 3, HEIGHT, WIDTH), math.nan)),
        ("rgb", torch.full((PLANES, 3, HEIGHT, WIDTH), 1e30)),
        ("rgb", torch.full((PLANES, 3, HEIGHT, WIDTH), -0.1)),
        ("sigma", torch.tensor(1.0)),
        ("photo", torch.full((3, 40, 60), math.inf)),
        ("photo", torch.full((3, 40, 60), 2.0)),
        ("photo", torch.full((3, 40, 60), 200, dtype=torch.uint8)),
        ("photo", torch.rand(3, 0, 60)),
        ("photo", torch.tensor(1.0)),
        ("disparity", torch.tensor([1.0, 0.5, 1e-42])),
        ("disparity", torch.tensor([3, 2, 1])),
    ],
)
def test_scenes_that_make_no_sense(field: str, value: Tensor) -> None:
    with pytest.raises(InputError) as error:
        changed(make_scene(), **{field: value})
    assert "\n" not in str(error.value)


def test_planes_without_pixels_are_no_scene() -> None:
    scene = make_scene()
    with pytest.raises(InputError, match="planes have shapes"):
        MPI(scene.rgb[:, :, :0], scene.sigma[:, :, :0], scene.disparity, scene.K)
    with pytest.raises(InputError, match="planes have shape"):
        MPI.from_planes(scene.planes[..., :0], scene.disparity, scene.K)


def test_one_plane_is_no_scene() -> None:
    scene = make_scene()
    with pytest.raises(InputError, match="at least 2"):
        MPI(scene.rgb[:1], scene.sigma[:1], scene.disparity[:1], scene.K)


# Sizes and views


def test_scenes_and_views_are_described_in_a_line() -> None:
    scene = make_scene(photo=None)
    near, far = float(scene.disparity[0]), float(scene.disparity[-1])
    told = f"{PLANES} planes of {WIDTH}x{HEIGHT}, disparity {near:.3g} to {far:.3g}"
    assert repr(scene) == f"MPI({told}, no photo)"
    assert repr(make_scene(photo=make_photo(20, 30))) == f"MPI({told}, photo 30x20)"
    view = scene.render(torch.eye(4))
    assert repr(view) == f"View(1 of {WIDTH}x{HEIGHT})"
    assert repr(type(view)(*(part[0] for part in view))).startswith("View(rgb=tensor")
    assert repr(type(view)(1, None, ())) == "View(rgb=1, depth=None, mask=())"  # type: ignore[arg-type]


def test_what_could_not_be_opened_again_is_not_saved(tmp_path: Path) -> None:
    empty = changed(make_scene(), sigma=torch.zeros(PLANES, 1, HEIGHT, WIDTH))
    with pytest.raises(InputError, match="it is empty"):
        empty.save(tmp_path / "a.mpi")
    assert not list(tmp_path.iterdir())


def test_sizes() -> None:
    plain, sharp = make_scene(), make_scene(make_photo(40, 60))
    assert plain.plane_size == plain.size == sharp.plane_size == (HEIGHT, WIDTH)
    assert sharp.size == (40, 60)


@pytest.mark.parametrize("photo", [None, make_photo(40, 60)], ids=["planes", "photo"])
def test_views_have_the_scenes_size_unless_asked_otherwise(photo: Tensor | None) -> None:
    scene = make_scene(photo)
    height, width = scene.size
    view = scene.render(torch.eye(4).expand(2, 4, 4))
    assert view.rgb.shape == (2, 3, height, width)
    assert view.depth.shape == view.mask.shape == (2, 1, height, width)
    assert (view.mask == PLANES).all()
    assert scene.render(torch.eye(4), size=(10, 20)).rgb.shape == (1, 3, 10, 20)


def test_the_default_camera_is_the_source_camera_at_any_size() -> None:
    scene = make_scene()
    larger = scene.render(torch.eye(4), size=(2 * HEIGHT, 2 * WIDTH))
    K = torch.tensor([[2.0, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]) @ scene.K
    explicit = scene.render(torch.eye(4), K=K, size=(2 * HEIGHT, 2 * WIDTH))
    assert torch.equal(larger.rgb, explicit.rgb)
    torch.testing.assert_close(scene.intrinsics((2 * HEIGHT, 2 * WIDTH)), K)
    wide = scene.render(torch.eye(4), K=K.expand(3, 3, 3), size=(8, 8))
    assert wide.rgb.shape == (3, 3, 8, 8)


@pytest.mark.parametrize("size", [(0, 8), (8, -1), (8,), (8.0, 8), (1 << 15, 1 << 14), (10**9, 10**9)])
def test_views_of_sizes_that_make_no_sense(size: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"size|more than 5"):
        unwrap(MPI.render)(make_scene(), torch.eye(4), size=size)  # without the check of its annotations


def test_cameras_that_make_no_sense() -> None:
    scene = make_scene()
    bad = torch.eye(4)
    bad[1, 3] = math.nan
    with pytest.raises(InputError, match="pose"):
        scene.render(bad)
    with pytest.raises(InputError, match="pose has shape"):
        scene.render(torch.eye(3))
    with pytest.raises(InputError, match="K is singular"):
        scene.render(torch.eye(4), K=torch.zeros(3, 3))


def test_moving_to_another_device_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(make_photo())
    # Every machine has the device "meta", which holds shapes without values: there is nothing to check.
    monkeypatch.setattr("mine.scene.mpi_checks.check_colours", lambda name, values: None)
    monkeypatch.setattr("mine.scene.mpi_checks.check_density", lambda sigma: None)
    monkeypatch.setattr("mine.scene.mpi_checks.check_disparity", lambda disparity, planes: None)
    monkeypatch.setattr("mine.scene.mpi.check_intrinsics", lambda K: None)
    moved = scene.to("meta")
    for name in ("rgb", "sigma", "disparity", "K", "photo"):
        assert getattr(moved, name).is_meta
        assert getattr(moved, name).shape == getattr(scene, name).shape


def test_the_planes_hold_colours_then_densities() -> None:
    rgb, sigma = torch.rand(PLANES, 3, HEIGHT, WIDTH), torch.rand(PLANES, 1, HEIGHT, WIDTH)
    scene = changed(make_scene(), rgb=rgb, sigma=sigma)
    assert torch.equal(scene.planes, torch.cat([rgb, sigma], dim=1))
    assert torch.equal(scene.rgb, rgb) and torch.equal(scene.sigma, sigma)
    assert scene.rgb.data_ptr() == scene.planes.data_ptr(), "views, not copies"
    assert scene.sigma.untyped_storage().data_ptr() == scene.planes.untyped_storage().data_ptr()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_parts_of_any_precision_become_single_precision(dtype: torch.dtype, backend: Backend) -> None:
    scene = make_scene(make_photo())
    surface = 0.3 + 0.6 * torch.rand(1, HEIGHT, WIDTH)
    background = torch.cat([0.5 * surface, torch.rand(3, HEIGHT, WIDTH)])
    parts = scene.planes, scene.disparity, scene.K, scene.photo, surface, background
    one, other = MPI.from_planes(*parts), MPI.from_planes(*(part.to(dtype) for part in parts))
    apart = changed(scene, rgb=scene.rgb.to(dtype), sigma=scene.sigma.to(dtype))
    tolerance = 4 * torch.finfo(dtype).eps if dtype != torch.float64 else 0
    for name in ("planes", "disparity", "K", "photo", "surface", "background"):
        value = getattr(other, name)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, getattr(one, name), rtol=tolerance, atol=tolerance)
    assert torch.equal(apart.planes, other.planes)
    for size in (scene.size, scene.plane_size):  # finer planes, and the scene's own
        view = other.render(torch.eye(4, dtype=dtype), other.intrinsics(size).to(dtype), size, backend)
        assert all(values.isfinite().all() for values in view)


def test_gradients_reach_the_colours_and_densities_a_scene_is_made_of() -> None:
    rgb, sigma = torch.rand(PLANES, 3, HEIGHT, WIDTH), torch.rand(PLANES, 1, HEIGHT, WIDTH)
    scene = changed(make_scene(), rgb=rgb.requires_grad_(), sigma=sigma.requires_grad_())
    scene.render(torch.eye(4)).rgb.sum().backward()
    assert rgb.grad is not None and rgb.grad.abs().sum() > 0
    assert sigma.grad is not None and sigma.grad.abs().sum() > 0


PARTS = ("planes", "disparity", "K", "photo")


def trained(part: str) -> tuple[MPI, Tensor]:
    """A scene with a photo, one part of which requires gradients, and that part."""
    scene = make_scene(make_photo())
    parts = {name: getattr(scene, name).clone() for name in PARTS}
    return MPI.from_planes(**parts | {part: parts[part].requires_grad_()}), parts[part]


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (40, 60)], ids=["small", "large"])
@pytest.mark.parametrize("part", PARTS)
def test_gradients_reach_every_part_at_every_step(part: str, size: tuple[int, int]) -> None:
    """Views without gradients in between, as of `near_depth`, leave no graph or planes behind."""
    scene, leaf = trained(part)
    T, weight = pose(translation=torch.tensor([0.1, 0.0, 0.05])), torch.rand(1, 3, *size)
    with torch.no_grad():
        scene.render(T, size=size)
    near_depth(scene)
    gradients = []
    for _ in range(2):
        leaf.grad = None
        (scene.render(T, size=size).rgb * weight).sum().backward()
        assert leaf.grad is not None and leaf.grad.abs().sum() > 0
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (40, 60)], ids=["small", "large"])
@pytest.mark.parametrize("part", PARTS)
def test_views_are_of_what_an_optimiser_has_made_of_the_parts(part: str, size: tuple[int, int]) -> None:
    scene, leaf = trained(part)
    T = pose(translation=torch.tensor([0.1, 0.0, 0.05]))
    with torch.no_grad():
        scene.render(T, size=size, backend="cpu")
        depth = scene.source_depth
        leaf.mul_(0.5)
        if part == "K":
            leaf[2, 2] = 1
        new = MPI.from_planes(*(getattr(scene, name).detach().clone() for name in PARTS))
        views = (x.render(T, size=size, backend="cpu").rgb for x in (scene, new))
        torch.testing.assert_close(*views, rtol=0, atol=1e-4)  # photos are sampled otherwise where gradients are
        assert torch.equal(scene.source_depth, new.source_depth)
    assert part in ("photo", "K") or not torch.equal(depth, new.source_depth)


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (40, 60)], ids=["small", "large"])
def test_views_in_inference_mode_leave_the_gradients_of_later_ones_as_they_were(
    size: tuple[int, int], tmp_path: Path
) -> None:
    def gradient(scene: MPI) -> Tensor:
        T = pose(translation=torch.tensor([0.1, 0.0, 0.05])).requires_grad_()
        scene.render(T, size=size).rgb.square().sum().backward()
        assert T.grad is not None
        return T.grad

    file = tmp_path / "scene.mpi"
    make_scene(make_photo()).save(file)
    with torch.inference_mode():
        scene = MPI.open(file)
        scene.render(torch.eye(4), size=size)
        kept = scene.source_depth, scene.surfaces.disparity
    assert not any(part.is_inference() for part in kept)
    assert torch.equal(gradient(scene), gradient(MPI.open(file)))


def test_the_gradient_of_the_photo_is_that_of_its_views() -> None:
    scene, photo = trained("photo")
    with torch.no_grad():
        for colours in (photo, scene.planes[:, :3]):  # colours of views end at 0 and 1, and so do their gradients
            colours.mul_(0.3).add_(0.35)
    T, weight = torch.eye(4), torch.rand(1, 3, 20, 30)
    view = (scene.render(T, size=(20, 30), fine=False).rgb * weight).sum()
    view.backward()
    step = torch.rand_like(photo) - 0.5
    with torch.no_grad():
        photo += 0.1 * step
        other = (scene.render(T, size=(20, 30), fine=False).rgb * weight).sum()
    assert photo.grad is not None
    assert float((other - view).detach()) == pytest.approx(0.1 * float((photo.grad * step).sum()), rel=0.01)


def test_a_scene_of_planes_shares_their_memory() -> None:
    scene, planes = make_scene(make_photo()), torch.rand(PLANES, 4, HEIGHT, WIDTH)
    made = MPI.from_planes(planes, scene.disparity, scene.K, scene.photo)
    assert made.planes.data_ptr() == planes.data_ptr()
    parts = MPI(planes[:, :3], planes[:, 3:], scene.disparity, scene.K, scene.photo)
    T = pose(translation=torch.tensor([0.1, 0.0, 0.0]))
    for one, other in zip(made.render(T), parts.render(T), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("shape", [(PLANES, 3, HEIGHT, WIDTH), (4, HEIGHT, WIDTH), (1, PLANES, 4, HEIGHT, WIDTH)])
def test_planes_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    scene = make_scene()
    with pytest.raises(InputError, match="planes have shape"):
        MPI.from_planes(torch.rand(shape), scene.disparity, scene.K)


def test_a_scene_cannot_be_changed() -> None:
    scene = make_scene()
    for name in ("planes", "rgb", "sigma", "disparity", "K", "photo"):
        with pytest.raises(AttributeError):
            setattr(scene, name, getattr(scene, name))


def test_planes_are_rendered_in_place() -> None:
    scene = make_scene()
    prepared = cpu.prepare(scene.planes[None], scene.disparity[None], scene.K[None])
    assert prepared.planes.ctypes.data == scene.planes.data_ptr()


def test_what_views_have_in_common_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    prepare = cpu.prepare
    monkeypatch.setattr(cpu, "prepare", lambda *arguments: calls.append(1) or prepare(*arguments))
    scene = make_scene(make_photo())
    for shift in (0.0, 0.1, 0.2):
        scene.render(pose(translation=torch.tensor([shift, 0.0, 0.0])), backend="cpu")
    assert calls == [1]


def test_pixels_that_show_nothing_have_no_depth() -> None:
    scene = make_scene()
    sigma = torch.full_like(scene.sigma, 1e4)
    full = changed(scene, sigma=sigma)
    sigma[..., : WIDTH // 2] = 0
    half = changed(scene, sigma=sigma.clone())
    assert depth_range(half)[0] == pytest.approx(depth_range(full)[0])
    assert depth_range(half)[1] < 4, "the middle plane at most, which the edge of what is seen mixes in"
    assert near_depth(half) == pytest.approx(near_depth(full))
    for depth in (depth_range, near_depth):
        with pytest.raises(InputError, match="empty"):
            depth(changed(scene, sigma=0 * sigma))


def test_depth_in_the_source_camera_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(make_photo(200, 300))
    calls: list[int] = []
    render = MPI.render
    monkeypatch.setattr(MPI, "render", lambda *arguments, **named: calls.append(1) or render(*arguments, **named))
    assert scene.source_depth.shape == (85, 128)
    near, far = depth_range(scene)
    assert near < far and near_depth(scene) > 0
    assert calls == [1]


def test_views_of_a_prepared_scene_are_those_of_the_reference() -> None:
    scene = make_scene(photo=torch.rand(3, 32, 48))
    for shift in (0.0, 0.2):
        T = pose(translation=torch.tensor([shift, 0.0, 0.0]))
        for one, other in zip(scene.render(T, backend="cpu"), scene.render(T, backend="reference"), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("poses", "shape"), [(3, (2, 3, 3)), (1, (0, 3, 3)), (1, (1, 1, 3, 3))])
def test_intrinsics_are_one_or_as_many_as_the_poses(poses: int, shape: tuple[int, ...]) -> None:
    scene = make_scene()
    T, K = torch.eye(4).repeat(poses, 1, 1), scene.K.expand(shape)
    with pytest.raises(InputError, match=rf"K has shape \({shape[0]}, .*\) for {poses} poses"):
        scene.render(T, K, size=(HEIGHT, WIDTH))


def test_views_of_many_intrinsics_count_as_those_of_many_poses() -> None:
    scene, size = make_scene(), (8192, 8192)
    with pytest.raises(InputError, match="5 views of 8192x8192"):
        scene.render(torch.eye(4), scene.K.expand(5, 3, 3), size)


def test_devices_that_are_not_there_are_told() -> None:
    scene = make_scene()
    assert scene.to("cpu") is scene.to(torch.device("cpu")) is scene
    for device in ("gpu", "cuda:99"):
        with pytest.raises(InputError, match=f"device '{device}' is not available here: choose cpu"):
            scene.to(device)


def test_equal_scenes_have_equal_files(tmp_path: Path) -> None:
    files = []
    for _ in range(16):  # the order of a random header would be the same at times
        make_scene(make_photo()).save(tmp_path / "a.mpi")
        files.append((tmp_path / "a.mpi").read_bytes())
    assert len(set(files)) == 1
