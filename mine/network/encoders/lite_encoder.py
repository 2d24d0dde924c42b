"""EfficientNet-Lite as an encoder: timm's networks without the import of timm."""

from jaxtyping import Float
from torch import Tensor, nn

from mine.network.encoders.efficientnet_lite import EfficientNetLite
from mine.network.encoders.imagenet import imagenet_weights


class LiteEncoder(nn.Module):
    """The five feature maps of an EfficientNet-Lite, from an image in [0, 1].

    Args:
        name: One of `efficientnet_lite.VARIANTS`.

    Attributes:
        channels: Channels of the five feature maps, finest first.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.backbone = EfficientNetLite(name)
        self.channels = self.backbone.channels

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Computes the five feature maps of an image.

        Args:
            image: (B, 3, H, W) in [0, 1]; the network's own input is in [-1, 1].

        Returns:
            Features at 1/2, 1/4, ... 1/32 of the image, sides rounded up.
        """
        features: list[Tensor] = self.backbone(2 * image - 1)
        return features

    def load_imagenet(self) -> None:
        """Loads ImageNet weights from the package that carries them, else from timm, which downloads them once."""
        weights = imagenet_weights(self.name)
        self.backbone.load_state_dict({key: weights[key] for key in self.backbone.state_dict()})
