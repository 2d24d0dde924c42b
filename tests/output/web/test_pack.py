"""The scene format of the web page: what the viewer decodes is what was encoded, up to 8 bits."""

import base64
import hashlib
import json
import re
import time
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from placed_tiles import place_tiles

from mine.errors import InputError
from mine.evaluation.silhouettes import disparity_of_photo, generate_photo
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.output.export import export
from mine.output.web import pack as packing
from mine.output.web import view
from mine.output.web.html import SCENE_SLOT
from mine.output.web.pack import (
    LONGEST_PHOTO,
    decode_density,
    decode_image,
    encode_density,
    pack,
    plane_colours,
    pull_push,
)
from mine.output.web.tiles import CORE
from mine.render import Layers
from mine.render.reference import blend_source, source_points, source_transmittance, weights
from mine.scene import photo_layers
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI
from mine.scene.resize import resize
from mine.scene.silhouettes import find_layers

SIZE = (24, 36)
VIEWER = Path(__file__).parents[3] / "viewer"


def scene(blend: bool = True, photo_size: tuple[int, int] = (72, 108)) -> MPI:
    """A disc in front of a wall, six planes; disoccluded parts are plain, the photo is a smooth pattern."""
    y, x = torch.meshgrid(torch.linspace(0, 1, photo_size[0]), torch.linspace(0, 1, photo_size[1]), indexing="ij")
    photo = torch.stack([0.5 + 0.4 * torch.sin(9 * x), 0.5 + 0.4 * torch.cos(7 * y), 0.3 + 0.4 * x * y])
    disparity = torch.tensor([1.0, 0.8, 0.6, 0.4, 0.2, 0.1])
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE[0]), torch.linspace(-1, 1, SIZE[1]), indexing="ij")
    sigma = torch.full((6, 1, *SIZE), 1e-4)
    sigma[1] += 8 * (x**2 + y**2 < 0.3)
    sigma[4] += 0.5
    rgb = torch.tensor([0.7, 0.5, 0.2])[:, None, None].expand(6, 3, *SIZE)
    K = intrinsics(SIZE, 60)
    planes = torch.cat([rgb, sigma], dim=1)[None]
    if blend:
        planes = blend_source(planes, disparity[None], K[None], resize(photo, SIZE)[None])
    return MPI(planes[0, :, :3], planes[0, :, 3:], disparity, K, photo)


def scene_with_surface() -> MPI:
    """Eight planes, with a photo six times as fine."""
    photo, surface = generate_photo((144, 216)), disparity_of_photo((144, 216), SIZE)
    disparity = plane_disparities(surface[None], 8)
    planes = lift_to_mpi(resize(photo, SIZE)[None], surface[None], disparity[None])[0]
    return MPI.from_planes(planes, disparity, intrinsics(SIZE, 60), photo, surface)


def packed_scene(page: Path) -> dict:
    return json.loads(page.read_text().split(SCENE_SLOT, 1)[1].split("</script>", 1)[0])


