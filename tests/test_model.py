"""`mine.load` and `Model.predict`, with a small untrained network or one whose planes are known."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch import Tensor, nn

import mine
from mine.model import shipped_checkpoint
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network
from mine.network.protocol import Network
from mine.render import blend_source
from mine.scene.camera import intrinsics, resize_intrinsics
from mine.scene.mpi import MPI
from mine.scene.resize import resize
from mine.scene.silhouettes import SOFT_RADIUS

SIZE = (128, 128)


pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about predictions, not kernels


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> mine.Model:
    return mine.load(tiny_checkpoint, device="cpu", dtype="float32")  # the same on every CPU


def pixels(height: int = 64, width: int = 96) -> np.ndarray:
    """(H, W, 3) uint8: smooth, with no symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 2, y * 3, 255 - x - y], axis=-1).astype(np.uint8)


def as_tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).movedim(2, 0).float() / 255


# The package


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_and_the_command_line_does_not_import_torch() -> None:
    code = "import sys, mine, mine.cli.main; print('torch' in sys.modules, 'mine.model' in sys.modules)"
    assert run_python(code) == "False False"


def test_a_prediction_does_not_import_the_compiler_of_torch_or_what_only_training_needs() -> None:
    code = "import sys, mine; mine.load().predict('data/samples/cat.jpg', planes=2)"
    heavy = ["torch._dynamo", "torchvision", "timm", "kornia", "pydantic", "sympy", "gradio"]
    assert run_python(f"{code}; print([name for name in {heavy} if name in sys.modules])") == "[]"


