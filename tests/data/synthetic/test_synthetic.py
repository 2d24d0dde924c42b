"""Generated scenes: their geometry is exact, so most of this checks pictures against depth and pose."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from mine.data.base.sample import Sample
from mine.data.synthetic import SCENE_KINDS, SyntheticScenes, generate
from mine.data.synthetic.atlas import Atlas
from mine.data.synthetic.raycast import cast_rays
from mine.data.synthetic.scene import Scene, euler
from mine.data.synthetic.shapes import Convex, Rays
from mine.data.synthetic.textures import Textures
from mine.errors import InputError

SIZE = (48, 72)


@pytest.fixture(scope="module")
def samples() -> dict[str, list[Sample]]:
    """Three small scenes of each kind."""
    return {kind: [generate(seed, SIZE, kind=kind) for seed in range(3)] for kind in SCENE_KINDS}


def everything(samples: dict[str, list[Sample]]) -> list[Sample]:
    return [sample for scenes in samples.values() for sample in scenes]


def grid(size: tuple[int, int]) -> Tensor:
    v, u = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([u, v, torch.ones_like(u)]).float().flatten(1)


def carried(sample: Sample) -> tuple[Tensor, Tensor]:
    """Where source pixels fall in the target (2, N), and at what depth (N,), by the source's depth and the pose."""
    points = torch.linalg.inv(sample.K_src) @ grid(SIZE) * sample.depth_src.flatten()
    points = sample.T_tgt_src[:3, :3] @ points + sample.T_tgt_src[:3, 3:]
    pixels = sample.K_tgt @ points
    return pixels[:2] / pixels[2:], points[2]


def lookup(image: Tensor, pixels: Tensor) -> Tensor:
    scale = torch.tensor([SIZE[1] - 1, SIZE[0] - 1])[:, None]
    return F.grid_sample(image[None], (pixels / scale * 2 - 1).T[None, None], align_corners=True)[0, :, 0]


def test_fields_have_their_shapes_and_ranges(samples: dict[str, list[Sample]]) -> None:
    for sample in everything(samples):
        assert sample.source.shape == sample.target.shape == (3, *SIZE)
        assert sample.depth_src.shape == sample.depth_tgt.shape == (1, *SIZE)
        assert sample.points_src.shape == sample.points_tgt.shape == (3, 256)
        assert sample.K_src.shape == (3, 3) and sample.T_tgt_src.shape == (4, 4) and sample.metric == 1.0
        assert all(field.dtype == torch.float32 and torch.isfinite(field).all() for field in sample)
        for picture in (sample.source, sample.target):
            assert picture.amin() >= 0 and picture.amax() <= 1 and picture.std() > 0.02


def test_depth_starts_beyond_one_and_ends_at_a_thousand(samples: dict[str, list[Sample]]) -> None:
    for sample in everything(samples):
        assert torch.quantile(sample.depth_src, 0.02) >= 1.0 and torch.quantile(sample.depth_src, 0.005) <= 1.6
        assert sample.depth_src.amax() <= 1000 and sample.depth_tgt.amax() <= 1000
        assert sample.depth_tgt.amin() > 0.2
    assert any(sample.depth_src.amax() == 1000 for sample in samples["yard"])
    assert all(sample.depth_src.amax() < 50 for sample in samples["room"])


