"""Which backend renders a call, how a program chooses one, and that gradients come from the fastest that has them."""

import sys
from inspect import unwrap
from itertools import product
from typing import get_args

import pytest
import torch
from random_views import planes_of_noise, random_cameras
from torch import Tensor

from mine import render as rendering
from mine.errors import InputError
from mine.render import BACKENDS, Backend, Prepared, View, blend_source, prepare, reference, render, use_backend
from mine.render.backends import Call, find_blend_source, find_implementation
from mine.render.cpu import gradients as cpu_gradients
from mine.render.cpu import render as cpu
from mine.scene.camera import resize_intrinsics

SIZE, TARGET = (9, 14), (6, 11)


def call_on(device: str, *gradients: str, dtype: torch.dtype = torch.float32, detail: bool = False) -> Call:
    return Call(device, dtype, frozenset(gradients), detail or "image" in gradients)


def chosen(call: Call, backend: Backend = "auto") -> str:
    found = find_implementation(call, backend)
    return found.module.removeprefix("mine.render.")


def scene(batch: int = 1, planes: int = 3) -> tuple[Tensor, ...]:
    """Planes, disparity, source and target intrinsics, poses."""
    torch.manual_seed(0)
    disparity = torch.linspace(1, 0.1, planes).expand(batch, planes)
    return planes_of_noise(batch, planes, 2.0, SIZE), disparity, *random_cameras(batch, 0.1, 0.1, (SIZE, TARGET))


# The table


def test_every_named_backend_is_in_the_table_and_can_be_imported() -> None:
    assert {row.backend for row in BACKENDS} == set(get_args(Backend)) - {"auto"}
    for row in BACKENDS:
        if row.backend != "triton":
            assert callable(row.load().render)


def test_the_first_backend_that_supports_the_call_is_chosen() -> None:
    assert chosen(call_on("cpu")) == chosen(call_on("cpu", detail=True)) == "cpu.render"
    assert chosen(call_on("cpu", dtype=torch.float64)) == "cpu.render"
    assert chosen(call_on("cpu", "planes")) == "cpu.gradients"
    assert chosen(call_on("meta")) == "reference"
    for gradients in ({"cameras"}, {"image"}, {"planes", "cameras"}, {"planes", "image"}):
        assert chosen(call_on("cpu", *gradients)) == "reference"
    assert chosen(call_on("cpu", "planes", detail=True)) == "reference"
    for dtype in (torch.float64, torch.bfloat16):
        assert chosen(call_on("cpu", "planes", dtype=dtype)) == "reference"


def test_gpus_render_with_triton_where_it_has_type_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="Triton exists for Linux only")
    for gradients in (set(), {"planes"}, {"image"}, {"planes", "image"}):
        assert chosen(call_on("cuda", *gradients)) == "triton.render"
    assert chosen(call_on("cuda", "cameras")) == "reference"
    assert chosen(call_on("cuda", dtype=torch.float64)) == "reference"
    monkeypatch.setitem(sys.modules, "triton", None)
    assert chosen(call_on("cuda")) == "reference"


def test_a_call_is_described_by_the_gradients_that_autograd_records() -> None:
    def described(learnt: str) -> frozenset[str]:
        tensors = {
            name: torch.zeros(1, requires_grad=name == learnt) for name in ("planes", "detail", "disparity", "T")
        }
        return Call.describe(*tensors.values(), detail=True).gradients

    expected = {"": set(), "planes": {"planes"}, "detail": {"image"}, "disparity": {"cameras"}, "T": {"cameras"}}
    for name, gradients in expected.items():
        assert described(name) == gradients
        with torch.no_grad():
            assert described(name) == set()


def test_unknown_backends_are_refused() -> None:
    # Unwrapped, for the tests' check of annotated types would be first.
    with pytest.raises(InputError, match="unknown backend 'gpu'"):
        unwrap(find_implementation)(call_on("cpu"), "gpu")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown backend 'fast'"):
        next(unwrap(use_backend)("fast"))  # type: ignore[arg-type]
    assert chosen(call_on("cpu")) == "cpu.render"


