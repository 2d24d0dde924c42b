"""Any convolutional network of the library timm as an encoder."""

import re
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from mine.errors import InputError, extras_required
from mine.inputs.files import parsing, shown
from mine.network.encoders.imagenet import imagenet_weights, normalise


class TimmEncoder(nn.Module):
    """A timm model with five feature levels.

    Args:
        name: timm's name of the model, such as "mobilenetv3_large_100".

    Attributes:
        channels: Channels of the five feature maps, finest first.

    Raises:
        InputError: timm does not know the name, or the model lacks one of the levels 1/2 to 1/32.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        with extras_required():
            import timm

        # Names with a prefix ("hf-hub:", "local-dir:") make timm ask a server or read a folder.
        if not re.fullmatch(r"\w+(\.\w+)?", name, re.ASCII) or not timm.is_model(name):
            raise InputError(f"encoder {shown(name)} is unknown to timm: choose one of timm.list_models()")
        with parsing(f"encoder {name!r} gives no feature levels", "choose a convolutional one"):
            backbone: Any = timm.create_model(name, features_only=True, pretrained=False)
        self.name = name
        self.backbone = backbone
        self.channels: list[int] = backbone.feature_info.channels()
        self.mean: tuple[float, ...] = backbone.default_cfg["mean"]
        self.std: tuple[float, ...] = backbone.default_cfg["std"]
        if backbone.feature_info.reduction() != [2, 4, 8, 16, 32]:
            raise InputError(f"encoder {name!r} lacks the feature levels 1/2 to 1/32: choose a convolutional one")

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Computes the five feature maps of an image.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W are multiples of 32.

        Returns:
            Features at 1/2, 1/4, ... 1/32 of the image.
        """
        return list(self.backbone(normalise(image, self.mean, self.std)))

    def load_imagenet(self) -> None:
        """Loads ImageNet weights, which timm downloads once."""
        weights = imagenet_weights(self.name)
        self.backbone.load_state_dict({key: weights[key] for key in self.backbone.state_dict()})
