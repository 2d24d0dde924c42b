"""The Triton renderer and its gradients against `reference` in double precision.

Without a GPU the kernels run in Triton's interpreter, on small images; that they compile is a test of its own.
"""

import importlib.util
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from random_views import planes_of_noise, random_cameras, render_in_double, rotation
from torch import Tensor

from mine.errors import InputError
from mine.render import View, render
from mine.render.triton import render as gpu
from mine.scene.camera import intrinsics, pose

triton = pytest.importorskip("triton", reason="Triton exists for Linux only")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PLANE_SIZE, SIZE = (7, 11), (5, 7)

random_planes = partial(planes_of_noise, size=PLANE_SIZE)
cameras = partial(random_cameras, sizes=(PLANE_SIZE, SIZE))


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are interpreted if this is set when they are first imported."""
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def fast_interpreter(interpreted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortcuts through the interpreter that change no result."""
    if DEVICE == "cpu":
        monkeypatch.setattr(gpu, "TILE", (4, 8))
        # The interpreter vectorises this function; it would call any other for each pixel.
        kernels = importlib.import_module("mine.render.triton.kernels")
        monkeypatch.setattr(kernels, "_maximum", triton.language.standard._elementwise_max)
        # It would set itself up again whenever one kernel calls another.
        interpreter = importlib.import_module("triton.runtime.interpreter")
        monkeypatch.setattr(interpreter.InterpretedFunction, "__call__", lambda self, *a, **k: self.rewrite()(*a, **k))


def disparities(batch: int, planes: int) -> Tensor:
    return torch.linspace(1, 0.1, planes).expand(batch, planes)


def on_device(*arguments: Tensor | tuple[int, int] | None) -> View:
    return gpu.render(*(a.to(DEVICE) if isinstance(a, Tensor) else a for a in arguments))


def assert_same(actual: View, expected: View, tolerance: float) -> None:
    """Depths on the scale of the scene. Coverage may differ where a sample lies exactly at -1 or W."""
    torch.testing.assert_close(actual.rgb.cpu().double(), expected.rgb, atol=tolerance, rtol=0)
    torch.testing.assert_close(actual.depth.cpu().double(), expected.depth, atol=tolerance, rtol=tolerance)
    assert (actual.mask.cpu() != expected.mask).double().mean() < 1e-2


