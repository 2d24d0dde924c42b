"""Adaptive batch normalization on photos."""

import pytest
import torch

from mine.network.architecture import Architecture
from mine.network.disparity.network import COARSER, DisparityNetwork
from mine.training.adaptive_batch_norm import BATCH, adapt_batch_norm

TINY = Architecture("mobilenetv3_small_050", widths=(4, 4, 8, 8, 8), decoder="disparity")


def test_statistics_become_those_of_the_photos_and_weights_stay() -> None:
    torch.manual_seed(0)
    network = DisparityNetwork(TINY).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    photos = torch.rand(4, 3, 64, 96)
    norm = network.decoder.top[1]
    seen: list[torch.Tensor] = []
    hook = norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    adapt_batch_norm(network, photos)
    hook.remove()
    assert len(seen) == 1 + len(COARSER) and {len(x) for x in seen} == {len(photos)}
    mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
    assert torch.allclose(norm.running_mean, mean, atol=1e-6)
    assert torch.allclose(norm.running_var, variance, rtol=1e-4)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)
    assert not any(module.training for module in network.modules())
    assert norm.momentum == 0.1


@torch.no_grad()
@pytest.mark.parametrize("count", [9, 17])
def test_no_photo_is_left_to_a_batch_of_its_own(count: int) -> None:
    """At 64x64, the coarser prediction's maps at 1/32 have a single pixel."""
    torch.manual_seed(0)
    network, sizes = DisparityNetwork(TINY), set()
    network.decoder.top[1].register_forward_hook(lambda module, inputs, output: sizes.add(len(inputs[0])))
    adapt_batch_norm(network, torch.rand(count, 3, 64, 64))
    assert max(sizes) <= BATCH and max(sizes) - min(sizes) <= 1


def test_a_network_that_fails_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    network = DisparityNetwork(TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        adapt_batch_norm(network, torch.rand(1, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    assert network.decoder.top[1].momentum == 0.1
