"""The CPU renderer's gradients against those of `reference` in double precision."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_views import planes_of_noise, random_cameras
from torch import Tensor

from mine.render import reference
from mine.render.cpu import gradients as cpu_gradients
from mine.scene.camera import intrinsics, pose

SIZE = (7, 9)


def disparities(batch: int, planes: int) -> Tensor:
    return (0.05 + torch.rand(batch, planes)).sort(descending=True).values


def gradient(render: Any, planes: Tensor, *inputs: Any, weights: Tensor) -> tuple[Tensor, ...]:
    """Rendered colours and depths, with the gradient of a weighted sum of them."""
    planes = planes.clone().requires_grad_()
    view = render(planes, *inputs)
    images = torch.cat([view.rgb, view.depth], dim=1) if isinstance(view, tuple) else view
    return images, *torch.autograd.grad((images * weights).sum(), planes)


def assert_same(render: str, planes: Tensor, *inputs: Any, weights: Tensor) -> None:
    expected = gradient(
        getattr(reference, render),
        planes.double(),
        *(x.double() if isinstance(x, Tensor) else x for x in inputs),
        weights=weights.double(),
    )
    found = gradient(getattr(cpu_gradients, render), planes, *inputs, weights=weights)
    for actual, exact in zip(found, expected, strict=True):
        # Where a sample lies on a pixel's edge, float32 and float64 may take different neighbours: few, if any.
        wrong = (actual - exact).abs() > 1e-3 * exact.abs() + 1e-4 * exact.abs().max()
        assert wrong.float().mean() < 2e-3


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    planes=st.integers(2, 6),
    density=st.sampled_from([0.1, 2.0, 50.0]),
    turn=st.sampled_from([0.0, 0.1, 0.5]),
    move=st.sampled_from([0.02, 0.5]),
    seed=st.integers(0, 2**16),
)
def test_gradients_of_views(planes: int, density: float, turn: float, move: float, seed: int) -> None:
    torch.manual_seed(seed)
    target = (6, 11)
    scene, cameras = planes_of_noise(2, planes, density, SIZE), random_cameras(2, turn, move, (SIZE, target))
    assert_same("render", scene, disparities(2, planes), *cameras, target, weights=torch.randn(2, 4, *target))


def test_gradients_of_planes_behind_the_camera_and_of_opaque_ones() -> None:
    torch.manual_seed(0)
    disparity, K = torch.tensor([[2.0, 1.0, 0.5, 0.1]]), intrinsics(SIZE)[None]
    weights = torch.randn(1, 4, *SIZE)
    for density, depth in ((1.0, -1.2), (1e4, 0.1)):
        T = pose(translation=torch.tensor([0.1, 0.0, depth]))[None]
        assert_same("render", planes_of_noise(1, 4, density, SIZE), disparity, K, K, T, SIZE, weights=weights)


@pytest.mark.parametrize("density", [0.1, 2.0, 100.0])
def test_gradients_of_the_source_blended_in(density: float) -> None:
    torch.manual_seed(1)
    scene, K = planes_of_noise(2, 5, density, SIZE), intrinsics(SIZE, 70).expand(2, 3, 3)
    inputs = disparities(2, 5), K, torch.rand(2, 3, *SIZE)
    assert_same("blend_source", scene, *inputs, weights=torch.randn(2, 5, 4, *SIZE))


def test_gradients_do_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(2)
    scene, cameras = planes_of_noise(3, 4, 2.0, (40, 9)), random_cameras(3, 0.1, 0.1, ((40, 9), SIZE))
    disparity, weights = disparities(3, 4), torch.randn(3, 4, *SIZE)
    K_src, threads = cameras[0], torch.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            of_view = gradient(cpu_gradients.render, scene, disparity, *cameras, SIZE, weights=weights)
            blended = (disparity, K_src, torch.rand(3, 3, 40, 9, generator=torch.Generator().manual_seed(0)))
            of_blend = gradient(cpu_gradients.blend_source, scene, *blended, weights=scene)
            found.append((*of_view, *of_blend))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
