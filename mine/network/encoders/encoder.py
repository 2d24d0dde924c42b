"""Image encoders: five feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image."""

from typing import Any

from torch import Tensor, nn

from mine.errors import InputError
from mine.network.encoders.efficientnet_lite import VARIANTS, EfficientNetLite
from mine.network.encoders.imagenet import imagenet_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ResNetEncoder(nn.Module):
    """torchvision's ResNet-18, -34 or -50; its classifier is left out."""

    def __init__(self, name: str = "resnet50") -> None:
        super().__init__()
        from torchvision.models import get_model

        self.name = name
        self.resnet = get_model(name, weights=None)
        self.resnet.fc = nn.Identity()
        self.resnet.avgpool = nn.Identity()
        expansion = 4 if name == "resnet50" else 1
        self.channels = [64, *(width * expansion for width in (64, 128, 256, 512))]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features after conv1+bn+relu and layer1..layer4, from image (B, 3, H, W) in [0, 1]; sides multiples of 32."""
        net = self.resnet
        features = [net.relu(net.bn1(net.conv1(normalise(image, IMAGENET_MEAN, IMAGENET_STD))))]
        x = net.maxpool(features[0])
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Starts from torchvision's ImageNet weights (downloaded once by torchvision)."""
        from torchvision.models import get_model

        weights = get_model(self.name, weights="DEFAULT").state_dict()
        self.resnet.load_state_dict({key: weights[key] for key in self.resnet.state_dict()})


class LiteEncoder(nn.Module):
    """EfficientNet-Lite, one of `efficientnet.VARIANTS`: timm's, without the wait for timm."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.backbone = EfficientNetLite(name)
        self.channels = self.backbone.channels

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at 1/2 to 1/32, from image (B, 3, H, W) in [0, 1], H and W multiples of 32."""
        features: list[Tensor] = self.backbone(2 * image - 1)
        return features

    def load_imagenet(self) -> None:
        """Starts from ImageNet weights: from the package that carries them, else downloaded by timm."""
        weights = imagenet_weights(self.name)
        self.backbone.load_state_dict({key: weights[key] for key in self.backbone.state_dict()})


class TimmEncoder(nn.Module):
    """Any timm model with five feature levels, such as "mobilenetv3_large_100"."""

    def __init__(self, name: str) -> None:
        super().__init__()
        import timm

        try:
            backbone: Any = timm.create_model(name, features_only=True, pretrained=False)
        except RuntimeError as error:
            raise InputError(f"encoder {name!r} is unknown to timm: choose one of timm.list_models()") from error
        self.name = name
        self.backbone = backbone
        self.channels: list[int] = backbone.feature_info.channels()
        self.mean: tuple[float, ...] = backbone.default_cfg["mean"]
        self.std: tuple[float, ...] = backbone.default_cfg["std"]
        if backbone.feature_info.reduction() != [2, 4, 8, 16, 32]:
            raise InputError(f"encoder {name!r} lacks the feature levels 1/2 to 1/32: choose a convolutional one")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at 1/2 to 1/32, from image (B, 3, H, W) in [0, 1], H and W multiples of 32."""
        return list(self.backbone(normalise(image, self.mean, self.std)))

    def load_imagenet(self) -> None:
        """Starts from ImageNet weights, downloaded once by timm."""
        weights = imagenet_weights(self.name)
        self.backbone.load_state_dict({key: weights[key] for key in self.backbone.state_dict()})


def make_encoder(name: str) -> ResNetEncoder | LiteEncoder | TimmEncoder:
    """Encoder by its name: torchvision's "resnet18", "resnet34", "resnet50", or a timm model."""
    if name in ("resnet18", "resnet34", "resnet50"):
        return ResNetEncoder(name)
    return LiteEncoder(name) if name in VARIANTS else TimmEncoder(name)


def normalise(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(image - mean) / std per channel, image (B, 3, H, W)."""
    return (image - image.new_tensor(mean)[:, None, None]) / image.new_tensor(std)[:, None, None]


def freeze_batch_norm(module: nn.Module) -> None:
    """Keeps batch statistics as they are, in training too: small batches would spoil an ImageNet start."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
