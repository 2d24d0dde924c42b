"""Work that a GPU lacks memory for: halved groups, then the CPU; simulated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import mine
from mine.errors import InputWarning
from mine.kernels.gpu_memory import halve_until_it_fits
from mine.network.planes.network import PlaneNetwork
from mine.render import View, prepare, reference, use_backend
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

SIZE = (12, 16)


def scene() -> MPI:
    generator = torch.Generator().manual_seed(0)
    rgb, sigma = (torch.rand(4, channels, *SIZE, generator=generator) for channels in (3, 1))
    return MPI(rgb, sigma, torch.tensor([1.0, 0.5, 0.3, 0.2]), intrinsics(SIZE), torch.rand(3, 24, 32))


def fitting(most: int, function: Callable[..., Any], items: Callable[..., int], calls: list[int]) -> Callable[..., Any]:
    """The function, as it would run on a GPU that has memory for `most` of its items."""

    def limited(*arguments: Any, **options: Any) -> Any:
        calls.append(items(*arguments, **options))
        if calls[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return function(*arguments, **options)

    return limited


def poses(count: int) -> Tensor:
    T = torch.eye(4).repeat(count, 1, 1)
    T[:, 0, 3] = torch.linspace(0, 0.1, count)
    return T


def same(one: View, other: View) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize(("group", "most", "tried"), [(8, 8, [8]), (8, 3, [8, 4, 2]), (5, 1, [5, 2, 1])])
def test_groups_are_halved_until_they_fit(group: int, most: int, tried: list[int]) -> None:
    calls: list[int] = []
    assert halve_until_it_fits(fitting(most, lambda group: f"by {group}", int, calls), group) == f"by {tried[-1]}"
    assert calls == tried


def test_what_does_not_fit_one_by_one_is_raised() -> None:
    calls: list[int] = []
    with pytest.raises(torch.OutOfMemoryError):
        halve_until_it_fits(fitting(0, str, int, calls), 4)
    assert calls == [4, 2, 1]


def test_other_errors_are_raised_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        halve_until_it_fits(lambda group: 1 / 0, 4)


@pytest.mark.parametrize("batch", [1, 7])
def test_views_in_halved_groups_are_those_of_one_call(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Of one scene from many cameras, and of a batch of scenes, with detail."""
    torch.manual_seed(0)
    planes, disparity = torch.rand(batch, 4, 4, *SIZE), torch.tensor([[1.0, 0.5, 0.3, 0.2]])
    prepared = prepare(planes, disparity, intrinsics(SIZE)[None], torch.rand(batch, 3, 24, 32) / 10)
    arguments = intrinsics(SIZE)[None], poses(7), SIZE, "reference"
    expected = prepared.render(*arguments)  # type: ignore[arg-type]
    calls: list[int] = []
    monkeypatch.setattr(reference, "render", fitting(2, reference.render, lambda planes, *rest: len(planes), calls))
    assert same(prepared.render(*arguments), expected)  # type: ignore[arg-type]
    assert calls == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_views_that_do_not_fit_a_gpu_are_rendered_on_the_cpu_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the GPU is not tried again for views of the same size."""
    own, T = scene(), poses(3)
    with use_backend("reference"):
        expected, small = own.render(T, fine=False), own.render(T, size=(6, 8), fine=False)
        calls: list[int] = []
        tried = MPI._render

        def render_on_gpu(self: MPI, K: Tensor, T: Tensor, size: tuple[int, int], *rest: Any) -> Any:
            if self is own and size == own.size:
                calls.append(1)
                raise torch.OutOfMemoryError("CUDA out of memory")
            return tried(self, K, T, size, *rest)

        monkeypatch.setattr(MPI, "_render", render_on_gpu)
        monkeypatch.setattr(MPI, "to", lambda self, device: scene_on(device, self))
        for _ in range(2):
            with pytest.warns(InputWarning, match="views of 32x24 pixels do not fit .* rendered on the CPU"):
                assert same(own.render(T, fine=False), expected)
        assert len(calls) == 1
        assert same(own.render(T, size=(6, 8), fine=False), small)


def scene_on(device: torch.device | str, scene: MPI) -> MPI:
    """A copy, as of a scene on a GPU."""
    assert device == "cpu"
    return MPI(scene.rgb, scene.sigma, scene.disparity, scene.K, scene.photo)


def test_planes_that_do_not_fit_a_gpu_are_predicted_in_smaller_groups(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mine.load(tiny_checkpoint, device="cpu", dtype="float16")  # as on GPUs, where groups go through torch
    image = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    expected = model.predict(image, planes=6)
    calls: list[int] = []
    forward = PlaneNetwork.forward
    monkeypatch.setattr(PlaneNetwork, "forward", fitting(1, forward, lambda *inputs, group: group, calls))
    found = model.predict(image, planes=6)
    assert calls == [4, 2, 1]
    torch.testing.assert_close(found.planes, expected.planes, rtol=1e-3, atol=1e-3)


def test_scenes_that_do_not_fit_a_gpu_are_predicted_on_the_cpu_with_a_warning(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mine.load(tiny_checkpoint, device="cpu", dtype="float32")
    image = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    expected = model.predict(image, planes=3)
    monkeypatch.setattr(model, "_predict_planes", fitting(0, model._predict_planes, lambda *inputs: 1, []))
    with pytest.warns(InputWarning, match="planes of 384x384 pixels do not fit .* predicted on the CPU"):
        found = model.predict(image, planes=3)
    assert torch.equal(found.planes, expected.planes) and found.planes.device.type == "cpu"
    assert model.device.type == "cpu"