def assert_relative(actual: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """The largest difference, and the difference as a whole, against those of what is expected."""
    difference = actual.cpu().double() - expected
    assert torch.isfinite(difference).all()
    assert difference.abs().max() <= tolerance * expected.abs().max()
    assert difference.norm() <= tolerance * expected.norm()


def assert_same_gradients(
    planes: Tensor,
    disparity: Tensor,
    K_src: Tensor,
    K_tgt: Tensor,
    T: Tensor,
    size: tuple[int, int],
    detail: Tensor | None,
) -> None:
    """Views, and gradients of random sums of their colours and depths: densities' and colours' each by themselves."""
    views, learnt = [], []
    for rendered in (on_device, render_in_double):
        leaves = [None if x is None else x.detach().clone().requires_grad_() for x in (planes, detail)]
        views.append(rendered(leaves[0], disparity, K_src, K_tgt, T, size, leaves[1]))
        learnt.append(leaves)
    assert_same(views[0], views[1], 5e-5)
    scales = [torch.randn(x.shape, dtype=torch.double) for x in views[0][:2]]
    for view in views:
        assert not view.mask.requires_grad
        sum((scale.to(x) * x).sum() for scale, x in zip(scales, view[:2], strict=True)).backward()
    (actual, actual_detail), (expected, expected_detail) = learnt
    assert_relative(actual.grad[:, :, :3], expected.grad[:, :, :3])
    assert_relative(actual.grad[:, :, 3], expected.grad[:, :, 3])
    if detail is not None:
        assert_relative(actual_detail.grad, expected_detail.grad)


@pytest.mark.parametrize("seed", range(8))
def test_views_and_gradients_agree_with_the_reference(seed: int) -> None:
    torch.manual_seed(seed)
    batch, planes, detailed = 1 + seed % 2, 2 + seed % 4, seed % 3 == 1
    turn, move, density = (0.0, 0.05, 0.5)[seed % 3], (0.1, 0.5)[seed // 2 % 2], (0.1, 3.0, 30.0)[seed // 3]
    detail = torch.rand(batch, 3, 9, 17) - 0.5 if detailed else None
    scenes = random_planes(batch, planes, density)
    assert_same_gradients(scenes, disparities(batch, planes), *cameras(batch, turn, move), SIZE, detail)


@pytest.mark.parametrize("seed", range(4))
def test_views_without_gradients_agree_with_the_reference(seed: int) -> None:
    """From any camera, with early ray termination."""
    torch.manual_seed(seed)
    scenes, detail = random_planes(2, 4, (0.0, 1.0, 10.0, 1000.0)[seed]), torch.rand(2, 3, 15, 9) - 0.5
    arguments = (scenes, disparities(2, 4), *cameras(2, 3.0, 0.5), SIZE, detail if seed % 2 else None)
    assert_same(on_device(*arguments), render_in_double(*arguments), 2e-4)


def test_detail_is_shown_down_to_a_disparity_at_each_pixel() -> None:
    torch.manual_seed(0)
    planes = torch.linspace(1, 0.1, 4)
    reach = planes[torch.randint(4, (2, 1, *PLANE_SIZE))]
    scenes, detail = random_planes(2, 4, 1.0), torch.rand(2, 3, 15, 9) - 0.5
    arguments = (scenes, planes.expand(2, 4), *cameras(2, 0.05, 0.1), SIZE, detail, reach)
    assert_same(on_device(*arguments), render_in_double(*arguments), 2e-4)


def test_gradients_pass_planes_behind_the_camera() -> None:
    torch.manual_seed(0)
    K = intrinsics(PLANE_SIZE)[None]
    beyond = pose(rotation(torch.tensor([0.05, 0.1, 0.0])), torch.tensor([0.1, 0.0, -2.0]))[None]
    disparity = 1 / torch.tensor([[1.0, 1.7, 2.5, 6.0]])
    planes = random_planes(1, 4, 2.0)
    assert_same_gradients(planes, disparity, K, K, beyond, SIZE, None)
    leaf = planes.requires_grad_()
    sum(x.sum() for x in on_device(leaf, disparity, K, K, beyond, SIZE)[:2]).backward()
    assert (leaf.grad[:, 0] == 0).all() and leaf.grad[:, 3].abs().sum() > 0


def test_gradients_survive_many_opaque_planes() -> None:
    """The transmittance behind eight of them is below the smallest float32."""
    torch.manual_seed(0)
    planes = random_planes(1, 8, 1.0)
    planes[:, :, 3, :, 4:] = 1e3
    planes[:, :, 3, 3:, 8:] *= torch.arange(8)[:, None, None] % 2
    assert_same_gradients(planes, disparities(1, 8), *cameras(1, 0.05, 0.1), SIZE, None)


@pytest.mark.parametrize("plane_size", [(1, 1), (1, 9), (9, 1)])
def test_planes_one_pixel_wide(plane_size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    K_src = torch.tensor([[[10.0, 0, 1], [0, 10, 1], [0, 0, 1]]])
    scenes, T = random_planes(1, 2, 2.0, size=plane_size), cameras(1, 0.1, 0.1)[2]
    assert_same_gradients(scenes, disparities(1, 2), K_src, K_src, T, (4, 5), torch.rand(1, 3, *plane_size))


def test_tiles_of_the_size_used_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without the shortcuts."""
    monkeypatch.undo()
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    torch.manual_seed(0)
    assert_same_gradients(random_planes(1, 2, 2.0), disparities(1, 2), *cameras(1, 0.1, 0.1), (2, 33), None)


def test_one_scene_gathers_the_gradients_of_all_its_views() -> None:
    """It is read in place, and other intrinsics and disparities may go with each view."""
    torch.manual_seed(0)
    scene, detail = random_planes(1, 3, 2.0).requires_grad_(), torch.rand(1, 3, 9, 17).requires_grad_()
    K_src = torch.stack([intrinsics(PLANE_SIZE, 90), intrinsics(PLANE_SIZE, 50)])
    disparity = torch.stack([torch.linspace(1, 0.1, 3), torch.linspace(0.5, 0.3, 3)])
    _, K_tgt, T = cameras(2, 0.1, 0.1)
    gradients = []
    for rendered in (on_device, render_in_double):
        arguments = (scene.expand(2, -1, -1, -1, -1), disparity, K_src, K_tgt, T, SIZE, detail.expand(2, -1, -1, -1))
        gradients.append(torch.autograd.grad(rendered(*arguments).rgb.sin().sum(), (scene, detail)))
    for actual, expected in zip(*gradients, strict=True):
        assert_relative(actual, expected.double())


def test_half_precision_planes_have_half_precision_gradients() -> None:
    torch.manual_seed(0)
    planes = random_planes(1, 3, 2.0).half().requires_grad_()
    arguments = (disparities(1, 3), *cameras(1, 0.1, 0.1), SIZE)
    view, expected = on_device(planes, *arguments), render_in_double(planes, *arguments)
    assert_same(view, expected, 2e-5)
    assert view.rgb.dtype == torch.float32
    actual = torch.autograd.grad(view.rgb.sum(), planes)[0]
    assert actual.dtype == torch.half
    assert_relative(actual, torch.autograd.grad(expected.rgb.sum(), planes)[0].double(), 1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, which the interpreter computes with
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_input_that_is_not_finite_reads_nothing_outside_the_planes(value: float) -> None:
    """The public function refuses such poses; here a wrong read could end the process."""
    K_src, K_tgt, T = cameras(1, 0.0, 0.0)
    T = T.clone()
    T[0, 0, 0], T[0, 2, 3] = value, value
    planes = random_planes(1, 2, 1.0).requires_grad_()
    view = on_device(planes, disparities(1, 2), K_src, K_tgt, T, SIZE, torch.rand(1, 3, 9, 17))
    view.rgb.sum().backward()
    assert view.mask.shape == (1, 1, *SIZE)


def test_the_public_function_renders_with_triton() -> None:
    torch.manual_seed(0)
    arguments = [x.to(DEVICE) for x in (random_planes(1, 2, 1.0), disparities(1, 2), *cameras(2, 0.1, 0.1))]
    view = render(*arguments, SIZE, backend="triton")
    assert view.rgb.device.type == DEVICE
    assert_same(view, render(*(x.cpu().double() for x in arguments), SIZE, backend="reference"), 2e-4)


def test_gradients_of_cameras_are_refused() -> None:
    K_src, K_tgt, T = cameras(1, 0.0, 0.0)
    with pytest.raises(InputError, match="no gradients of cameras"):
        on_device(random_planes(1, 2, 1.0), disparities(1, 2), K_src, K_tgt, T.requires_grad_(), SIZE)


def test_a_missing_gpu_or_triton_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (random_planes(1, 2, 1.0), disparities(1, 2), *cameras(1, 0.0, 0.0), SIZE)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(InputError, match="found cpu"):
        gpu.render(*arguments)
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(InputError, match="needs Triton"):
        gpu.render(*arguments)


@pytest.fixture
def compilable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    """A second copy of the kernels, for a GPU even where the first is interpreted."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    spec = importlib.util.find_spec("mine.render.triton.kernels")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


@pytest.mark.parametrize(
    ("name", "planes", "constants"),
    [
        ("forward", "*fp32", {"DETAILED": False, "KEEP_STATE": False}),
        ("forward", "*fp16", {"DETAILED": True, "KEEP_STATE": True}),
        ("backward", "*bf16", {"DETAILED": True, "DETAIL_GRAD": True}),
    ],
)
def test_kernels_compile_for_a_gpu(compilable: object, name: str, planes: str, constants: dict[str, bool]) -> None:
    """Down to machine code, which needs no GPU; the interpreter accepts what the compiler would not."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(compilable, name)
    fixed = {**constants, "TILE_H": 4, "TILE_W": 32}
    types = dict.fromkeys(kernel.arg_names, "*fp32") | dict.fromkeys(compilable.SIZES, "i32") | {"planes": planes}
    types |= {name: "i32" for name in kernel.arg_names if name.endswith("stride")} | dict.fromkeys(fixed, "constexpr")
    types |= {"min_weight": "fp32"} if name == "forward" else {}
    source = ASTSource(kernel, {argument: types[argument] for argument in kernel.arg_names}, fixed)
    compiled = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": gpu.WARPS})
    assert len(compiled.asm["cubin"]) > 0
