"""The published MINE checkpoints (`checkpoint.pth` with `params.yaml` beside it): their layout in our names."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from mine.errors import InputError
from mine.network.architecture import Architecture

DOWN = {"conv_down1": "down1", "conv_down2": "down2", "conv_up1": "up1", "conv_up2": "up2"}


def our_key(part: str, key: str) -> str | None:
    """Our name of one entry of `part` ("backbone" or "decoder"); None for the unused classifier.

    Raises InputError for a key that the published layout does not have.
    """
    plain = key.removeprefix("module.")
    if part == "backbone":
        name = plain.removeprefix("encoder.")
        return None if name.startswith("fc.") else f"encoder.resnet.{name}"
    if match := re.fullmatch(r"(conv_\w+)\.(\d\.\w+)", plain):
        if match[1] in DOWN:
            return f"decoder.bottleneck.{DOWN[match[1]]}.{match[2]}"
    # Levels are named by a tuple's text with a dash between all characters: "-".join(str(("upconv", 4, 0))).
    elif match := re.fullmatch(r"convs\.([^.]+)\.(?:conv\.)?(\w+\.\w+)", plain):
        name = match[1].replace("-", "")
        if level := re.fullmatch(r"\('upconv', (\d), ([01])\)", name):
            place = "before" if level[2] == "0" else "after"
            return f"decoder.{place}.{level[1]}.{match[2].replace('bn.', 'norm.')}"
        if level := re.fullmatch(r"\('dispconv', (\d)\)", name):
            return f"decoder.heads.{level[1]}.{match[2].removeprefix('conv.')}"
    raise InputError(f"unexpected key {key!r} in {part!r}: this is not a published MINE checkpoint")


def convert(state: dict[str, Any]) -> tuple[Architecture, dict[str, Tensor]]:
    """Architecture and weights in our names from a published {"backbone": ..., "decoder": ...}."""
    weights = {}
    for part in ("backbone", "decoder"):
        for key, value in state[part].items():
            name = our_key(part, key)
            if name is not None:
                weights[name] = value
    return Architecture(encoder=_resnet(weights)), weights


def _resnet(weights: dict[str, Tensor]) -> str:
    """Which ResNet the backbone is, from its blocks: 50 has bottlenecks, 34 a third block in layer1, 18 neither."""
    if "encoder.resnet.layer1.0.conv3.weight" in weights:
        return "resnet50"
    return "resnet34" if "encoder.resnet.layer1.2.conv1.weight" in weights else "resnet18"


def read_params(path: Path) -> dict[str, Any]:
    """The published `params.yaml` beside a checkpoint: its nested or dotted keys, dotted; empty when there is none."""
    if not path.is_file():
        return {}
    import yaml

    try:
        params = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable YAML: repair it or remove it") from error
    if not isinstance(params, dict):
        raise InputError(f"{path} holds no settings: repair it or remove it")
    return dict(_dotted(params))


def _dotted(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        pairs += _dotted(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs
