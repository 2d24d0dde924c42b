"""The files of scenes: what is saved is read, and whatever else a file holds is one line."""

import math
import os
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_scene import HEIGHT, PLANES, WIDTH, changed, make_photo, make_scene
from torch import Tensor

from mine.errors import InputError
from mine.scene.mpi import MPI
from mine.scene.mpi_file import FORMAT
from mine.scene.photo import read_photo

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about scenes, not kernels


@pytest.mark.parametrize("with_photo", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_what_is_saved_is_read(tmp_path: Path, half: bool, with_photo: bool) -> None:
    scene = make_scene(make_photo() if with_photo else None)
    path = tmp_path / "a.mpi"
    scene.save(path, half=half)
    read = MPI.open(str(path))
    assert torch.equal(read.disparity, scene.disparity)
    assert torch.equal(read.K, scene.K)
    colours = 0.5 / 255 + 1e-6 if half else 0
    torch.testing.assert_close(read.rgb, scene.rgb, rtol=0, atol=colours)
    torch.testing.assert_close(read.sigma, scene.sigma, rtol=2**-11 if half else 0, atol=1e-7 if half else 0)
    assert (read.photo is None) == (not with_photo)
    if scene.photo is not None:
        torch.testing.assert_close(read.photo, scene.photo, rtol=0, atol=colours)
    assert {value.dtype for value in (read.rgb, read.sigma, read.disparity, read.K)} == {torch.float32}


def test_half_precision_saves_space(tmp_path: Path) -> None:
    for density, share in ((50.0, 0.4), (1e6, 0.5)):  # float16 ends at 65504
        scene = changed(make_scene(), sigma=torch.full((PLANES, 1, HEIGHT, WIDTH), density))
        sizes = {}
        for half in (True, False):
            scene.save(tmp_path / "a.mpi", half=half)
            sizes[half] = (tmp_path / "a.mpi").stat().st_size
            torch.testing.assert_close(MPI.open(tmp_path / "a.mpi").sigma, scene.sigma, rtol=2**-11, atol=0)
        assert sizes[True] < share * sizes[False]


@pytest.mark.parametrize("unit", [5e7, 1e6, 1.0, 1e-3, 1e-5])
def test_scenes_in_any_unit_are_read_as_they_were_saved(tmp_path: Path, unit: float) -> None:
    """The nearest plane is 1 unit away; opacities, and so views, do not depend on the unit."""
    generator = torch.Generator().manual_seed(0)
    disparity = torch.linspace(1.0, 0.4, 16) / unit
    opacity = torch.rand(16, 1, HEIGHT, WIDTH, generator=generator) * 0.9
    step = torch.cat([(1 / disparity).diff(), torch.full((1,), min(unit, 1e3))])
    sigma = -torch.log1p(-opacity) / step[:, None, None, None]
    surface = (0.3 + 0.7 * torch.rand(1, HEIGHT, WIDTH, generator=generator)) / unit
    background = torch.cat([surface / 2, torch.zeros(3, HEIGHT, WIDTH)])
    rgb = torch.rand(16, 3, HEIGHT, WIDTH, generator=generator)
    scene = MPI(rgb, sigma, disparity, make_scene().K, make_photo(), surface, background)
    scene.save(tmp_path / "a.mpi")
    read = MPI.open(tmp_path / "a.mpi")
    torch.testing.assert_close(read.surface, surface, rtol=2**-11, atol=0)
    torch.testing.assert_close(read.background, background, rtol=2**-11, atol=0)
    views = (x.render(torch.eye(4), size=(HEIGHT, WIDTH)) for x in (scene, read))
    assert (next(views).rgb - next(views).rgb).abs().max() < 0.01


def test_shallow_relief_keeps_its_depth(tmp_path: Path) -> None:
    """A slope of 100 mm, ten metres away: float16 has 17 levels of it."""
    surface = 1 / torch.linspace(10.0, 10.1, WIDTH).expand(1, HEIGHT, WIDTH)
    parts = make_scene()
    background = torch.cat([surface / 1.01, torch.zeros(3, HEIGHT, WIDTH)])
    MPI(parts.rgb, parts.sigma, parts.disparity, parts.K, None, surface, background).save(tmp_path / "a.mpi")
    read = MPI.open(tmp_path / "a.mpi")
    assert read.surface is not None and read.background is not None
    for found, true in ((read.surface, surface), (read.background[:1], background[:1])):
        assert (1 / found - 1 / true).abs().max() < 1e-4


def test_what_is_read_renders_what_was_saved(tmp_path: Path) -> None:
    scene = make_scene(make_photo())
    scene.save(tmp_path / "a.mpi")
    T = torch.eye(4)
    T[0, 3] = 0.1
    difference = MPI.open(tmp_path / "a.mpi").render(T).rgb - scene.render(T).rgb
    assert difference.abs().max() < 0.02


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        make_scene().save(tmp_path / "file" / "a.mpi")


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mpi", tmp_path):
        with pytest.raises(InputError, match="no scene file at"):
            MPI.open(path)


def test_opening_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mpi"
    for content in (b"", b"text, nothing else", struct.pack("<Q", 2**60) + b"{}", b"\x89PNG" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a readable scene file"):
            MPI.open(path)


def test_opening_tensors_that_are_no_scene(tmp_path: Path) -> None:
    path = tmp_path / "a.mpi"
    for metadata in (None, {"format": "mine.network/1"}):
        save_file({"rgb": torch.zeros(1)}, path, metadata=metadata)
        with pytest.raises(InputError, match="not a scene file: it is "):
            MPI.open(path)


@pytest.mark.parametrize("missing", ["rgb", "sigma", "disparity", "K"])
def test_opening_a_scene_that_lacks_a_part(tmp_path: Path, missing: str) -> None:
    scene = make_scene()
    names = {"rgb", "sigma", "disparity", "K"} - {missing}
    tensors = {name: getattr(scene, name).contiguous() for name in names}
    save_file(tensors, tmp_path / "a.mpi", metadata={"format": FORMAT})
    with pytest.raises(InputError, match=f"lacks parts of a scene.*'{missing}'"):
        MPI.open(tmp_path / "a.mpi")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rgb", torch.full((PLANES, 3, HEIGHT, WIDTH), math.nan)),
        ("rgb", torch.full((PLANES, 3, HEIGHT, WIDTH), 1e30)),
        ("rgb", torch.tensor(1.0)),
        ("rgb", torch.rand(PLANES, 3, 0, WIDTH)),
        ("rgb", torch.zeros(PLANES, 3, HEIGHT, WIDTH, dtype=torch.int64)),
        ("rgb", torch.zeros(PLANES, 3, HEIGHT, WIDTH, dtype=torch.complex64)),
        ("sigma", torch.zeros(PLANES, 1, HEIGHT, WIDTH, dtype=torch.bool)),
        ("sigma", torch.rand(PLANES, 1, HEIGHT, 1)),
        ("photo", torch.full((3, 40, 60), math.nan)),
        ("photo", torch.rand(3, 40, 0)),
        ("photo", torch.rand(3, 40)),
        ("photo", torch.zeros(3, 1 << 13, (1 << 12) + 1, dtype=torch.uint8)),
        ("K", torch.eye(3).repeat(PLANES, 1, 1)),
        ("K", torch.tensor([[20.0, 0, 12], [0, 20, 8], [1, 0, 1]])),
        ("K", torch.tensor([[1e-30, 0, 12], [0, 1e-30, 8], [0, 0, 1]])),
        ("K", torch.tensor([[20.0, 0, 1e38], [0, 20, 8], [0, 0, 1]])),
        ("disparity", torch.rand(0)),
        ("disparity", torch.tensor([1e38, 1.0, 1e-37])),
        ("surface", torch.full((1, HEIGHT, WIDTH), 1e38)),
        ("sigma", torch.zeros(PLANES, 1, HEIGHT, WIDTH)),
        ("sigma", torch.full((PLANES, 1, HEIGHT, WIDTH), 1e-30)),
        ("more", torch.rand(1)),
    ],
)
def test_opening_a_scene_with_values_that_make_no_sense(tmp_path: Path, name: str, value: Tensor) -> None:
    scene = make_scene(make_photo())
    parts = {key: getattr(scene, key).contiguous() for key in ("rgb", "sigma", "disparity", "K", "photo")}
    save_file(parts | {name: value}, tmp_path / "a.mpi", metadata={"format": FORMAT})
    with pytest.raises(InputError, match=r"a\.mpi is no scene: ") as error:
        MPI.open(tmp_path / "a.mpi")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_scenes_may_be_in_millimetres_and_in_kilometres(tmp_path: Path, unit: float) -> None:
    """Of things from 5 cm to 100 km away."""
    scene = make_scene()
    near_to_far = torch.tensor([20.0, 0.5, 1e-5]) * unit
    changed(scene, disparity=near_to_far, sigma=scene.sigma * unit).save(tmp_path / "a.mpi")
    torch.testing.assert_close(MPI.open(tmp_path / "a.mpi").disparity, near_to_far)


