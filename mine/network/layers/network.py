"""A disparity network whose background layer and plane opacities are learned too."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.errors import InputError
from mine.network.architecture import Architecture
from mine.network.disparity.lift import lift, to_planes
from mine.network.disparity.network import DisparityNetwork
from mine.network.layers.background import BackgroundNetwork
from mine.network.layers.opacity import OpacityNetwork
from mine.scene.inpaint import Background


class LayeredNetwork(DisparityNetwork):
    """Disparity map, background and opacities, by three networks in a row.

    Args:
        architecture: Its `decoder` is "layers". `background` are the widths of the background network; `opacity` is the
            width of the opacity network, 0 for the lifted opacities.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        if not architecture.background:
            raise InputError("background is missing in the architecture: give its five numbers of channels")
        self.background_network = BackgroundNetwork(architecture.background)
        self.opacity_network: OpacityNetwork | None = None
        if architecture.opacity:
            self.opacity_network = OpacityNetwork(architecture.background[0], architecture.opacity)

    def train(self, mode: bool = True) -> "LayeredNetwork":
        """Sets the training mode; the disparity network stays as it is, for it is not trained here."""
        super().train(mode)
        self.encoder.eval()
        self.decoder.eval()
        return self

    def lift(
        self, image: Float[Tensor, "B 3 H W"], disparity_map: Float[Tensor, "B 1 H W"], disparity: Float[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S 4 H W"], Background]:
        """See `DisparityNetwork.lift`."""
        background, features = self.background_network(image, disparity_map)
        lifted = lift(image, disparity_map, disparity, background)
        if self.opacity_network is not None:
            lifted = self.opacity_network(lifted, disparity_map, disparity, background, features)
        behind, rgb = (F.interpolate(x, image.shape[-2:], mode="bilinear") for x in background)
        return to_planes(lifted, disparity), Background(torch.minimum(behind, disparity_map), rgb)