def test_gradients_that_a_backend_lacks_are_refused() -> None:
    with pytest.raises(InputError, match='"cpu" has no gradients of cameras'):
        find_implementation(call_on("cpu", "cameras"), "cpu")
    with pytest.raises(InputError, match='"cpu" has no gradients of planes of a scene with detail'):
        find_implementation(call_on("cpu", "planes", detail=True), "cpu")
    with pytest.raises(InputError, match="float32 planes on the CPU"):
        planes, *others = scene()
        render(planes.double().requires_grad_(), *others, TARGET, backend="cpu")  # type: ignore[arg-type]


# The switch


def test_a_program_chooses_a_backend() -> None:
    with use_backend("reference"):
        assert chosen(call_on("cpu")) == "reference"
        assert chosen(call_on("cpu"), "cpu") == "cpu.render", "a backend named in the call has precedence"
        with use_backend("auto"):
            assert chosen(call_on("cpu")) == "cpu.render"
        assert chosen(call_on("cpu")) == "reference"
    assert chosen(call_on("cpu")) == "cpu.render"


def test_the_choice_ends_with_its_block_even_if_that_fails() -> None:
    with pytest.raises(KeyError), use_backend("reference"):
        raise KeyError
    assert chosen(call_on("cpu")) == "cpu.render"


def test_the_choice_holds_for_blending() -> None:
    assert find_blend_source(call_on("cpu")).backend == "cpu"
    assert find_blend_source(call_on("cuda")).backend == "reference"
    for backend in ("reference", "triton"):
        with use_backend(backend):  # type: ignore[arg-type]
            assert find_blend_source(call_on("cpu")).backend == "reference"


# What is rendered


def same(one: View, other: View) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


