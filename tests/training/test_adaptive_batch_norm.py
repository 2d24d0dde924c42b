"""Adaptive batch normalization on photos."""

import torch

from mine.network.architecture import Architecture
from mine.network.disparity.network import COARSER, DisparityNetwork
from mine.training.adaptive_batch_norm import adapt_batch_norm

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
