"""The losses of a learned background and learned opacities, in scenes whose geometry is known."""

from dataclasses import replace

import pytest
import torch
from tiny_sample import make_sample, stack
from torch import Tensor

from mine.config import LayerLossWeights, TrainConfig
from mine.data.base.disocclusion import uncovered
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.errors import InputError
from mine.network.architecture import Architecture, PartialArchitecture
from mine.network.checkpoint import make_network, save_network
from mine.network.disparity.network import focal_contrast
from mine.network.layers.network import LayeredNetwork
from mine.scene.camera import intrinsics
from mine.scene.inpaint import Background
from mine.training.layer_losses import background_losses, both_ways, choose_map, layer_losses, spread_planes
from mine.training.optim import add_layers, freeze, start_network

DISPARITY_ONLY = Architecture("mobilenetv3_small_050", widths=(4, 4, 8, 8, 8), decoder="disparity")
WANTED = Architecture(decoder="layers", background=(4, 4, 4, 4, 4), opacity=8)
GIVEN = PartialArchitecture(decoder="layers", background=WANTED.background, opacity=WANTED.opacity)
SIZE = (32, 64)
K = torch.tensor([[40.0, 0, 32], [0, 40, 16], [0, 0, 1]])
NEAR, FAR, MOVED = 1.0, 4.0, 0.2


def card_before_wall() -> Sample:
    """Two views, the second 0.2 to the right: a card at depth 1 moves by 8 pixels, the wall at 4 by 2."""

    def view(left: int) -> tuple[Tensor, Tensor]:
        image, depth = torch.zeros(3, *SIZE), torch.full((1, *SIZE), FAR)
        image[2] = 0.8
        image[:, 8:24, left : left + 16] = torch.tensor([0.9, 0.1, 0.1])[:, None, None]
        depth[:, 8:24, left : left + 16] = NEAR
        return image, depth

    (source, depth_src), (target, depth_tgt) = view(20), view(12)
    pose = torch.eye(4)
    pose[0, 3] = -MOVED
    points = torch.tensor([[0.0, 0, FAR], [0.1, 0, NEAR], [1, 1, FAR]]).T
    return Sample(source, target, K, K, pose, points, points, depth_src, depth_tgt, torch.tensor(1.0))


def test_uncovered_pixels_are_what_the_card_hid() -> None:
    """The wall moves 6 pixels less than the card: a strip of 6 columns at the card's right side was hidden."""
    seen = uncovered(stack(card_before_wall()))
    columns = seen.hidden[0, 0, 16].nonzero().flatten()
    assert columns.tolist() == list(range(28, 34))
    assert torch.allclose(seen.pixel[0, 16, 28], torch.tensor([30.0, 16.0]))  # column 28 + 2
    assert not seen.hidden[0, 0, 2].any()


def test_background_losses_vanish_for_the_true_background() -> None:
    views = stack(card_before_wall())
    weights = LayerLossWeights()
    disparity_map = 1 / views.depth_src
    wall = torch.zeros(1, 3, *SIZE)
    wall[:, 2] = 0.8
    right = Background(torch.full((1, 1, *SIZE), 1 / FAR), wall)
    wrong = Background(torch.full((1, 1, *SIZE), 2 / FAR), 1 - wall)
    found = background_losses(views, disparity_map, right, torch.ones(1), weights)
    assert all(float(loss) < 1e-4 for loss in found.values())
    found = background_losses(views, disparity_map, wrong, torch.ones(1), weights)
    assert float(found["disparity"]) == pytest.approx(weights.disparity * 0.6931, abs=1e-3)
    assert float(found["colour"]) == pytest.approx(weights.colour * (0.6 + 1 + 1) / 3, abs=1e-3)


def test_background_losses_of_a_batch_are_the_means_of_its_samples() -> None:
    """However many pixels each uncovers: the second sees half of the card, the third has no dense depth."""
    card = card_before_wall()
    half = card._replace(depth_src=card.depth_src.clone(), depth_tgt=card.depth_tgt.clone())
    half.depth_src[:, 14:] = half.depth_tgt[:, 14:] = FAR
    batch = stack(card, half, card._replace(metric=torch.tensor(0.0)))
    background = Background(torch.rand(3, 1, *SIZE) / 4, torch.rand(3, 3, *SIZE))

    def losses(rows: slice) -> dict[str, Tensor]:
        views, own = Sample(*(field[rows] for field in batch)), Background(*(part[rows] for part in background))
        return background_losses(views, 1 / views.depth_src, own, torch.ones(len(views.metric)), LayerLossWeights())

    each = [losses(slice(row, row + 1)) for row in range(3)]
    for name, whole in losses(slice(0, 3)).items():
        assert each[0][name] > 0 and each[1][name] > 0 and each[2][name] == 0
        torch.testing.assert_close(whole, torch.stack([own[name] for own in each]).mean(), rtol=1e-4, atol=1e-6)