def test_the_same_number_gives_the_same_scene(samples: dict[str, list[Sample]]) -> None:
    generate(5, SIZE)  # what was made before does not matter
    again = generate(1, SIZE, kind="yard")
    for first, second in zip(samples["yard"][1], again, strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(again.source, samples["yard"][2].source)


def test_cameras_are_apart_but_see_the_same(samples: dict[str, list[Sample]]) -> None:
    for sample in everything(samples):
        R, t = sample.T_tgt_src[:3, :3], sample.T_tgt_src[:3, 3]
        torch.testing.assert_close(R @ R.T, torch.eye(3), atol=1e-5, rtol=0)
        assert 0.001 < t.norm() < 2.0
        angle = math.acos(min(1.0, (float(R.trace()) - 1) / 2))
        assert angle < math.radians(20)


def test_target_depth_agrees_with_source_depth_and_pose(samples: dict[str, list[Sample]]) -> None:
    for sample in everything(samples):
        pixels, depth = carried(sample)
        inside = (pixels >= 0).all(0) & (pixels[0] <= SIZE[1] - 1) & (pixels[1] <= SIZE[0] - 1) & (depth < 500)
        inverse = lookup(1 / sample.depth_tgt, pixels)[0]  # linear across planes, unlike depth
        error = (inverse * depth - 1).abs()[inside]
        assert inside.float().mean() > 0.2 or sample.depth_src.median() > 500
        assert (error < 0.01).float().mean() > 0.6


def test_target_colours_agree_with_source_where_both_see(samples: dict[str, list[Sample]]) -> None:
    for sample in everything(samples):
        pixels, depth = carried(sample)
        inside = (pixels >= 0).all(0) & (pixels[0] <= SIZE[1] - 1) & (pixels[1] <= SIZE[0] - 1)
        seen = inside & ((lookup(1 / sample.depth_tgt, pixels)[0] * depth - 1).abs() < 0.01)
        here, there = sample.source.flatten(1)[:, seen], lookup(sample.target, pixels)[:, seen]
        error = (here - there).abs().mean(0)
        assert torch.quantile(error, 0.5) < 0.05
        shuffled = (here - there[:, torch.randperm(there.shape[1], generator=torch.Generator().manual_seed(0))]).abs()
        assert error.mean() < 0.6 * shuffled.mean()


def test_points_lie_on_the_depth_they_are_seen_at(samples: dict[str, list[Sample]]) -> None:
    for sample in everything(samples):
        views = (sample.points_src, sample.depth_src, sample.K_src), (sample.points_tgt, sample.depth_tgt, sample.K_tgt)
        for points, depth, K in views:
            pixels = K @ points / points[2]
            column, row = pixels[:2].round().long()
            torch.testing.assert_close(pixels[0], column.float(), atol=1e-2, rtol=0)
            torch.testing.assert_close(points[2], depth[0, row, column], rtol=1e-4, atol=1e-4)


def test_ground_rises_from_near_below_to_far_above(samples: dict[str, list[Sample]]) -> None:
    for sample in samples["yard"] + samples["street"]:
        rows = sample.depth_src[0].median(dim=1).values
        assert rows[-1] < rows[SIZE[0] // 2]


def test_data_set_collates_into_batches() -> None:
    data = SyntheticScenes(4, (32, 32), seed=10)
    batch = next(iter(DataLoader(data, batch_size=4)))
    assert isinstance(batch, Sample) and batch.source.shape == (4, 3, 32, 32) and batch.metric.shape == (4,)
    assert torch.equal(data[1].source, generate(11, (32, 32)).source)
    with pytest.raises(IndexError):
        data[4]


def test_textures_come_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "wall").mkdir()
    (tmp_path / "plant").mkdir()
    Image.new("RGB", (300, 200), (250, 20, 20)).save(tmp_path / "red.jpg")
    Image.new("RGB", (300, 200), (250, 20, 20)).save(tmp_path / "wall" / "red.jpg")
    Image.new("RGBA", (64, 100), (20, 250, 20, 255)).save(tmp_path / "plant" / "tree.png")
    reddish = [generate(seed, (32, 48), textures=tmp_path, kind="table").source.mean((1, 2)) for seed in range(4)]
    plain = [generate(seed, (32, 48), kind="table").source.mean((1, 2)) for seed in range(4)]
    excess = [float(sum(colour[0] - colour[2] for colour in colours)) for colours in (reddish, plain)]
    assert excess[0] > excess[1] + 0.3


def test_empty_texture_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        generate(0, (32, 32), textures=tmp_path)


def rays(scene: Scene, size: int = 33) -> Rays:
    ticks = torch.linspace(-0.5, 0.5, size)
    return Rays(np.zeros(3), np.eye(3), ticks, ticks, Atlas(scene.images))


def blank() -> Scene:
    scene = Scene.empty(0, None)
    scene.set_sky(torch.ones(3, 4, 4))
    scene.add_image(torch.rand(3, 8, 8))
    return scene


def test_a_turned_box_is_met_where_its_planes_are() -> None:
    scene = blank()
    rotation = euler(0.4, 0.3, 0.2)
    center, half = np.array([0.1, -0.1, 5.0]), np.array([0.8, 0.5, 1.0])
    scene.add_box(center, half, rotation, [1] * 6, None)
    hits = cast_rays(scene.shapes, rays(scene))
    found = torch.isfinite(hits.depth)
    x, y = hits.rays.x.expand(33, 33), hits.rays.y[:, None].expand(33, 33)
    points = torch.stack([x, y, torch.ones_like(x)])[:, found] * hits.depth[found]
    local = torch.from_numpy(rotation.T).float() @ (points - torch.from_numpy(center).float()[:, None])
    reach = (local.abs() / torch.from_numpy(half).float()[:, None]).amax(0)
    torch.testing.assert_close(reach, torch.ones_like(reach), atol=1e-4, rtol=0)
    assert 0.05 < found.float().mean() < 0.5 and hits.surface[found].unique().numel() >= 2


@pytest.mark.parametrize("distance", [2.0, 50.0])
def test_a_sphere_is_met_at_the_closed_form(distance: float) -> None:
    scene = blank()
    radius = 0.2 * distance
    scene.add_ellipsoid(np.array([0, 0, distance]), np.full(3, radius), euler(1.0, 0.5), 1)
    hits = cast_rays(scene.shapes, rays(scene))
    square = hits.rays.x**2 + hits.rays.y[:, None] ** 2 + 1
    root = distance**2 - square * (distance**2 - radius**2)
    expected = torch.where(root > 0, (distance - root.clamp(min=0).sqrt()) / square, math.inf)
    sure = root.abs() > 1e-3 * distance**2
    torch.testing.assert_close(hits.depth[sure], expected[sure], rtol=1e-4, atol=0)


def test_a_cylinder_seen_from_above_shows_its_cap() -> None:
    scene = blank()
    upright_seen_from_its_end = euler(0, math.pi / 2)
    scene.add_cylinder(np.array([0, 0, 4.0]), np.array([0.5, 1.0, 0.5]), upright_seen_from_its_end, 1)
    hits = cast_rays(scene.shapes, rays(scene))
    assert hits.depth[16, 16] == pytest.approx(3.0, abs=1e-4)
    radius = torch.hypot(hits.rays.x[None], hits.rays.y[:, None]) * 3
    assert torch.isfinite(hits.depth[radius < 0.49]).all() and torch.isinf(hits.depth[radius > 0.51]).all()


def test_a_card_is_cut_out_by_its_opacity() -> None:
    scene = blank()
    picture = torch.ones(4, 16, 16)
    picture[3, :, 8:] = 0
    scene.add_billboard(np.array([0, 0, 2.0]), (0.5, 0.5), np.eye(3), scene.add_image(picture))
    hits = cast_rays(scene.shapes, rays(scene))
    assert hits.depth[16, 12] == pytest.approx(2.0) and torch.isinf(hits.depth[16, 20])


def test_ground_is_met_at_height_over_slope() -> None:
    ground = Convex(1, np.array([[0, -1.0, 0]]), np.array([-1.5]))
    depth, _ = ground.intersect(rays(blank()))
    below = torch.linspace(-0.5, 0.5, 33) > 0.01
    expected = (1.5 / torch.linspace(-0.5, 0.5, 33)[below])[:, None].expand(-1, 33)
    torch.testing.assert_close(depth[below], expected, rtol=1e-4, atol=0)
    assert torch.isinf(depth[:16]).all()


def test_textures_of_many_grey_levels_show_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "object").mkdir()
    Image.fromarray(np.full((64, 64), 32768, np.uint16)).save(tmp_path / "object" / "grey.png")
    textures = Textures(tmp_path)
    means = [float(textures.surface(np.random.default_rng(seed), "object").mean()) for seed in range(6)]
    assert pytest.approx(128 / 255, abs=1e-4) in means and 1.0 not in means


