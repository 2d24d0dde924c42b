"""Arguments of the public functions that are of another kind than they take: one line that names them.

Those of `mine.scene` are not tried here: while tests run, jaxtyping refuses them first.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mine
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network
from mine.output.path_edits import resample
from mine.scene.camera import intrinsics

PATH = mine.paths.swing(frames=3)
PHOTO = np.full((48, 64, 3), 99, np.uint8)

WRONG: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "size of predict": (lambda model, scene: model.predict(PHOTO, size=256), "size 256 is not possible"),
    "words for a size": (lambda model, scene: model.predict(PHOTO, size="big"), "size 'big' is not possible"),
    "number of a device": (lambda model, scene: mine.load(device=1), 'device 1 is not possible: give "cuda:1"'),
    "a device of nothing": (lambda model, scene: mine.load(device=None), "device None .*: give auto, cpu or cuda"),
    "fractions": (lambda model, scene: model.predict(PHOTO, size=(128.0, 128.0)), r"size \(128.0, 128.0\) is not"),
    "None in a size": (lambda model, scene: model.predict(PHOTO, size=(None, 128)), r"size \(None, 128\) is not"),
    "meta": (lambda model, scene: model.predict(torch.rand(3, 64, 64, device="meta")), "photo tensor has no values"),
    "sparse": (lambda model, scene: model.predict(torch.rand(3, 64, 64).to_sparse()), "photo tensor has no values"),
    "no poses": (lambda model, scene: scene.render(torch.zeros(0, 4, 4)), "no poses to render from"),
    "number": (lambda model, scene: mine.render_video(scene, PATH, 5), "cannot write to a int: give the name"),
    "no name": (lambda model, scene: mine.render_video(scene, PATH, None), "cannot write to a NoneType"),
    "buffer": (lambda model, scene: mine.render_video(scene, PATH, io.BytesIO()), "cannot write to a BytesIO"),
    "bytes": (lambda model, scene: mine.render_video(scene, PATH, b"x.gif"), "cannot write to a bytes"),
    "depth": (lambda model, scene: mine.render_video(scene, PATH, "x.gif", depth=True), "cannot write to a bool"),
    "fps": (lambda model, scene: mine.render_video(scene, PATH, "x.gif", fps="30"), "fps '30' is out of range"),
    "size of a video": (lambda model, scene: mine.render_video(scene, PATH, "x.gif", size=64), "size 64 is not"),
    "file": (lambda model, scene: mine.render_video("s.mpi", PATH, "x.gif"), "scene is a str: give a scene"),
    "photo": (lambda model, scene: mine.render_video(PHOTO, PATH, "x.gif"), "scene is a ndarray: give a scene"),
    "export a file": (lambda model, scene: mine.export("s.mpi", "x.glb"), "scene is a str: give a scene"),
    "export nowhere": (lambda model, scene: mine.export(scene, None), "cannot write to a NoneType"),
    "size of export": (lambda model, scene: mine.export(scene, "x.glb", size="big"), "size big is out of range"),
    "half a pixel": (lambda model, scene: mine.export(scene, "x.glb", size=64.5), "size 64.5 is out of range"),
    "stereo of a file": (lambda model, scene: mine.render_stereo("s.mpi", "x.png"), "scene is a str: give a scene"),
    "stereo nowhere": (lambda model, scene: mine.render_stereo(scene, None), "cannot write to a NoneType"),
    "eyes": (lambda model, scene: mine.render_stereo(scene, "x.png", eye_distance="3"), "eye distance '3' is out"),
    "path of no scene": (lambda model, scene: mine.paths.scene_path("s.mpi", "swing"), "scene is a str: give a scene"),
    "save for no scene": (lambda model, scene: mine.paths.save_path(PATH, "s.mpi", "a.json"), "scene is a str: give"),
    "near depth": (lambda model, scene: mine.paths.swing(frames=3, depth=None), "depth None is out of range"),
    "load a number": (lambda model, scene: mine.paths.load(5), "cannot read a int: give the name of a file"),
    "view of a path": (
        lambda model, scene: scene.render(mine.paths.dolly_zoom()),
        "pose is a CameraPath: .*poses, focal",
    ),
    "quilt": (lambda model, scene: mine.render_stereo(scene, "x.png", "quilt", quilt="8x6"), "quilt is '8x6': give"),
    "amount": (lambda model, scene: mine.paths.swing(frames=3, amount="2"), "amount '2' is no finite number"),
    "one path": (lambda model, scene: mine.paths.join(PATH), "to join are a OffAxisPoses: give a list"),
    "one camera path": (
        lambda model, scene: mine.paths.join(mine.paths.dolly_zoom()),
        "to join are a CameraPath: give",
    ),
    "resample": (lambda model, scene: resample(PATH, 3), "index is a int: give a tensor"),
}


@pytest.fixture(scope="module")
def model() -> mine.Model:
    return mine.Model(make_network(Architecture("tf_efficientnet_lite0", (4, 4, 4, 4, 4), decoder="disparity")))


@pytest.fixture(scope="module")
def scene() -> mine.MPI:
    rgb, sigma = torch.rand(2, 3, 32, 48), torch.ones(2, 1, 32, 48)
    return mine.MPI(rgb, sigma, torch.tensor([1.0, 0.2]), intrinsics((32, 48)))


@pytest.mark.parametrize("name", WRONG)
def test_arguments_of_another_kind_are_named(
    name: str, model: mine.Model, scene: mine.MPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, told = WRONG[name]
    with pytest.raises(mine.InputError, match=told) as caught:
        call(model, scene)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [[128, 128], np.array([128, 128]), torch.Size((128, 128))])
def test_sizes_are_any_sequence(size: Any, model: mine.Model) -> None:
    assert model.predict(PHOTO, planes=2, size=size).plane_size == (128, 128)


def test_numbers_may_be_numpys(scene: mine.MPI, tmp_path: Path) -> None:
    for fps in (np.float32(12.5), np.int64(12)):
        mine.render_video(scene, PATH, tmp_path / "a.gif", fps=fps)
        mine.paths.save_path(PATH, scene, tmp_path / "a.json", fps)
        assert json.loads((tmp_path / "a.json").read_text())["fps"] == fps
    path = mine.paths.scene_path(scene, "swing", frames=np.int64(3), amount=np.float32(0.5))
    assert len(path.poses) == 3
    (name,) = [mine.render_stereo(scene, tmp_path / "q.png", "quilt", quilt=(np.int64(3), np.int64(2)))]
    assert "qs3x2" in name.name