def test_both_ways_inverts_the_pose() -> None:
    views = both_ways(stack(card_before_wall()))
    assert torch.allclose(views.T_tgt_src[0] @ views.T_tgt_src[1], torch.eye(4), atol=1e-6)
    assert torch.equal(views.depth_src[1], views.depth_tgt[0])


def test_predicted_maps_have_the_contrast_of_their_cameras() -> None:
    """As in `Model.predict`: a wide-angle view has more relief than one by a long lens."""
    torch.manual_seed(0)
    network = add_layers(make_network(DISPARITY_ONLY), WANTED).eval()
    assert isinstance(network, LayeredNetwork)
    with torch.no_grad():
        network.decoder.head.weight.mul_(100)  # untrained, its maps are nearly flat
    sample = make_sample(SIZE)._replace(metric=torch.tensor(0.0))  # so that all maps are predicted
    views = stack(*(sample._replace(K_src=intrinsics(SIZE, fov)) for fov in (25, 90)))
    with torch.no_grad():
        maps, _ = choose_map(network, views, BatchRng.seeded(0, 2))
        for found, K, other in zip(maps, views.K_src, views.K_src.flip(0), strict=True):
            torch.testing.assert_close(found, network(sample.source[None], float(focal_contrast(K, SIZE)))[0])
            assert not torch.allclose(found, network(sample.source[None], float(focal_contrast(other, SIZE)))[0])


def test_planes_of_training_descend_over_the_range_of_the_map() -> None:
    disparity_map = torch.rand(3, 1, *SIZE) * 0.5 + 0.5
    for seed in range(20):
        planes = spread_planes(disparity_map, 8, BatchRng.seeded(seed, 3))
        assert (planes[:, 1:] < planes[:, :-1]).all()
        assert planes[:, 0].tolist() == [1, 1, 1]


def test_layers_start_from_a_disparity_network_which_stays_as_it_is(tmp_path) -> None:
    torch.manual_seed(0)
    base = make_network(DISPARITY_ONLY).eval()
    save_network(base, tmp_path / "base.safetensors")
    config = TrainConfig("unused", GIVEN, str(tmp_path / "base.safetensors"), size=SIZE, planes=6)
    network = start_network(config).train()
    freeze(network, config)
    assert isinstance(network, LayeredNetwork)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    batch = stack(card_before_wall())
    batch.target[:, 1, 8:24, 28:34] = 1.0  # a colour behind the card that the closed form cannot know
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.003)
    totals = []
    for _ in range(4):
        losses = layer_losses(network, batch, config, BatchRng.seeded(0, 1))
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        totals.append(float(losses["total"].detach()))
    assert totals[-1] < 0.8 * totals[0]
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert set(losses) == {"colour", "disparity", "structure", "photometric", "ssim", "total"}


def test_layers_go_on_from_layers_and_not_from_planes(tmp_path) -> None:
    layered = add_layers(make_network(DISPARITY_ONLY), WANTED)
    again = add_layers(layered, WANTED)
    assert all(
        torch.equal(a, b) for a, b in zip(layered.state_dict().values(), again.state_dict().values(), strict=True)
    )
    save_network(make_network(Architecture("mobilenetv3_small_050", (4, 4, 8, 8, 8), (8, 8))), tmp_path / "planes")
    with pytest.raises(InputError, match="start has the decoder planes: layers need a disparity network"):
        start_network(TrainConfig("unused", GIVEN, str(tmp_path / "planes")))


def test_samples_without_dense_depth_teach_by_their_views_alone() -> None:
    torch.manual_seed(0)
    network = add_layers(make_network(DISPARITY_ONLY), WANTED)
    batch = stack(*[make_sample(SIZE)._replace(metric=torch.tensor(0.0))] * 2)
    losses = layer_losses(
        network.train(), batch, TrainConfig("unused", WANTED, size=SIZE, planes=4), BatchRng.seeded(0, 2)
    )  # type: ignore[arg-type]
    assert float(losses["colour"].detach()) == 0 and float(losses["photometric"].detach()) > 0


@pytest.mark.parametrize("weights", [{}, {"ssim": 0.0}, {"photometric": 0.0}, {"photometric": 0.0, "ssim": 0.0}])
@pytest.mark.parametrize("opacity", [0, 8])
def test_all_that_is_trained_has_a_gradient(weights: dict[str, float], opacity: int) -> None:
    """Without one, several processes wait for it in vain."""
    wanted = replace(WANTED, opacity=opacity)
    network = add_layers(make_network(DISPARITY_ONLY), wanted).train()
    assert isinstance(network, LayeredNetwork)
    config = TrainConfig("unused", wanted, size=SIZE, planes=4, layer_losses=LayerLossWeights(**weights))
    freeze(network, config)
    layer_losses(network, stack(card_before_wall()), config, BatchRng.seeded(0, 1))["total"].backward()
    missing = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing and any(p.grad is not None for p in network.parameters())