def test_a_cutout_may_have_a_palette_with_transparency(tmp_path: Path) -> None:
    (tmp_path / "plant").mkdir()
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([0, 0, 0, 20, 240, 20])
    picture.paste(1, (16, 16, 48, 48))
    picture.save(tmp_path / "plant" / "tree.png", transparency=0)
    textures = Textures(tmp_path)
    shapes = [textures.cutout(np.random.default_rng(seed), "plant") for seed in range(6)]
    trees = [shape for shape in shapes if shape.shape == (4, 64, 64) and shape[3].mean() == 0.25]
    assert trees
    torch.testing.assert_close(trees[0][:3, 32, 32], torch.tensor([20.0, 240, 20]) / 255)


def test_minified_textures_fade_to_their_mean() -> None:
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    atlas = Atlas([checks.float().expand(3, -1, -1)])
    u = torch.rand(100, generator=torch.Generator().manual_seed(0))
    far = atlas.sample(torch.zeros(100, dtype=torch.long), u, u, torch.full((100,), 0.3))
    torch.testing.assert_close(far, torch.full_like(far, 0.5), atol=0.01, rtol=0)
    near = atlas.sample(
        torch.zeros(2, dtype=torch.long),
        torch.tensor([0.5, 1.5]) / 64,
        torch.tensor([0.5, 0.5]) / 64,
        torch.full((2,), 1e-4),
    )
    torch.testing.assert_close(near[:, 0], torch.tensor([0.0, 1.0]), atol=0.01, rtol=0)
