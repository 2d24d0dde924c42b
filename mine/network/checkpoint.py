"""Checkpoints of networks: our own format, and the published MINE checkpoints.

Ours is a safetensors file: a network's `state_dict`, in float32 or float16, and two keys of metadata.

- "format": "mine.network/1".
- "architecture": JSON of an `Architecture`, with the keys "encoder", "widths", "bottleneck" and "decoder". The decoder
  is the kind of network, "planes" or "disparity"; older files say "surface" where "disparity" is meant.

A published checkpoint is a pickle of torch, read as plain weights; see `mine.network.planes.published_checkpoint`.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mine.errors import InputError
from mine.files import replacing
from mine.network import network_kind
from mine.network.architecture import Architecture
from mine.network.planes.published_checkpoint import convert, read_params
from mine.network.protocol import Network

FORMAT = "mine.network/1"

FORMER_NAMES = {"surface": "disparity"}
"""Kinds of networks by the names that older files have for them."""


def save_network(network: Network, path: str | Path, half: bool = False) -> None:
    """Writes a network's weights and architecture, the whole file or nothing.

    Args:
        network: On any device.
        path: File to write, usually with the suffix ".safetensors".
        half: Store float16, which halves the file.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    metadata = {"format": FORMAT, "architecture": json.dumps(network.architecture.as_dict())}
    with replacing(path) as temporary:
        save_file(state, temporary, metadata=metadata)


def load_network(path: str | os.PathLike[str]) -> Network:
    """Reads a checkpoint without executing anything in the file.

    Args:
        path: A file of ours (".safetensors"), or a published "checkpoint.pth", whose range of disparities is read from
            the "params.yaml" beside it, if there is one.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        InputError: The file is missing, damaged or of another format, or a key in it is missing, unexpected or of
            another shape; the message names the key.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}: check the path")
    if path.suffix == ".safetensors":
        architecture, weights = _read_ours(path)
        return _build(architecture, weights, path)
    architecture, weights = convert(_read_published(path))
    network = _build(architecture, weights, path)
    params = read_params(path.with_name("params.yaml"))
    network.near = float(params.get("mpi.disparity_start", network.near))
    network.far = float(params.get("mpi.disparity_end", network.far))
    return network


def make_network(architecture: Architecture) -> Network:
    """Builds a network with random weights.

    Args:
        architecture: Its `decoder` is a key of `mine.network.NETWORKS`.

    Returns:
        The network in training mode, on the CPU.

    Raises:
        InputError: The decoder or the encoder is unknown.
    """
    return network_kind(architecture.decoder).load()(architecture)


def _read_ours(path: Path) -> tuple[Architecture, dict[str, Tensor]]:
    """Architecture and weights of a safetensors file of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path} is not a checkpoint of format {FORMAT}")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)
        fields = json.loads(metadata["architecture"])
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        fields["decoder"] = FORMER_NAMES.get(fields["decoder"], fields["decoder"])
        return Architecture(**fields), weights
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not a readable checkpoint ({error}): download or train it again") from error


def _read_published(path: Path) -> dict[str, Any]:
    """The weights {"backbone": ..., "decoder": ...} of a published checkpoint."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as plain weights: it is damaged or holds code, which is never executed"
        ) from error
    if not isinstance(state, dict) or not {"backbone", "decoder"} <= set(state):
        raise InputError(f'{path} is not a published MINE checkpoint: it lacks "backbone" and "decoder"')
    return state


def _build(architecture: Architecture, weights: dict[str, Tensor], path: Path) -> Network:
    """The network of an architecture with weights that have exactly its keys and shapes."""
    network = make_network(architecture)
    expected = network.state_dict()
    if missing := expected.keys() - weights.keys():
        raise InputError(f"{path} lacks key {min(missing)!r} ({len(missing)} missing): it is of another model")
    if unexpected := weights.keys() - expected.keys():
        raise InputError(f"{path} has unexpected key {min(unexpected)!r} ({len(unexpected)} in all): another model")
    for key, value in weights.items():
        if value.shape != expected[key].shape:
            raise InputError(
                f"{path}: key {key!r} has shape {tuple(value.shape)}, not {tuple(expected[key].shape)}: another model"
            )
    network.load_state_dict({key: value.to(expected[key].dtype) for key, value in weights.items()})
    return network.eval()