def test_automatic_gradients_of_planes_are_those_of_the_compiled_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    planes, *others = scene(2)
    found = []
    for function in (render, cpu_gradients.render):
        learnt = planes.clone().requires_grad_()
        view = function(learnt, *others, TARGET)  # type: ignore[operator]
        (view.rgb.sum() + view.depth.sum()).backward()
        found.append((view, learnt.grad))
    assert same(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_automatic_gradients_of_poses_are_those_of_the_reference() -> None:
    *others, T = scene()
    found = []
    for function in (render, reference.render):
        learnt = T.clone().requires_grad_()
        function(*others, learnt, TARGET).rgb.sum().backward()  # type: ignore[operator]
        found.append(learnt.grad)
    assert found[0].abs().sum() > 0
    assert torch.equal(*found)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_one_of_anything_broadcasts_over_many_of_the_rest(backend: Backend) -> None:
    for many in range(6):
        one, two = ([*scene(batch), torch.rand(batch, 3, 20, 30)] for batch in (1, 2))
        arguments = [y if i == many else x for i, (x, y) in enumerate(zip(one, two, strict=True))]
        if many in (1, 2):  # a batch of disparities or source cameras is one of scenes
            arguments[0] = two[0]
        view = render(*arguments[:5], TARGET, arguments[5], backend=backend)
        assert len(view.rgb) == 2
        for b in range(2):
            alone = [x[b : b + 1] if len(x) == 2 else x for x in arguments]
            expected = render(*alone[:5], TARGET, alone[5], backend="reference")
            torch.testing.assert_close(view.rgb[b], expected.rgb[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_views_from_right_angles_are_finite(backend: Backend, dtype: torch.dtype) -> None:
    """Rays along the planes meet them nowhere, or everywhere; even sides put a pixel on the axis."""
    planes, disparity, K_src, K_tgt, _ = (x.to(dtype) for x in scene())
    for turn, move in product([(0, 2), (0, 1), (1, 2)], [(0, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1)]):
        for sine in (1, -1):
            T = torch.eye(4, dtype=dtype)[None]
            T[0, turn, turn], T[0, turn[0], turn[1]], T[0, turn[1], turn[0]] = 0, sine, -sine
            T[0, :3, 3] = torch.tensor(move, dtype=dtype)
            for size in (TARGET, (1, 1), (8, 12)):
                K = resize_intrinsics(K_tgt[0], TARGET, size)[None]
                view = render(planes, disparity, K_src, K, T, size, backend=backend)
                assert all(torch.isfinite(part).all() for part in view), (turn, move, size)


def test_a_prepared_scene_renders_what_render_does() -> None:
    planes, disparity, K_src, K_tgt, T = scene(2)
    prepared = prepare(planes, disparity, K_src)
    for backend in ("cpu", "reference"):
        for _ in range(2):
            view = prepared.render(K_tgt, T, TARGET, backend)  # type: ignore[arg-type]
            assert same(view, render(planes, disparity, K_src, K_tgt, T, TARGET, backend=backend))  # type: ignore[arg-type]


def test_a_prepared_scene_still_has_gradients_of_poses() -> None:
    planes, disparity, K_src, K_tgt, T = scene()
    prepared = prepare(planes, disparity, K_src)
    assert not prepared.render(K_tgt, T, TARGET).rgb.requires_grad
    assert prepared.render(K_tgt, T.clone().requires_grad_(), TARGET).rgb.requires_grad


def test_blending_has_gradients_and_overwrites_only_what_needs_none() -> None:
    planes, disparity, K_src, *_ = scene()
    image = torch.rand(1, 3, *SIZE)
    expected = reference.blend_source(planes, disparity, K_src, image)
    learnt = planes.clone().requires_grad_()
    blended = blend_source(learnt, disparity, K_src, image)
    assert torch.equal(learnt, planes) and blended.requires_grad
    torch.testing.assert_close(blended.detach(), expected, rtol=1e-4, atol=1e-5)
    laid_out = rendering.join(planes[:, :, :3], planes[:, :, 3:])
    blended = blend_source(laid_out, disparity, K_src, image)
    assert blended.data_ptr() == laid_out.data_ptr()
    torch.testing.assert_close(blended, expected, rtol=1e-4, atol=1e-5)
    assert cpu.blend_source_ is getattr(cpu, str(find_blend_source(call_on("cpu")).blend_source))


@pytest.mark.parametrize("learnt", [False, True])
def test_one_of_anything_blends_with_many_of_the_rest(learnt: bool) -> None:
    for many in range(4):
        one, two = ([*scene(batch)[:3], torch.rand(batch, 3, *SIZE)] for batch in (1, 2))
        arguments = [y if i == many else x for i, (x, y) in enumerate(zip(one, two, strict=True))]
        expected = [reference.blend_source(*(x[b : b + 1] if len(x) == 2 else x for x in arguments)) for b in range(2)]
        arguments[0] = arguments[0].clone().requires_grad_(learnt)
        blended = blend_source(*arguments)
        torch.testing.assert_close(blended.detach(), torch.cat(expected), rtol=1e-4, atol=1e-5)
        assert blended.requires_grad == learnt


def test_parts_that_do_not_fit_the_planes_are_refused() -> None:
    """Compiled kernels would read past their ends."""
    planes, disparity, K_src, *_ = scene(2)
    image, reach = torch.rand(2, 3, *SIZE), torch.rand(2, 1, *SIZE)
    for other in (disparity[:, :2], disparity[0], disparity.repeat(2, 1)):
        with pytest.raises(InputError, match=r"disparity has shape .*: give \((2|4), 3\)|planes has shape"):
            blend_source(planes, other, K_src, image)
        with pytest.raises(InputError, match=r"disparity has shape .*: give \((2|4), 3\)|planes has shape"):
            unwrap(Prepared.__init__)(object.__new__(Prepared), planes, other, K_src)
    with pytest.raises(InputError, match=r"image has shape \(2, 3, 8, 14\): give \(2, 3, 9, 14\)"):
        blend_source(planes, disparity, K_src, image[:, :, :-1])
    with pytest.raises(InputError, match=r"photo_reach has shape \(2, 1, 8, 14\)"):
        unwrap(Prepared.__init__)(object.__new__(Prepared), planes, disparity, K_src, image, reach[:, :, :-1])
