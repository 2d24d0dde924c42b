"""ResNet encoder (He et al. 2016), the encoder of the published MINE networks."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn
from torch.hub import get_dir

from mine.errors import extras_required
from mine.inputs.files import parsing
from mine.network.encoders.imagenet import IMAGENET_MEAN, IMAGENET_STD, normalise

RESNETS = ("resnet18", "resnet34", "resnet50")
"""Names of torchvision's networks that `ResNetEncoder` takes."""


class ResNetEncoder(nn.Module):
    """torchvision's ResNet-18, -34 or -50 without its classifier.

    Args:
        name: One of `RESNETS`.

    Attributes:
        channels: Channels of the five feature maps, finest first.
    """

    def __init__(self, name: str = "resnet50") -> None:
        super().__init__()
        with extras_required():
            from torchvision.models import get_model

        self.name = name
        self.resnet = get_model(name, weights=None)
        self.resnet.fc = nn.Identity()
        self.resnet.avgpool = nn.Identity()
        expansion = 4 if name == "resnet50" else 1
        self.channels = [64, *(width * expansion for width in (64, 128, 256, 512))]

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Computes the five feature maps of an image.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W are multiples of 32.

        Returns:
            Features after the stem and after layer1 to layer4, at 1/2, 1/4, ... 1/32 of the image.
        """
        net = self.resnet
        features = [net.relu(net.bn1(net.conv1(normalise(image, IMAGENET_MEAN, IMAGENET_STD))))]
        x = net.maxpool(features[0])
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Loads torchvision's ImageNet weights, which torchvision downloads once.

        Raises:
            InputError: They are not there and cannot be downloaded.
        """
        from torchvision.models import get_model, get_model_weights

        url = get_model_weights(self.name).DEFAULT.url
        remedy = (
            f"connect once, or copy {url} to {Path(get_dir(), 'checkpoints')}; `start` may name a checkpoint instead"
        )
        with parsing(f"ImageNet weights of {self.name} cannot be downloaded", remedy):
            weights = get_model(self.name, weights="DEFAULT").state_dict()
        self.resnet.load_state_dict({key: weights[key] for key in self.resnet.state_dict()})
