"""The encoder by its name, and its frozen batch norm."""

from torch import nn

from mine.network.encoders.efficientnet_lite import VARIANTS
from mine.network.encoders.ensemble_encoder import EnsembleEncoder, Member
from mine.network.encoders.lite_encoder import LiteEncoder
from mine.network.encoders.resnet import RESNETS, ResNetEncoder
from mine.network.encoders.timm_encoder import TimmEncoder

Encoder = Member | EnsembleEncoder


def make_encoder(name: str, members: int = 1) -> Encoder:
    """Builds an encoder with random weights, or the encoders of an ensemble.

    Args:
        name: "resnet18", "resnet34" or "resnet50" of torchvision, or the name of a timm model.
        members: Networks of the ensemble.

    Returns:
        A module from an image (B, 3, H, W) in [0, 1] to five feature maps of each member, with their `channels`.

    Raises:
        InputError: The name is unknown, or the model lacks one of the levels 1/2 to 1/32.
    """
    if members > 1:
        return EnsembleEncoder([_make_member(name) for _ in range(members)])
    return _make_member(name)


def _make_member(name: str) -> Member:
    """The encoder of one network."""
    if name in RESNETS:
        return ResNetEncoder(name)
    return LiteEncoder(name) if name in VARIANTS else TimmEncoder(name)


def freeze_batch_norm(module: nn.Module) -> None:
    """Puts batch norms in evaluation mode, in training too: statistics of small batches are worse than ImageNet's."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
