"""Conversion of the published MINE checkpoints (`checkpoint.pth`, with `params.yaml` beside it) to our keys."""

import os
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from mine.errors import InputError
from mine.inputs.files import shorten, shown
from mine.inputs.yaml_file import read_yaml
from mine.network.architecture import Architecture

BOTTLENECK = {"conv_down1": "down1", "conv_down2": "down2", "conv_up1": "up1", "conv_up2": "up2"}
"""Our names of the bottleneck's convolutions by the published ones."""


MAX_DISPARITY = 1e6
"""Largest disparity that settings may name, in 1 / scene units: published checkpoints have 1."""


def our_key(part: str, key: str) -> str | None:
    """Translates one key of a published checkpoint.

    Args:
        part: "backbone" or "decoder".
        key: Key within the part, with or without the prefix "module." of distributed training.

    Returns:
        Our key, or None for the backbone's classifier, which is not used.

    Raises:
        InputError: The published layout has no such key.
    """
    published = key.removeprefix("module.")
    if part == "backbone":
        name = published.removeprefix("encoder.")
        return None if name.startswith("fc.") else f"encoder.resnet.{name}"
    if match := re.fullmatch(r"(conv_\w+)\.(\d\.\w+)", published):
        if match[1] in BOTTLENECK:
            return f"decoder.bottleneck.{BOTTLENECK[match[1]]}.{match[2]}"
    # Levels are named by a tuple's text with a dash between all characters: "-".join(str(("upconv", 4, 0))).
    elif match := re.fullmatch(r"convs\.([^.]+)\.(?:conv\.)?(\w+\.\w+)", published):
        name = match[1].replace("-", "")
        if level := re.fullmatch(r"\('upconv', (\d), ([01])\)", name):
            order = "before" if level[2] == "0" else "after"
            return f"decoder.{order}.{level[1]}.{match[2].replace('bn.', 'norm.')}"
        if level := re.fullmatch(r"\('dispconv', (\d)\)", name):
            return f"decoder.heads.{level[1]}.{match[2].removeprefix('conv.')}"
    raise InputError(f"unexpected key {shown(key)} in {part!r}: this is not a published MINE checkpoint")


def convert(state: Any) -> tuple[Architecture, dict[str, Tensor]]:
    """Converts the weights of a published checkpoint.

    Args:
        state: {"backbone": ..., "decoder": ...} by published keys.

    Returns:
        The architecture, and the weights by our keys.

    Raises:
        InputError: A part is missing or no dictionary of tensors, or a key is unexpected.
    """
    if not isinstance(state, dict) or not {"backbone", "decoder"} <= set(state):
        raise InputError('it lacks "backbone" and "decoder": this is not a published MINE checkpoint')
    weights = {}
    for part in ("backbone", "decoder"):
        if not isinstance(state[part], dict):
            raise InputError(f"its {part!r} is {shown(state[part])}: this is not a published MINE checkpoint")
        for key, value in state[part].items():
            if not isinstance(key, str) or not isinstance(value, Tensor):
                raise InputError(
                    f"its {part!r} has the entry {shown(key, 60)}: {shown(value, 40)}, not a tensor by name"
                )
            name = our_key(part, key)
            if name is not None:
                weights[name] = value
    return Architecture(encoder=_resnet(weights)), weights


def _resnet(weights: dict[str, Tensor]) -> str:
    """Name of the ResNet with these weights: 50 has bottleneck blocks, 34 a third block in layer1, 18 neither."""
    if "encoder.resnet.layer1.0.conv3.weight" in weights:
        return "resnet50"
    return "resnet34" if "encoder.resnet.layer1.2.conv1.weight" in weights else "resnet18"


def disparity_range(path: Path, near: float, far: float) -> tuple[float, float]:
    """Reads the range of disparities in the settings of a published checkpoint.

    Args:
        path: As for `read_params`.
        near: Largest disparity unless the file has one.
        far: Smallest disparity unless the file has one.

    Returns:
        Largest and smallest disparity.

    Raises:
        InputError: As `read_params`, or the disparities are no numbers with near > far > 0.
    """
    params = read_params(path)
    return checked_range(str(path), [params.get("mpi.disparity_start", near), params.get("mpi.disparity_end", far)])


def checked_range(name: str, values: Any) -> tuple[float, float]:
    """The largest and the smallest disparity that a file names.

    Args:
        name: Where they stand, for the message.
        values: What the file has: a list of both.

    Raises:
        InputError: They are no two numbers with `MAX_DISPARITY` > near > far > 0.
    """
    given = values if isinstance(values, list) else [values]
    numbers = [float(value) for value in given if type(value) in (int, float) and 0 < value < MAX_DISPARITY]
    if not len(given) == len(numbers) == 2 or numbers[0] <= numbers[1]:
        listed = shorten(", ".join(map(shown, given)))
        raise InputError(f"{name} has disparities from {listed}: give two positive numbers, the larger first")
    return numbers[0], numbers[1]


def read_params(path: Path) -> dict[str, Any]:
    """Reads the settings of a published checkpoint.

    Args:
        path: Of the `params.yaml` beside the checkpoint, with nested or dotted keys.

    Returns:
        Values by dotted key, such as "mpi.disparity_start"; empty when there is no file.

    Raises:
        InputError: The file is not YAML, or holds no mapping.
    """
    if not os.path.lexists(path):
        return {}
    params = read_yaml(path, "file of settings", "repair it or remove it")
    if not isinstance(params, dict):
        raise InputError(f"{path} holds no settings: repair it or remove it")
    return dict(_dotted(params))


def _dotted(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Leaves of a tree of mappings, with dotted keys."""
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        pairs += _dotted(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs
