"""What the Python interface takes in place of tensors, and what it says of anything else."""

from inspect import unwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import mine
from mine.output.video import render_path
from mine.scene.as_tensor import as_tensor

pytestmark = pytest.mark.usefixtures("reference_renderer")


def parts() -> dict[str, torch.Tensor]:
    """The parts of a small scene."""
    generator = torch.Generator().manual_seed(0)
    return {
        "rgb": torch.rand(3, 3, 24, 32, generator=generator),
        "sigma": torch.rand(3, 1, 24, 32, generator=generator),
        "disparity": torch.tensor([1.0, 0.5, 0.2]),
        "K": torch.tensor([[32.0, 0, 16], [0, 32, 12], [0, 0, 1]]),
    }


def pose() -> torch.Tensor:
    T = torch.eye(4)
    T[0, 3] = 0.1
    return T


@pytest.mark.parametrize("convert", [lambda x: x.numpy(), lambda x: x.double().numpy(), lambda x: x.tolist()])
def test_scenes_and_views_of_arrays_are_those_of_tensors(convert) -> None:
    expected = mine.MPI(**parts()).render(pose(), K=parts()["K"])
    scene = mine.MPI(**{name: convert(value) for name, value in parts().items()})
    for T in (pose(), pose()[None]):
        view = scene.render(convert(T), K=convert(parts()["K"]))
        torch.testing.assert_close(view.rgb, expected.rgb)
        torch.testing.assert_close(view.depth, expected.depth)


def test_a_path_of_arrays_is_rendered() -> None:
    scene = mine.MPI(**parts())
    given, expected = (next(render_path(scene, path)) for path in (pose()[None].numpy(), pose()[None]))
    torch.testing.assert_close(given.rgb, expected.rgb)


def test_predictions_take_arrays(tiny_checkpoint: Path) -> None:
    model = mine.load(tiny_checkpoint, device="cpu", dtype="float32")
    photo = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    K = np.array([[90, 0, 48], [0, 90, 32], [0, 0, 1]])
    given = model.predict(photo, planes=np.int64(2), size=(128, 128), K=K)
    assert given.planes.shape[0] == 2
    assert model.predict(photo, disparity=np.array([1, 0.5, 0.1]), size=(128, 128)).planes.shape[0] == 3
    torch.testing.assert_close(given.K[0, 0], torch.tensor(120.0))


@pytest.mark.parametrize("dtype", [torch.float32, "float32", "torch.float32"])
def test_dtypes_have_names_too(tiny_checkpoint: Path, dtype) -> None:
    load = unwrap(mine.load)
    assert load(tiny_checkpoint, device=torch.device("cpu"), dtype=dtype).dtype == torch.float32


@pytest.mark.parametrize("dtype", ["int8", torch.int8, "float", None, 32, "Tensor"])
def test_other_dtypes_are_refused_before_the_checkpoint_is_read(dtype) -> None:
    with pytest.raises(mine.InputError, match="choose auto, float32, bfloat16, float16"):
        unwrap(mine.load)("nowhere.safetensors", dtype=dtype)


def test_arguments_of_other_kinds_are_told_in_one_line(tiny_checkpoint: Path) -> None:
    model, scene = mine.load(tiny_checkpoint, device="cpu"), mine.MPI(**parts())
    predict, photo = unwrap(mine.Model.predict), np.zeros((32, 32, 3), np.uint8)
    calls = [
        (lambda: unwrap(mine.load)(3), "checkpoint is a int"),
        (lambda: unwrap(mine.load)(tiny_checkpoint, device=3.5), "device 3.5"),
        (lambda: predict(model, photo, planes="32"), "planes is '32'"),
        (lambda: predict(model, photo, fov="wide"), "field of view is 'wide'"),
        (lambda: predict(model, photo, disparity="near"), "disparity is a str"),
        (lambda: unwrap(mine.MPI.render)(scene, "left"), "pose is a str"),
        (lambda: unwrap(mine.MPI.render)(scene, None), "pose is a NoneType"),
        (lambda: unwrap(mine.MPI.render)(scene, pose(), K={"fx": 1}), "K is a dict"),
    ]
    for call, told in calls:
        with pytest.raises(mine.InputError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["text", None, [[1, 2], [3]], [["a"]], np.array([1j]), np.array([True])])
def test_what_holds_no_numbers_is_refused(value) -> None:
    with pytest.raises(mine.InputError, match="the thing"):
        as_tensor(value, "the thing")
