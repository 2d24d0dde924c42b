"""What every kind of network provides to `mine.model` and to training."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mine.network import NetworkKind, network_kind
from mine.network.architecture import Architecture
from mine.network.encoders.encoder import Encoder

PredictPlanes = Callable[[Tensor, Tensor | int], tuple[Tensor, Tensor]]
"""A function with the arguments (image, disparity) and the results of `Network.predict_planes`."""


class Network(nn.Module, ABC):
    """A network from an image to planes of colour and density.

    It is a base class, not a `typing.Protocol`, because a protocol cannot require a torch module.

    Attributes:
        architecture: What it takes to build the network again.
        encoder: From an image to five feature maps of each member; networks that are no ensemble have one.
        decoder: From feature maps to what the kind of network predicts.
        near: Largest disparity that a plane had in training, in 1 / scene units.
        far: Smallest disparity that a plane had in training, in 1 / scene units. Networks that measure the range of
            disparities of each image ignore `near` and `far`.
    """

    architecture: Architecture
    encoder: Encoder
    decoder: nn.Module
    near: float = 1.0
    far: float = 0.001

    @property
    def kind(self) -> NetworkKind:
        """The entry of `mine.network.NETWORKS` that this network belongs to."""
        return network_kind(self.architecture.decoder)

    @abstractmethod
    def predict_planes(
        self, image: Float[Tensor, "1 3 H W"], disparity: Float[Tensor, " S"] | int
    ) -> tuple[Float[Tensor, "1 S 4 H W"], Float[Tensor, " S"]]:
        """Predicts the planes of one image with torch's own operators, in float32.

        Args:
            image: (1, 3, H, W) in [0, 1]; H and W are multiples of `kind.side_multiple`.
            disparity: (S,) disparities of the planes in 1 / scene units, strictly descending; or the number S of
                planes, at even steps of disparity over the range of the image or of training.

        Returns:
            Planes (1, S, 4, H, W), RGB in [0, 1] and density σ ≥ 0 per scene unit, near to far; and their disparities
            (S,).
        """

    def predictor(self, dtype: torch.dtype) -> PredictPlanes:
        """Prepares inference with the weights as they are now.

        Args:
            dtype: Of the arithmetic, where the kind of network supports more than float32.

        Returns:
            A function with the arguments and results of `predict_planes`.
        """
        return self.predict_planes
