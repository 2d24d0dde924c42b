"""Results on any number of threads: views are the same bits, predictions the same to a bound."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

import mine
from mine.scene.camera import intrinsics

Result = TypeVar("Result")

COUNTS = (1, 2, 3)


def on_threads(compute: Callable[[], Result]) -> list[Result]:
    """What is computed on each of `COUNTS` threads."""
    usual, results = torch.get_num_threads(), []
    try:
        for count in COUNTS:
            torch.set_num_threads(count)
            results.append(compute())
    finally:
        torch.set_num_threads(usual)
    return results


def scene(with_photo: bool) -> mine.MPI:
    generator = torch.Generator().manual_seed(0)
    size = 37, 53
    rgb, sigma = (torch.rand(6, channels, *size, generator=generator) for channels in (3, 1))
    photo = torch.rand(3, 111, 159, generator=generator) if with_photo else None
    return mine.MPI(rgb, sigma, torch.linspace(1, 0.1, 6), intrinsics(size), photo)


@pytest.mark.parametrize("with_photo", [False, True])
def test_views_are_the_same_bits_on_any_number_of_threads(with_photo: bool) -> None:
    rendered, T = scene(with_photo), mine.paths.circle(3)
    first, *others = on_threads(lambda: rendered.render(T, size=(61, 45)))
    for other in others:
        assert all(torch.equal(x, y) for x, y in zip(first, other, strict=True))


def test_predictions_on_any_number_of_threads_differ_by_rounding_alone() -> None:
    """By what oneDNN and torch divide among threads; docs/reliability.md names the operators."""
    model = mine.load(device="cpu")
    scenes = on_threads(lambda: model.predict("data/samples/cat.jpg", planes=4))
    views = [scene.render(mine.paths.circle(2), size=(128, 192)) for scene in scenes]
    for found, view in zip(scenes[1:], views[1:], strict=True):
        torch.testing.assert_close(found.disparity, scenes[0].disparity, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(view.rgb, views[0].rgb, rtol=0, atol=1e-4)
        torch.testing.assert_close(view.depth, views[0].depth, rtol=1e-4, atol=0)


def test_predictions_on_the_same_number_of_threads_are_the_same_bits() -> None:
    model = mine.load(device="cpu")
    first, second = (model.predict("data/samples/cat.jpg", planes=4) for _ in range(2))
    assert torch.equal(first.planes, second.planes) and torch.equal(first.disparity, second.disparity)