def unpack(packed: dict, field: str) -> torch.Tensor:
    """The planes (S, 3, H, W) of a packed scene, by the field "colour" or "density"."""
    height, width = packed["size"]
    rows, columns = -(-height // CORE), -(-width // CORE)
    bits = [np.unpackbits(np.frombuffer(base64.b64decode(b), np.uint8)) for x in packed["strips"] for b in x["tiles"]]
    used = torch.from_numpy(np.stack(bits)[:, : rows * columns]).bool().reshape(-1, rows, columns)
    return place_tiles([decode_image(strip[field]) for strip in packed["strips"]], used, (height, width))


@given(st.floats(0, 1e4))
def test_transmittance_survives_eight_bits(q: float) -> None:
    disparity = torch.tensor([1.0, 0.5])  # the first interval is 1 long
    sigma = torch.tensor([q, 0.0]).reshape(2, 1, 1, 1)
    decoded = decode_density(encode_density(sigma, disparity))[0]
    assert abs(torch.exp(-decoded) - torch.exp(-sigma[0])) < 0.0045


def test_thin_haze_is_not_rounded_away() -> None:
    disparity = torch.linspace(1, 0.5, 32)
    sigma = torch.full((32, 1, 1, 1), 0.01)
    sigma[-1] = 0
    q = sigma[:-1, 0, 0, 0] * (1 / disparity).diff()
    decoded = decode_density(encode_density(sigma, disparity))[:-1]
    assert float(decoded.sum()) == pytest.approx(float(q.sum()), rel=0.05)


def test_density_images_hold_the_codes() -> None:
    original = scene()
    codes = encode_density(original.sigma, original.disparity)
    assert torch.equal((255 * unpack(pack(original), "density")[:, :1]).round().to(torch.uint8), codes)


def test_colours_come_back_where_they_show() -> None:
    original = scene()
    packed = pack(original)
    assert packed["blended"]
    photo = resize(decode_image(packed["photo"]), SIZE)
    disoccluded = unpack(packed, "colour")
    T = source_transmittance(original.sigma[:, 0][None], original.disparity[None], original.K[None])[0, :, None]
    error = (T * photo + (1 - T) * disoccluded - original.rgb).abs().mean(1)
    points = source_points(original.disparity[None], original.K[None], SIZE)
    shown = weights(original.sigma[:, 0][None], points)[0]
    assert (error * shown).sum() / shown.sum() < 3 / 255
    wall_behind_disc = error[4][original.sigma[1, 0] > 1]
    assert wall_behind_disc.mean() < 6 / 255


def test_scene_that_was_not_blended_keeps_its_own_colours() -> None:
    original = scene(blend=False)
    packed = pack(original)
    assert not packed["blended"]
    disc = unpack(packed, "colour")[1, :, SIZE[0] // 2, SIZE[1] // 2]
    assert torch.allclose(disc, original.rgb[1, :, SIZE[0] // 2, SIZE[1] // 2], atol=4 / 255)


def test_a_scene_with_a_surface_is_stored_at_the_photos_resolution() -> None:
    lifted = scene_with_surface()
    packed = pack(lifted)
    assert packed["size"] == [144, 216] and not packed["blended"]
    assert len(packed["disparity"]) == len([bits for strip in packed["strips"] for bits in strip["tiles"]]) == 15
    K = torch.tensor(packed["K"]).reshape(3, 3)
    assert torch.allclose(K, lifted.intrinsics((144, 216)))
    share = decode_image(packed["detailShare"])[0]
    assert share.max() == 1 and share.min() == 0
    assert (share == 1).float().mean() > 0.3, "all but silhouettes"
    assert unpack(packed, "colour").shape == (15, 3, 144, 216)
    shown = unpack(packed, "density")[:, 0] > 0
    assert 1 < shown.sum() / shown[0].numel() < 4, "a pixel shows on few planes"
    assert shown.any(dim=0).all(), "and on one at least"


def test_planes_at_the_photos_resolution_fit_a_graphics_card(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = scene_with_surface()
    monkeypatch.setattr(packing, "MOST_TEXELS", 15 * 72 * 108)
    assert pack(lifted)["size"] == [72, 108]
    monkeypatch.setattr(packing, "MOST_TEXELS", 15 * 24 * 36)
    assert pack(lifted)["size"] == list(SIZE)
    monkeypatch.undo()
    monkeypatch.setattr(packing, "LONGEST_PLANE", 108)
    assert pack(lifted)["size"] == [72, 108]


def test_outputs_written_at_the_same_time_find_the_layers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted, calls = scene_with_surface(), []

    def find(*how: torch.Tensor) -> Layers:
        calls.append(how)
        time.sleep(0.1)  # so that the other one comes meanwhile
        return find_layers(*how)

    monkeypatch.setattr(photo_layers, "find_layers", find)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: photo_layers.photo_layers(lifted, 216), range(2))
    assert first is second and len(calls) == 1


def test_planes_of_more_tiles_than_an_image_holds_are_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mine.output.web.tiles.MOST_TILES", 8)
    scene = MPI(torch.rand(2, 3, 48, 96), torch.ones(2, 1, 48, 96), [1.0, 0.5], intrinsics((48, 96), 60))
    packed = packing.pack(scene)
    height, width = packed["size"]
    assert 2 * height == pytest.approx(width, abs=1) and height > 20
    assert -(-height // CORE) * -(-width // CORE) <= 8
    assert packed["aspect"] == 2 and packed["K"][0] / width == pytest.approx(float(scene.K[0, 0]) / 96)


def test_scene_without_photo_is_not_blended() -> None:
    original = scene()
    colours, blended = plane_colours(original, decode_density(encode_density(original.sigma, original.disparity)), None)
    assert not blended
    assert torch.allclose(colours[1, :, 12, 18], original.rgb[1, :, 12, 18], atol=1e-4)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_pull_push_keeps_known_pixels_and_their_range(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, height, width, generator=generator)
    known = (torch.rand(1, 1, height, width, generator=generator) < 0.3).float()
    filled = pull_push(image * known, known)
    assert torch.allclose(filled * known, image * known, atol=1e-6)
    assert (filled <= (image * known).amax() + 1e-5).all()


def test_pull_push_continues_a_colour() -> None:
    known = torch.zeros(1, 1, 32, 32)
    known[..., :9] = 1
    filled = pull_push(known * torch.tensor([0.2, 0.4, 0.6])[:, None, None], known)
    assert torch.allclose(filled, torch.tensor([0.2, 0.4, 0.6])[:, None, None].expand(1, 3, 32, 32), atol=1e-4)


def test_a_large_photo_is_stored_smaller() -> None:
    packed = pack(scene(photo_size=(90, LONGEST_PHOTO + 200)))
    assert decode_image(packed["photo"]).shape == (3, 80, LONGEST_PHOTO)


def test_page_is_one_file_named_after_its_scene(tmp_path: Path) -> None:
    export(scene(), tmp_path / "a <b> & c.html")
    assert [file.name for file in tmp_path.iterdir()] == ["a <b> & c.html"]
    page = (tmp_path / "a <b> & c.html").read_text()
    assert "<title>a &lt;b&gt; &amp; c</title>" in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page.split("<script", 1)[0])
    assert packed_scene(tmp_path / "a <b> & c.html")["size"] == list(SIZE)


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scene.obj.*\.html"):
        export(scene(), tmp_path / "scene.obj")


def test_view_opens_the_page_of_a_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda page: opened.append(page) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scene().save(tmp_path / "garden.mpi")
    page = view(tmp_path / "garden.mpi")
    assert opened == [page.as_uri()]
    assert page.name == "garden.html"
    assert packed_scene(page)["blended"]


def test_a_view_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda address: 1 / 0)
    scene().save(tmp_path / "garden.mpi")
    with pytest.raises(ZeroDivisionError):
        view(tmp_path / "garden.mpi")
    assert [path.name for path in tmp_path.iterdir()] == ["garden.mpi"]


def test_bundle_was_built_from_the_viewer_source() -> None:
    # The same hash as in viewer/vite.config.js; `make viewer` rebuilds.
    digest = hashlib.sha256()
    names = ["index.html", "package-lock.json", "tsconfig.json", "vite.config.js"]
    names += [f"src/{file.name}" for file in (VIEWER / "src").iterdir()]
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + (VIEWER / name).read_bytes() + b"\0")
    bundle = (VIEWER.parent / "mine" / "output" / "web" / "viewer.html").read_text()
    assert f'name="source-hash" content="{digest.hexdigest()}"' in bundle


def test_a_narrow_photo_keeps_a_pixel_across() -> None:
    assert packing._shrink(torch.rand(3, 1, 8000)).shape == (3, 1, LONGEST_PHOTO)
    assert packing._shrink(torch.rand(3, 8000, 1)).shape == (3, LONGEST_PHOTO, 1)