def test_every_public_name_is_there() -> None:
    assert set(mine.__all__) >= {"MPI", "InputError", "Model", "View", "load", "paths", "render_video"}
    assert set(mine.__all__) <= set(dir(mine))  # completion in a notebook
    for name in mine.__all__:
        assert getattr(mine, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mine.nonsense


# Loading


def test_a_device_that_is_not_there(tiny_checkpoint: Path) -> None:
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(mine.InputError, match=f"device '{device}' is not available"):
            mine.load(tiny_checkpoint, device=device)


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(mine.InputError, match="no checkpoint at"):
        mine.load(tmp_path / "none.safetensors")


def test_the_shipped_checkpoint_sees_the_sky_far_behind_a_building() -> None:
    photo = Path(__file__).parents[1] / "docs" / "gallery" / "pavilion.jpg"
    scene = mine.load(device="cpu").predict(photo, size=(128, 256))
    depth = scene.render(torch.eye(4)).depth[0, 0]
    sky, pavilion = depth[20:100, 350:600].median(), depth[180:240, 180:240].median()
    assert sky > 3 * pavilion


def test_the_shipped_checkpoint_is_the_default(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped_checkpoint().parts[-2:] == ("checkpoints", "mine.safetensors")
    monkeypatch.setattr("mine.model.shipped_checkpoint", lambda: tiny_checkpoint)
    assert mine.load(device="cpu").network.architecture.encoder == "resnet18"


# Predicting


def test_all_kinds_of_photos_give_the_same_scene(model: mine.Model, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(pixels()).save(file)
    expected = model.predict(file, planes=3, size=SIZE)
    assert expected.rgb.shape == (3, 3, *SIZE)
    assert expected.sigma.shape == (3, 1, *SIZE)
    array = pixels()
    sources = (str(file), Image.fromarray(array), array, array.astype(np.float32) / 255, as_tensor(array))
    for source in sources:
        scene = model.predict(source, planes=3, size=SIZE)
        for name in ("rgb", "sigma", "disparity", "K", "photo"):
            torch.testing.assert_close(getattr(scene, name), getattr(expected, name), msg=f"{type(source)}: {name}")


def test_predictions_are_colours_and_densities_that_depend_on_the_photo(model: mine.Model) -> None:
    scene = model.predict(pixels(), planes=3, size=SIZE, blend=False)
    assert scene.rgb.min() >= 0
    assert scene.rgb.max() <= 1
    assert scene.sigma.min() > 0
    assert not scene.rgb.requires_grad
    other = model.predict(255 - pixels(), planes=3, size=SIZE, blend=False)
    assert (scene.rgb - other.rgb).abs().max() > 1e-3


@pytest.mark.parametrize("decoder", ["planes", "disparity", "layers"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_torchs_default_type_changes_nothing(decoder: str, dtype: torch.dtype, tmp_path: Path) -> None:
    background = (4, 4, 4, 4, 4) if decoder == "layers" else ()
    architecture = Architecture("tf_efficientnet_lite0", (4, 4, 4, 4, 4), decoder=decoder, background=background)
    save_network(make_network(architecture), tmp_path / "a.safetensors")

    def results() -> list[Tensor | None]:
        assert {x.dtype for x in make_network(architecture).parameters()} == {torch.float32}
        scene = mine.load(tmp_path / "a.safetensors", device="cpu", dtype="float32").predict(
            pixels(160, 240), planes=3, size=SIZE
        )
        views = [scene.render(np.eye(4), size=size, backend="cpu") for size in ((160, 240), (32, 48))]
        planes = scene.planes[None].clone().requires_grad_()
        blend_source(planes, scene.disparity[None], scene.K[None], planes[0, :1, :3].detach()).square().sum().backward()
        MPI.from_planes(planes[0], scene.disparity, scene.K).render(np.eye(4), size=(32, 48)).rgb.sum().backward()
        parts = [getattr(scene, name) for name in ("planes", "disparity", "K", "photo", "surface", "background")]
        return [*parts, *views[0], *views[1], planes.grad]

    expected = results()
    torch.set_default_dtype(dtype)
    try:
        found = results()
    finally:
        torch.set_default_dtype(torch.float32)
    assert [None if x is None else x.dtype for x in found] == [None if x is None else torch.float32 for x in expected]
    assert all(x is None or torch.equal(x, y) for x, y in zip(expected, found, strict=True))


def test_what_is_predicted_in_inference_mode_has_gradients_later(tiny_checkpoint: Path) -> None:
    with torch.inference_mode():
        scene = mine.load(tiny_checkpoint, device="cpu").predict(pixels(), planes=2, size=SIZE)
    T = torch.eye(4).requires_grad_()
    scene.render(T, size=(8, 12)).rgb.square().sum().backward()
    assert T.grad is not None and T.grad.isfinite().all()


@pytest.mark.parametrize(
    ("planes", "size"),
    [(10**9, SIZE), (4096, (256, 384)), (10**8, None), (2, (128 * 10**6, 128)), (2, (1 << 14, 1 << 14))],
)
def test_too_much_is_refused_with_a_number_before_it_is_allocated(
    model: mine.Model, monkeypatch: pytest.MonkeyPatch, planes: int, size: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(model, "_predict_planes", None)
    with pytest.raises(mine.InputError, match=r"GiB, more than 1: ask for at most \d+"):
        model.predict(pixels(), planes=planes, size=size)
    with pytest.raises(mine.InputError, match="GiB, more than 1"):
        model.predict(pixels(), disparity=torch.linspace(1, 0.1, 5000), size=(256, 384))


def test_planes_are_evenly_spaced_in_disparity(model: mine.Model) -> None:
    scene = model.predict(pixels(), planes=5, size=SIZE)
    assert scene.disparity[0].item() == pytest.approx(model.network.near)
    assert scene.disparity[-1].item() == pytest.approx(model.network.far)
    torch.testing.assert_close(scene.disparity.diff(), scene.disparity.diff()[:1].expand(4))


def test_disparity_overrides_planes_and_each_plane_depends_on_its_own_alone(model: mine.Model) -> None:
    disparity = torch.tensor([2.0, 0.7, 0.5, 0.2, 0.03])
    scene = model.predict(pixels(), planes=32, disparity=disparity, size=SIZE, blend=False)
    assert torch.equal(scene.disparity, disparity)
    assert len(scene.rgb) == 5
    fewer = model.predict(pixels(), disparity=disparity[[1, 4]], size=SIZE, blend=False)
    torch.testing.assert_close(fewer.rgb, scene.rgb[[1, 4]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("planes", [1, 0, -3])
def test_too_few_planes(model: mine.Model, planes: int) -> None:
    with pytest.raises(mine.InputError, match="at least 2"):
        model.predict(pixels(), planes=planes, size=SIZE)


@pytest.mark.parametrize(
    "disparity", [[0.1, 0.5], [0.5, 0.5], [0.5], [], [0.5, 0.0], [1.0, -1.0], [math.inf, 1], [[0.5, 0.1]], 0.5], ids=str
)
def test_disparities_that_make_no_sense(model: mine.Model, disparity: object) -> None:
    with pytest.raises(mine.InputError, match="disparities"):
        model.predict(pixels(), disparity=torch.tensor(disparity), size=SIZE)


@pytest.mark.parametrize("size", [(100, 128), (128, 200), (0, 128), (-128, 128), (64, 64), (128,), (128, 128, 128)])
def test_sizes_that_are_not_possible(model: mine.Model, size: tuple[int, ...]) -> None:
    with pytest.raises(mine.InputError, match="multiples of 128"):
        model.predict(pixels(), size=size)  # type: ignore[arg-type]


def test_the_size_follows_the_photo(model: mine.Model) -> None:
    assert model.predict(pixels(64, 96), planes=2).plane_size == (256, 384)
    assert model.predict(pixels(96, 64), planes=2, size=(128, 256)).plane_size == (128, 256)


# Cameras


def with_exif(array: np.ndarray, focal_35mm: int) -> Image.Image:
    image = Image.fromarray(array)
    image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = focal_35mm
    return image


def focal(scene: mine.MPI) -> float:
    """Horizontal focal length in widths of the image."""
    return scene.K[0, 0].item() / scene.plane_size[1]


@pytest.mark.parametrize(
    ("size", "degrees"), [((480, 640), 67.3), ((640, 480), 53.1), ((400, 600), 69.4), ((500, 500), 60.9)]
)
def test_photos_without_exif_are_taken_for_a_phones_unless_training_assumed_another_camera(
    model: mine.Model, size: tuple[int, int], degrees: float
) -> None:
    """26 mm in 35 mm equivalent, whatever the shape; plane networks, such as the published ones, keep 90 degrees."""
    photo, options = pixels(*size), {"planes": 2, "size": SIZE}
    architecture = Architecture("mobilenetv3_small_050", (4, 4, 4, 4, 4), decoder="disparity")
    shipped = mine.Model(make_network(architecture)).predict(photo, **options)
    assert math.degrees(2 * math.atan(0.5 / focal(shipped))) == pytest.approx(degrees, abs=0.1)
    across, down = shipped.K[0, 0] / SIZE[1] * size[1], shipped.K[1, 1] / SIZE[0] * size[0]
    assert across == pytest.approx(float(down)), "the photo's pixels are square"
    assert focal(model.predict(photo, **options)) == pytest.approx(0.5), "90 degrees"


def test_a_given_camera_overrides_the_exif_and_that_overrides_90_degrees(model: mine.Model) -> None:
    silent, telling = pixels(), with_exif(pixels(), 36)  # 3:2 like 36 x 24 mm: its focal length is its width
    K = intrinsics((64, 96), 40)
    options = {"planes": 2, "size": SIZE}
    assert focal(model.predict(silent, **options)) == pytest.approx(0.5)
    assert focal(model.predict(telling, **options)) == pytest.approx(1.0, rel=1e-4)
    by_angle = 0.5 / math.tan(math.radians(30))
    assert focal(model.predict(silent, fov=60, **options)) == pytest.approx(by_angle)
    assert focal(model.predict(telling, fov=60, **options)) == pytest.approx(by_angle)
    by_matrix = 0.5 / math.tan(math.radians(20))
    assert focal(model.predict(telling, fov=60, K=K, **options)) == pytest.approx(by_matrix)


def test_pixels_of_the_photo_are_square_whatever_the_planes_aspect(model: mine.Model) -> None:
    scene = model.predict(pixels(64, 96), planes=2, size=SIZE)
    K = resize_intrinsics(scene.K, scene.plane_size, (64, 96))
    assert K[0, 0].item() == pytest.approx(K[1, 1].item(), rel=1e-5)


def test_given_intrinsics_are_in_pixels_of_the_photo(model: mine.Model) -> None:
    K = torch.tensor([[80.0, 0, 40], [0, 85, 30], [0, 0, 1]])
    scene = model.predict(pixels(64, 96), planes=2, size=SIZE, K=K)
    torch.testing.assert_close(resize_intrinsics(scene.K, SIZE, (64, 96)), K)
    assert scene.K.dtype == model.predict(pixels(), planes=2, size=SIZE, K=K.double()).K.dtype == torch.float32


def test_given_intrinsics_are_in_pixels_of_the_photo_before_it_is_shrunk(
    model: mine.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mine.scene.photo.MAX_SIDE", 64)
    large = Image.fromarray(pixels(128, 192))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # stored on its side
    large.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    large.save(tmp_path / "a.png")
    K = torch.tensor([[160.0, 0, 80], [0, 170, 60], [0, 0, 1]])
    array = np.array(large)
    for source in (array, as_tensor(array), large, tmp_path / "a.png", tmp_path / "turned.jpg"):
        scene = model.predict(source, planes=2, size=SIZE, K=K)
        assert scene.size == (43, 64)
        torch.testing.assert_close(resize_intrinsics(scene.K, SIZE, (128, 192)), K)


@pytest.mark.parametrize(
    "options",
    [{"K": torch.zeros(3, 3)}, {"K": torch.eye(4)}, {"K": torch.eye(3) * math.nan}, {"K": torch.ones(2, 3, 3)}],
)
def test_cameras_that_make_no_sense(model: mine.Model, options: dict[str, Tensor]) -> None:
    with pytest.raises(mine.InputError, match="K "):
        model.predict(pixels(), planes=2, size=SIZE, **options)


@pytest.mark.parametrize("fov", [0, -5, 180, math.nan])
def test_fields_of_view_that_make_no_sense(model: mine.Model, fov: float) -> None:
    with pytest.raises(mine.InputError, match="field of view"):
        model.predict(pixels(), planes=2, size=SIZE, fov=fov)


# The photo in the scene


class TwoSurfaces(Network):
    """A network of random colours; the left half is opaque at the first plane, all of it at the second."""

    architecture = Architecture()

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def predict_planes(self, image: Tensor, disparity: Tensor | int) -> tuple[Tensor, Tensor]:
        assert isinstance(disparity, int)
        height, width = image.shape[-2:]
        planes = torch.rand(1, disparity, 4, height, width, generator=torch.Generator().manual_seed(0))
        planes[:, :, 3] = 1e4
        planes[:, 0, 3, :, width // 2 :] = 0
        return planes, torch.linspace(self.near, self.far, disparity)


@pytest.mark.parametrize("shape", [(128, 128), (64, 96), (200, 160)])
def test_the_source_camera_sees_the_photo(shape: tuple[int, int]) -> None:
    model = mine.Model(TwoSurfaces())
    photo = as_tensor(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    scene = model.predict(photo, planes=3, size=SIZE)
    view = scene.render(torch.eye(4))
    assert view.rgb.shape[-2:] == shape
    # Where a surface ends, samples between its pixels mix both planes, and views larger than them unmix the photo.
    edge, radius = shape[1] // 2, 3 if max(shape) <= max(SIZE) else 2 * SOFT_RADIUS
    difference = (view.rgb[0] - photo).abs()
    assert difference[..., : edge - radius].max() < 2e-3
    assert difference[..., edge + radius :].max() < 2e-3
    unblended = model.predict(photo, planes=3, size=SIZE, blend=False).render(torch.eye(4), size=shape)
    assert (unblended.rgb[0] - photo).abs().mean() > 0.1


def test_occluded_colours_are_the_networks() -> None:
    model = mine.Model(TwoSurfaces())
    photo = as_tensor(pixels(*SIZE))
    blended, own = (model.predict(photo, planes=3, size=SIZE, blend=blend) for blend in (True, False))
    torch.testing.assert_close(blended.rgb[1, :, :, :64], own.rgb[1, :, :, :64], rtol=0, atol=1e-5)  # behind the first
    torch.testing.assert_close(blended.rgb[1, :, :, 64:], photo[:, :, 64:], rtol=0, atol=1e-5)


def test_the_photo_is_kept_with_what_was_blended(model: mine.Model) -> None:
    photo = as_tensor(pixels())
    blended, own = (model.predict(photo, planes=3, size=SIZE, blend=blend) for blend in (True, False))
    assert blended.photo is not None
    torch.testing.assert_close(blended.photo, photo)
    assert own.photo is None
    assert torch.equal(blended.sigma, own.sigma)
    torch.testing.assert_close(blended.rgb[0], resize(photo, SIZE))  # nothing hides the first plane


def test_bfloat16_comes_close(tiny_checkpoint: Path) -> None:
    exact, rough = (
        mine.load(tiny_checkpoint, device="cpu", dtype=dtype).predict(pixels(), planes=2, size=SIZE, blend=False)
        for dtype in ("float32", "bfloat16")
    )
    assert rough.rgb.dtype == torch.float32
    difference = (rough.rgb - exact.rgb).abs().max()
    assert 0 < difference < 0.05