def test_a_scene_of_too_many_texels_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_scene().save(tmp_path / "a.mpi")
    monkeypatch.setattr("mine.scene.limits.MAX_TEXELS", PLANES * HEIGHT * WIDTH - 1)
    monkeypatch.setattr("mine.inputs.tensors.TensorFile.read", None)
    with pytest.raises(InputError, match=f"{PLANES} planes of {WIDTH}x{HEIGHT} pixels take .* at most {PLANES - 1}"):
        MPI.open(tmp_path / "a.mpi")


@pytest.mark.parametrize(
    ("limit", "message"),
    [("MAX_TEXELS", "planes of .* pixels take"), ("MAX_PHOTO_PIXELS", "its photo has 60x40 pixels")],
)
def test_what_could_not_be_opened_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, message: str
) -> None:
    scene = make_scene(make_photo())
    monkeypatch.setattr(f"mine.scene.limits.{limit}", 1000)
    with pytest.raises(InputError, match=message):
        scene.save(tmp_path / "a.mpi")
    assert not list(tmp_path.iterdir())


def test_pipes_and_devices_are_no_scenes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mpi")
    for path in (tmp_path / "a.mpi", Path("/dev/zero")):
        with pytest.raises(InputError, match="pipe or a device"):
            MPI.open(path)


@pytest.mark.parametrize("name", ["a.png", "a", "a.mpi.bak", ".mpi", "a.safetensors"])
def test_scenes_are_saved_by_names_that_tell_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot write .*: give a name that ends in \.mpi"):
        make_scene().save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    make_scene().save(tmp_path / "a.MPI")


def test_a_scene_that_is_taken_for_a_photo_is_told(tmp_path: Path) -> None:
    make_scene().save(tmp_path / "a.mpi")
    (tmp_path / "a.mpi").rename(tmp_path / "a")
    with pytest.raises(InputError, match=r"a scene file of MINE: give it a name that ends in \.mpi"):
        read_photo(tmp_path / "a")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_opening_a_scene_that_is_cut_short(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.mpi"
    make_scene().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="is not a readable scene file"):
        MPI.open(path)


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_opening_executes_nothing(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # the trap works
    sprung.unlink()
    for save in (
        lambda path: path.write_bytes(pickle.dumps(Trap(sprung))),
        lambda path: torch.save(Trap(sprung), path),
    ):
        save(tmp_path / "a.mpi")
        with pytest.raises(InputError):
            MPI.open(tmp_path / "a.mpi")
        assert not sprung.exists()
