"""What each kind of network is trained for: its losses, and the parameters that none of them reaches."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from torch import Tensor, nn

from mine.config import TrainConfig
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.network.layers.network import LayeredNetwork
from mine.network.planes.network import PlaneNetwork, stratified_disparity
from mine.training.disparity_losses import disparity_losses
from mine.training.layer_losses import layer_losses
from mine.training.plane_losses import plane_losses


class Objective(NamedTuple):
    """How one kind of network learns.

    Attributes:
        losses: From network, batch, configuration and random numbers to each weighted loss by name, with their sum
            under "total".
        unreached: From network and configuration to the parameters behind the encoder that have no gradient.
    """

    losses: Callable[[Any, Sample, TrainConfig, BatchRng], dict[str, Tensor]]
    unreached: Callable[[Any, TrainConfig], Iterable[nn.Parameter]]


def stratified_plane_losses(
    network: PlaneNetwork, batch: Sample, config: TrainConfig, rng: BatchRng
) -> dict[str, Tensor]:
    """`plane_losses` of planes at disparities from stratified sampling of the network's range."""
    sampled = stratified_disparity(rng.batch, config.planes, network.near, network.far, rng.generator)
    disparity = sampled[rng.rows]
    fine = config.fine_planes
    uniform = rng.uniform(fine).to(batch.source) if fine else None
    return plane_losses(network, batch, disparity.to(batch.source), config, uniform)


def unreached_levels(network: PlaneNetwork, config: TrainConfig) -> Iterable[nn.Parameter]:
    """Parameters of the decoder's levels that are finer than the finest scale in training."""
    finer = {str(level) for level in range(config.finest)}
    named = network.decoder.named_parameters()
    return [parameter for name, parameter in named if name.split(".")[1] in finer]


def unreached_opacities(network: LayeredNetwork, config: TrainConfig) -> Iterable[nn.Parameter]:
    """Parameters of learned opacities where no view is rendered from them: the other losses are the background's."""
    rendered = config.layer_losses.photometric or config.layer_losses.ssim
    return () if rendered or network.opacity_network is None else network.opacity_network.parameters()


OBJECTIVES = {
    "planes": Objective(stratified_plane_losses, unreached_levels),
    "disparity": Objective(disparity_losses, lambda network, config: ()),
    "layers": Objective(layer_losses, unreached_opacities),
}
"""By the kind of network, a key of `mine.network.NETWORKS`."""
