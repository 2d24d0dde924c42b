"""Exported files, read by libraries of others: where points lie, which colours they have, what covers the frame."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import torch
import trimesh
from gsply import plyread
from gsply.spz import read_spz
from PIL import Image
from plyfile import PlyData
from scipy.spatial.transform import Rotation
from walls import SIZE, SQUARE, WALL, wall_disparity, wall_photo, wall_scene

import mine
from mine.errors import InputError
from mine.output.formats import FORMATS, choose_kind
from mine.output.splats import C0, OPACITY, SIGMA, make_gaussians
from mine.output.surface_layers import SurfaceLayers, find_surface_layers, unproject
from mine.render import Layers
from mine.scene.mpi import MPI

CORNERS = 4
"""The square's corners: pixels that the segmentation along silhouettes may round off."""

PURE = np.ones(SIZE, dtype=bool)
"""Pixels whose colour is the photo's: within 3 pixels of the silhouette mixed colours are separated."""
PURE[tuple(slice(side.start - 3, side.stop + 3) for side in SQUARE)] = False

K = wall_scene().K.double().numpy()


pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about files, not kernels


@pytest.fixture(scope="module")
def scene() -> MPI:
    return wall_scene()


def project(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Pixels (N, 2) of points in OpenCV's axes."""
    return ((points @ K.T) / points[:, 2:])[:, :2]


def true_disparity(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Disparity of the wall at pixels (N, 2), as if the square were not there."""
    return WALL[0] + (WALL[1] - WALL[0]) * pixels[:, 0] / (SIZE[1] - 1)


def read_glb(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk of a file, whose framing is checked."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and size % 4 == 0
    rest, binary = struct.unpack_from("<I4s", data, 20 + size)
    assert binary == b"BIN\0" and 28 + size + rest == len(data)
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def meshes_of(path: Path) -> dict[str, trimesh.Trimesh]:
    """The meshes of a file by name, turned to OpenCV's axes."""
    loaded = trimesh.load(path, process=False)
    turned = {name: mesh.copy() for name, mesh in loaded.geometry.items()}
    for mesh in turned.values():
        mesh.vertices = mesh.vertices * [1, -1, -1]
    return turned


def test_mesh_has_both_surfaces_at_their_depths(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.glb")
    meshes = meshes_of(tmp_path / "a.glb")
    assert set(meshes) == {"surface", "background"}  # cells of one texel are never split
    points = meshes["surface"].vertices
    near = points[:, 2] < 1.5
    np.testing.assert_allclose(points[near, 2], 1, atol=1e-5)
    pixels = project(points)
    np.testing.assert_allclose(1 / points[~near, 2], true_disparity(pixels[~near]), atol=5e-3)
    assert 17 * 17 - CORNERS <= near.sum() <= 17 * 17, "the corners of 16 x 16 cells, joined"
    hidden = meshes["background"].vertices
    assert hidden[:, 2].min() > 1
    inside = (np.abs(project(hidden) - [31.5, 23.5]) < 7).all(1)
    assert inside.any(), "the wall continues behind the square"
    np.testing.assert_allclose(1 / hidden[inside, 2], 0.45, atol=0.05)


def test_mesh_covers_the_frame_once(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.glb")
    mesh = meshes_of(tmp_path / "a.glb")["surface"]
    corners = project(mesh.vertices)[mesh.faces]
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    signed = (ax * by - ay * bx) / 2
    # Counter-clockwise as glTF's axes have it, with y up: clockwise in pixels, whose y points down.
    assert (signed < 0).all()
    assert -signed.sum() == pytest.approx(SIZE[0] * SIZE[1], rel=1e-6)


def test_a_steep_surface_stays_whole() -> None:
    """Disparity falls by 8% from cell to cell, and jitters: neighbours are of one surface, cells farther apart not."""
    from mine.output.meshes import make_meshes

    jitter = 1 + 0.01 * torch.rand(1, 16, 24, generator=torch.Generator().manual_seed(0))
    disparity = 1.08 ** -torch.arange(24.0) * jitter
    flat, zero = torch.ones(1, 16, 24), torch.zeros(1, 16, 24)
    layers = Layers(disparity, flat, flat.expand(3, -1, -1), zero, zero.expand(3, -1, -1))
    (mesh,) = make_meshes(SurfaceLayers(layers, torch.tensor([[20.0, 0, 12], [0, 20, 8], [0, 0, 1]])))
    whole = trimesh.Trimesh(mesh.points.numpy(), mesh.triangles.numpy(), process=False)
    assert whole.body_count == 1 and len(whole.vertices) == 17 * 25


def test_soft_edges_are_blended() -> None:
    """A pixel that shows half of a near surface: its quadrilateral is half transparent, in front of the background."""
    from mine.output.meshes import make_meshes

    disparity, opacity = torch.full((1, 8, 8), 0.5), torch.ones(1, 8, 8)
    disparity[:, :, :4], opacity[:, :, 3] = 1, 0.5
    background = torch.zeros(1, 8, 8)
    background[:, :, 2:4] = 0.5
    red, blue = (torch.tensor(c)[:, None, None].expand(3, 8, 8) for c in ([1.0, 0, 0], [0.0, 0, 1]))
    layers = Layers(disparity, opacity, torch.where(disparity > 0.7, red, blue), background, blue)
    meshes = {m.name: m for m in make_meshes(SurfaceLayers(layers, torch.tensor([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]])))}
    soft = meshes["silhouettes"]
    assert torch.allclose(soft.points[:, 2], torch.ones(len(soft.points))) and len(soft.triangles) == 16
    assert soft.texture[:, 4, 3].tolist() == [1, 0, 0, 0.5]
    behind = meshes["background"]
    assert behind.texture[:, 4, 3].tolist() == [0, 0, 1] and behind.points[:, 2].max() > 1.9


def test_silhouettes_are_cut_by_the_texture(scene: MPI, tmp_path: Path) -> None:
    """With cells of 8 texels that the square's outline does not follow, split cells hold both surfaces."""
    from mine.output.meshes import make_meshes

    layers = find_surface_layers(scene, 64)
    moved = layers.layers._replace(
        **{
            name: getattr(layers.layers, name).roll(3, -2)
            for name in ("disparity", "opacity", "rgb", "background_disparity", "background_rgb")
        }
    )
    shifted = type(layers)(moved, layers.K)
    meshes = {mesh.name: mesh for mesh in make_meshes(shifted, cells=8)}
    assert list(meshes) == ["surface", "silhouettes", "background"]
    opacity = meshes["silhouettes"].texture[3]
    is_square = moved.disparity[0] == 1
    assert (opacity[is_square] == 1).all()
    border = torch.zeros(SIZE, dtype=torch.bool)
    border[16:40, 24:40] = True  # the cells of 8 x 8 texels that hold parts of the square
    assert (opacity[border & ~is_square] == 0).all()
    assert torch.allclose(
        meshes["silhouettes"].texture[:3, border & ~is_square].T, torch.tensor([1.0, 0, 0]), atol=0.02
    )
    assert (meshes["background"].texture[0] > 0.1).sum() <= CORNERS, "no red of the square is left behind it"


def test_glb_says_what_viewers_need(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.glb")
    content, binary = read_glb(tmp_path / "a.glb")
    camera = content["cameras"][0]["perspective"]
    assert camera["aspectRatio"] == pytest.approx(64 / 48)
    assert 2 * np.degrees(np.arctan(np.tan(camera["yfov"] / 2) * 64 / 48)) == pytest.approx(60)
    assert content["extensionsUsed"] == ["KHR_materials_unlit"]
    for view in content["bufferViews"]:
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= len(binary)
    image = content["bufferViews"][content["images"][0]["bufferView"]]
    texture = Image.open(io.BytesIO(binary[image["byteOffset"] : image["byteOffset"] + image["byteLength"]]))
    assert texture.format == "JPEG" and texture.size == (64, 48)


def test_planes_in_glb_are_rectangles_far_to_near(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.glb", kind="planes")
    content, _ = read_glb(tmp_path / "a.glb")
    assert {material["alphaMode"] for material in content["materials"]} == {"BLEND"}
    meshes = list(meshes_of(tmp_path / "a.glb").values())
    depths = [mesh.vertices[:, 2] for mesh in meshes]
    assert all(np.ptp(depth) < 1e-6 for depth in depths)
    order = [float(depth[0]) for depth in depths]
    assert order == sorted(order, reverse=True) and order[-1] == pytest.approx(1)
    corners = project(meshes[0].vertices)  # the farthest plane is opaque: all of the frame, outer edges included
    np.testing.assert_allclose(corners.min(0), [-0.5, -0.5], atol=1e-4)
    np.testing.assert_allclose(corners.max(0), [63.5, 47.5], atol=1e-4)
    rows, columns = SQUARE
    square = project(meshes[-1].vertices)
    np.testing.assert_allclose(square.min(0), [columns.start - 0.5, rows.start - 0.5], atol=1e-4)
    np.testing.assert_allclose(square.max(0), [columns.stop - 0.5, rows.stop - 0.5], atol=1e-4)


def test_layers_blend_to_the_photo(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        content = json.loads(archive.read("scene.json"))
        images = [Image.open(io.BytesIO(archive.read(layer["file"]))) for layer in content["layers"]]
    assert content["size"] == [64, 48] and len(images) == len(scene.disparity)
    assert content["camera"]["fov_x"] == pytest.approx(60)
    blended = Image.new("RGBA", (64, 48))
    for image in reversed(images):
        blended.alpha_composite(image)
    pixels = np.asarray(blended) / 255
    assert (pixels[..., 3] == 1).all()
    error = np.abs(pixels[..., :3] - wall_photo().movedim(0, -1).numpy()).max(axis=-1)
    assert error.max() < 0.15  # within 3 pixels of the silhouette colours are unmixed, elsewhere they are the photo's
    assert error[PURE].max() < 3 / 255
    for layer, d in zip(content["layers"], scene.disparity.tolist(), strict=True):
        assert layer["depth"] == pytest.approx(1 / d)
        corners = project(np.array(layer["corners"]))
        np.testing.assert_allclose(corners, [[-0.5, -0.5], [63.5, -0.5], [-0.5, 47.5], [63.5, 47.5]], atol=1e-3)


def test_splats_lie_on_the_surfaces(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.ply")
    vertices = PlyData.read(tmp_path / "a.ply")["vertex"]
    centres = np.stack([vertices[name] for name in "xyz"], axis=1).astype(np.float64)
    pixels = project(centres)
    assert np.abs(pixels - pixels.round()).max() < 1e-3
    first = len(pixels[: 48 * 64])
    assert first == 48 * 64 and len({tuple(p) for p in pixels[:first].round()}) == first, "one for each pixel"
    disparity = wall_disparity()[0].numpy()
    column, row = pixels[:first].round().astype(int).T
    close = np.abs(1 / centres[:first, 2] - disparity[row, column]) < 5e-3
    assert (~close).sum() <= CORNERS
    colours = np.stack([vertices[f"f_dc_{i}"] for i in range(3)], axis=1) * C0 + 0.5
    pure = PURE[row, column]
    expected = wall_photo().movedim(0, -1).numpy()[row, column]
    np.testing.assert_allclose(colours[:first][pure], expected[pure], atol=1e-5)
    opacity = 1 / (1 + np.exp(-vertices["opacity"]))
    np.testing.assert_allclose(opacity, OPACITY, atol=1e-5)
    assert len(centres) > first and (colours[first:, 0] < 0.5).all(), "behind the red square lies the wall"


def test_splats_are_flat_on_the_surface(scene: MPI, tmp_path: Path) -> None:
    """The third axis of a Gaussian, its shortest, is the normal of the wall."""
    mine.export(scene, tmp_path / "a.ply")
    vertices = PlyData.read(tmp_path / "a.ply")["vertex"]
    quaternion = np.stack([vertices[f"rot_{i}"] for i in range(4)], axis=1)
    np.testing.assert_allclose(np.linalg.norm(quaternion, axis=1), 1, atol=1e-5)
    scales = np.exp(np.stack([vertices[f"scale_{i}"] for i in range(3)], axis=1))
    assert (scales[:, 2] < scales[:, :2].min(1)).all()
    normals = Rotation.from_quat(quaternion[:, [1, 2, 3, 0]]).as_matrix()[:, :, 2]
    # The wall is 1 / z = a + b x / z: its normal is along (b, 0, -1 + ...), from two of its points and the y axis.
    ends = np.array([[0.0, 24, 1], [63, 24, 1]]) @ np.linalg.inv(K).T / np.array(WALL)[:, None]
    normal = np.cross(ends[1] - ends[0], [0, 1, 0])
    normal /= np.linalg.norm(normal)
    at_left_border = vertices["x"] < np.quantile(vertices["x"], 0.1)
    assert (np.abs(normals[at_left_border] @ normal) > 0.999).mean() > 0.95


@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_splats_grow_with_the_unit_of_length(scene: MPI, unit: float) -> None:
    surfaces = find_surface_layers(scene, 64)
    layers = surfaces.layers
    grown = layers._replace(disparity=layers.disparity / unit, background_disparity=layers.background_disparity / unit)
    expected, actual = make_gaussians(surfaces), make_gaussians(SurfaceLayers(grown, surfaces.K))
    torch.testing.assert_close(actual.centres, expected.centres * unit)
    torch.testing.assert_close(actual.scales, expected.scales * unit, rtol=1e-4, atol=0)
    # The axes of those that are round in their plane are any two: their normals are compared.
    normals = [
        Rotation.from_quat(each.quaternions[:, [1, 2, 3, 0]]).as_matrix()[:, :, 2] for each in (actual, expected)
    ]
    np.testing.assert_allclose(*normals, atol=1e-3)


def test_skewed_intrinsics_count() -> None:
    """What lies parallel to a skewed image is as skewed, in places and in the ellipses that pixels become."""
    K = torch.tensor([[50.0, 20, 31], [0, 40, 23], [0, 0, 1]])
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    points = unproject(torch.full((48, 64), 0.5), K, x, y)
    torch.testing.assert_close(points @ K.T, 2 * torch.stack([x, y, torch.ones_like(x)], dim=-1))
    flat = torch.full((1, 48, 64), 0.5)
    rgb = torch.zeros(3, 48, 64)
    gaussians = make_gaussians(SurfaceLayers(Layers(flat, torch.ones_like(flat), rgb, flat, rgb), K))
    axes = torch.from_numpy(Rotation.from_quat(gaussians.quaternions[:, [1, 2, 3, 0]]).as_matrix()).float()
    covariance = (axes * gaussians.scales[:, None].square()) @ axes.mT
    pixel = 2 * SIGMA * torch.linalg.inv(K)[:2, :2]
    torch.testing.assert_close(covariance[0, :2, :2], pixel @ pixel.T, rtol=1e-3, atol=1e-6)


def test_spz_holds_the_same_gaussians_with_y_up(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.ply")
    mine.export(scene, tmp_path / "a.spz")
    plain, packed = plyread(tmp_path / "a.ply"), read_spz(tmp_path / "a.spz")
    np.testing.assert_allclose(packed.means, plain.means * [1, -1, -1], atol=2 / 4096)
    assert np.abs(packed.scales - plain.scales).max() < 0.04
    turn = Rotation.from_euler("x", 180, degrees=True)
    expected = (turn * Rotation.from_quat(np.roll(plain.quats, -1, axis=1))).as_matrix()
    found = Rotation.from_quat(np.roll(packed.quats, -1, axis=1)).as_matrix()
    assert np.abs(found - expected).max() < 0.02
    assert (tmp_path / "a.spz").stat().st_size < (tmp_path / "a.ply").stat().st_size / 4


@pytest.mark.parametrize("unit", [1000.0, 0.01])
def test_spz_holds_scenes_in_other_units(tmp_path: Path, unit: float) -> None:
    """Of positions, .spz holds 24 bits: in metres, or in millimetres."""
    whole = wall_scene()
    scene = MPI(whole.rgb, whole.sigma / unit, whole.disparity / unit, whole.K, wall_photo(), wall_disparity() / unit)
    mine.export(scene, tmp_path / "a.ply")
    mine.export(scene, tmp_path / "a.spz")
    plain, packed = plyread(tmp_path / "a.ply"), read_spz(tmp_path / "a.spz")
    farthest = np.abs(plain.means).max()
    np.testing.assert_allclose(packed.means, plain.means * [1, -1, -1], atol=max(farthest / 2**20, 2**-24))


@pytest.mark.parametrize("unit", [1e6, 1e-4])
def test_what_spz_cannot_hold_is_told(tmp_path: Path, unit: float) -> None:
    whole = wall_scene()
    scene = MPI(whole.rgb, whole.sigma / unit, whole.disparity / unit, whole.K, wall_photo(), wall_disparity() / unit)
    mine.export(scene, tmp_path / "a.ply")
    with pytest.raises(InputError, match=r"\.spz holds 4\.5e-05 to 379, .*: write \.ply"):
        mine.export(scene, tmp_path / "a.spz")
    assert not (tmp_path / "a.spz").exists()


def test_points_have_the_photos_colours(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.ply", kind="points")
    cloud = trimesh.load(tmp_path / "a.ply")
    pixels = project(np.asarray(cloud.vertices))[: 48 * 64].round().astype(int)
    expected = (wall_photo().movedim(0, -1).numpy()[pixels[:, 1], pixels[:, 0]] * 255).round()
    error = np.abs(cloud.colors[: 48 * 64, :3] - expected).max(axis=1)
    assert error[PURE[pixels[:, 1], pixels[:, 0]]].max() <= 1
    assert len(cloud.vertices) > 48 * 64


def test_depth_is_continuous_and_in_both_files_the_same(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.png")
    mine.export(scene, tmp_path / "a.exr")
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        depth = file.channels()["Z"].pixels.copy()
    assert depth.dtype == np.float32 and depth.shape == SIZE
    assert (np.abs(1 / depth - wall_disparity()[0].numpy()) > 5e-3).sum() <= CORNERS
    assert len(np.unique(depth[0].round(5))) > 50, "a slanted wall has a depth of its own in each column"
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode.startswith("I;16")
        disparity = np.asarray(image) / 65535 * float(image.text["largest_disparity"])  # type: ignore[attr-defined]
    np.testing.assert_allclose(disparity, 1 / depth, atol=1e-4)


def test_a_scene_without_photo_or_surface_is_exported_too(scene: MPI, tmp_path: Path) -> None:
    bare = MPI.from_planes(scene.planes, scene.disparity, scene.K)
    for name in ("a.glb", "a.ply", "a.zip", "a.exr"):
        mine.export(bare, tmp_path / name)
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        error = np.abs(1 / file.channels()["Z"].pixels - wall_disparity()[0].numpy())
    assert (error > 5e-3).sum() <= CORNERS


def test_size_bounds_what_is_written(scene: MPI, tmp_path: Path) -> None:
    mine.export(scene, tmp_path / "a.exr", size=32)
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        assert file.channels()["Z"].pixels.shape == (24, 32)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.obj", {}, "a.obj"),
        ("a.glb", {"kind": "splats"}, "choose mesh or planes"),
        ("a.ply", {"size": 3000}, "size 3000 is out of range for splats"),
        ("a.exr", {"size": 5000}, "size 5000"),
        ("a.html", {"size": 100}, "leave it out"),
    ],
)
def test_what_cannot_be_written_is_refused(
    scene: MPI, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        mine.export(scene, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_extra(scene: MPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(InputError, match=r'OpenEXR.*"mine\[formats\]"'):
        mine.export(scene, tmp_path / "a.exr")
    assert list(tmp_path.iterdir()) == []


def test_every_kind_has_a_size_or_none(tmp_path: Path) -> None:
    for ending, kinds in FORMATS.items():
        for kind, size in kinds.items():
            assert choose_kind(tmp_path / f"a{ending.upper()}", kind) == (kind, size)


def test_the_camera_of_a_model_sees_what_is_close_by(tmp_path: Path) -> None:
    whole = wall_scene()
    for unit, znear in ((1.0, 0.01), (1e-3, 1e-4)):
        scene = MPI(
            whole.rgb, whole.sigma / unit, whole.disparity / unit, whole.K, wall_photo(), wall_disparity() / unit
        )
        mine.export(scene, tmp_path / "a.glb")
        camera = read_glb(tmp_path / "a.glb")[0]["cameras"][0]["perspective"]
        assert camera["znear"] == pytest.approx(znear, rel=0.02)
