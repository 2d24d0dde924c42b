"""Changes to batches leave them views of one scene."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sample import DISPARITY, make_sample, stack
from torch import Tensor

from mine.data.base.augment import augment, mirror
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.render import reference
from mine.scene.camera import pose
from mine.scene.points import disparity_at

SIZE = (32, 48)


@pytest.fixture(scope="module")
def batch() -> Sample:
    return stack(make_sample(SIZE, seed=1), make_sample(SIZE, seed=2))


def test_a_mirror_image_of_a_mirror_image_is_the_original(batch: Sample) -> None:
    again = mirror(mirror(batch))
    for name, value in batch._asdict().items():
        torch.testing.assert_close(getattr(again, name), value, msg=name)
    changed = ("source", "target", "K_src", "T_tgt_src", "points_src", "points_tgt", "depth_src", "depth_tgt")
    for name in changed:
        assert not torch.allclose(getattr(mirror(batch), name), getattr(batch, name)), name


small = st.floats(-0.3, 0.3)


@settings(max_examples=25)
@given(
    turn=st.tuples(small, small, small),
    move=st.tuples(small, small, small),
    centre=st.tuples(st.floats(10, 40), st.floats(5, 30)),
    width=st.integers(30, 60),
)
def test_mirrored_planes_seen_by_the_mirrored_camera_give_the_mirrored_view(
    turn: tuple[float, float, float], move: tuple[float, float, float], centre: tuple[float, float], width: int
) -> None:
    x, y, z = turn
    rotation = torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64))
    sample = make_sample(SIZE)
    K_src, K_tgt = sample.K_src.double(), sample.K_tgt.double()
    K_src[:2, 2] = torch.tensor(centre)
    target = torch.zeros(3, 20, width)  # of another width than the source, as its principal point must respect
    sample = sample._replace(
        K_src=K_src, K_tgt=K_tgt, T_tgt_src=pose(rotation, torch.tensor(move, dtype=torch.float64)), target=target
    )
    generator = torch.Generator().manual_seed(3)
    planes = torch.rand(1, 4, 4, *SIZE, generator=generator, dtype=torch.float64)
    disparity = torch.tensor([[1.1, 0.7, 0.4, 0.1]], dtype=torch.float64)

    def view(planes: Tensor, batch: Sample) -> reference.View:
        size = batch.target.shape[-2], batch.target.shape[-1]
        return reference.render(planes, disparity, batch.K_src, batch.K_tgt, batch.T_tgt_src, size)

    straight, mirrored = view(planes, stack(sample)), view(planes.flip(-1), mirror(stack(sample)))
    for name in ("rgb", "depth"):
        torch.testing.assert_close(getattr(mirrored, name), getattr(straight, name).flip(-1), rtol=1e-8, atol=1e-8)
    # Samples that meet the frame's limit exactly fall to either side of it.
    assert (mirrored.mask != straight.mask.flip(-1)).double().mean() < 0.1


def test_mirrored_points_lie_on_the_mirrored_surfaces(batch: Sample) -> None:
    mirrored = mirror(batch)
    for points, depth, K in (
        (mirrored.points_src, mirrored.depth_src, mirrored.K_src),
        (mirrored.points_tgt, mirrored.depth_tgt, mirrored.K_tgt),
    ):
        torch.testing.assert_close(1 / disparity_at(points, depth, K), points[:, 2])


def test_the_mirrored_scene_renders_the_mirrored_target(batch: Sample) -> None:
    """The same through the sample's own pictures: its depth carries the source into the target."""
    mirrored = mirror(batch)
    size = SIZE
    sigma = (mirrored.depth_src < 2).double() * 1e4  # the card; behind it the wall
    planes = torch.cat([mirrored.source.double(), sigma], dim=1)[:, None].repeat(1, 2, 1, 1, 1)
    planes[:, 1, 3] = 1e4
    disparity = DISPARITY.double().expand(2, 2)
    K, T = mirrored.K_src.double(), mirrored.T_tgt_src.double()
    view = reference.render(planes, disparity, K, K, T, size)
    agrees = (view.depth.float() - mirrored.depth_tgt).abs() < 1e-2
    assert agrees.float().mean() > 0.9
    same_rgb = (view.rgb.float() - mirrored.target).abs().amax(1, keepdim=True) < 0.03
    assert (same_rgb & agrees).float().mean() > 0.8


def augmented(batch: Sample, seed: int) -> Sample:
    return augment(batch, BatchRng.seeded(seed, len(batch.source)))


def test_the_generator_alone_decides(batch: Sample) -> None:
    for name, value in augmented(batch, 5)._asdict().items():
        torch.manual_seed(0)
        assert torch.equal(getattr(augmented(batch, 5), name), value), name
    assert not torch.equal(augmented(batch, 5).source, augmented(batch, 6).source)


def test_about_half_of_all_batches_are_mirrored(batch: Sample) -> None:
    mirrored = [not torch.equal(augmented(batch, seed).K_src, batch.K_src) for seed in range(200)]
    assert 70 < sum(mirrored) < 130
    for seed, flipped in enumerate(mirrored[:10]):
        expected = mirror(batch) if flipped else batch
        for name in batch._fields:
            if name not in ("source", "target"):
                assert torch.equal(getattr(augmented(batch, seed), name), getattr(expected, name)), name


def test_colours_vary_alike_in_source_and_target(batch: Sample) -> None:
    alike = batch._replace(target=batch.source)
    for seed in range(10):
        changed = augmented(alike, seed)
        assert torch.equal(changed.source, changed.target)


def test_colours_vary_from_sample_to_sample_and_stay_colours(batch: Sample) -> None:
    grey = torch.full_like(batch.source, 0.5)
    shades = torch.stack([augmented(batch._replace(source=grey), seed).source[:, :, 0, 0] for seed in range(20)])
    assert shades.flatten(1).std(0).min() > 0.02  # from batch to batch
    assert (shades[:, 0] - shades[:, 1]).abs().amax(1).min() > 1e-4  # within a batch
    for extreme in (0.0, 1.0):
        changed = augmented(batch._replace(source=torch.full_like(batch.source, extreme)), 3).source
        assert torch.isfinite(changed).all()
        assert changed.min() >= 0
        assert changed.max() <= 1
