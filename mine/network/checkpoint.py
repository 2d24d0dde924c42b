"""Checkpoints of networks: our own format, and the published MINE checkpoints.

Ours is a safetensors file: a network's `state_dict`, each tensor in float32 or float16, and three keys of metadata.

- "format": "mine.network/1".
- "architecture": JSON of an `Architecture`, with the keys "encoder", "widths", "bottleneck", "decoder", "background",
  "opacity" and "members", of which older files lack the last three. The decoder is the kind of network, "planes",
  "disparity" or "layers"; older files say "surface" where "disparity" is meant.
- "disparities": JSON of [near, far], the range of disparities in training. Older files lack it where it is [1, 0.001].

A published checkpoint is a pickle of torch, read as plain weights; see `mine.network.planes.published_checkpoint`.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mine.errors import InputError, PackageError
from mine.files import replacing
from mine.inputs.files import parsing, shown
from mine.inputs.kinds import FORMATS
from mine.inputs.tensors import open_tensors, pack_tensors
from mine.inputs.weights import tensor_format
from mine.network import network_kind
from mine.network.architecture import Architecture
from mine.network.planes.plain_weights import read_plain_weights
from mine.network.planes.published_checkpoint import checked_range, convert, disparity_range
from mine.network.protocol import Network

FORMAT = FORMATS["checkpoint"]

REMEDY = "download or train it again"

FORMER_NAMES = {"surface": "disparity"}
"""Kinds of networks by the names that older files have for them."""


def save_network(network: Network, path: str | Path, half: bool = False) -> None:
    """Writes a network's weights, architecture and range of disparities, the whole file or nothing.

    Args:
        network: On any device.
        path: File to write, usually with the suffix ".safetensors".
        half: Store float16, which halves the file; tensors with values that it does not hold stay as they are.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:
        state = {key: _halved(value) for key, value in state.items()}
    metadata = {"format": FORMAT, "architecture": json.dumps(network.architecture.as_dict())}
    metadata["disparities"] = json.dumps([network.near, network.far])
    with replacing(path) as temporary:
        temporary.write_bytes(pack_tensors(state, metadata))


def _halved(value: Tensor) -> Tensor:
    """Floats as float16, unless a value is too large for it."""
    fits = value.is_floating_point() and (value.half().isfinite() == value.isfinite()).all()
    return value.half() if fits else value


def load_network(path: str | os.PathLike[str]) -> Network:
    """Reads a checkpoint without executing anything in the file.

    Args:
        path: A file of ours (safetensors), or a published "checkpoint.pth", whose range of disparities is read from
            the "params.yaml" beside it, if there is one. Contents count, not the name.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        InputError: The file is missing, damaged or of another format, or a key in it is missing, unexpected or of
            another shape; the message names the key.
    """
    path = Path(path)
    ours = tensor_format(path, "checkpoint", REMEDY) == "safetensors"
    return _read_ours(path) if ours else _read_published(path)


def make_network(architecture: Architecture) -> Network:
    """Builds a network with random weights.

    Args:
        architecture: Its `decoder` is a key of `mine.network.NETWORKS`.

    Returns:
        The network in training mode, on the CPU.

    Raises:
        InputError: The decoder or the encoder is unknown.
    """
    architecture.check()
    return network_kind(architecture.decoder).load()(architecture).float()  # whatever torch's default type is


def _read_ours(path: Path) -> Network:
    """The network in a safetensors file of ours."""
    with open_tensors(path, "checkpoint", REMEDY) as file:
        with parsing(f"{path} is not a readable checkpoint", REMEDY):
            entries = json.loads(file.metadata.get("architecture", ""))
            disparities = json.loads(file.metadata.get("disparities", "[1.0, 0.001]"))
        try:
            architecture = Architecture.from_dict(entries)
            decoder = FORMER_NAMES.get(architecture.decoder, architecture.decoder)
            network = _build(replace(architecture, decoder=decoder), file.shapes)
            network.near, network.far = checked_range("its metadata", disparities)
            with parsing("its values cannot be read", REMEDY):
                weights = {key: file.read(key) for key in file.shapes}
            return _with_weights(network, weights)
        except PackageError:
            raise
        except InputError as error:
            raise InputError(f"{path} is not a readable checkpoint: {error}") from error


def _read_published(path: Path) -> Network:
    """The network in a published checkpoint, with the range of disparities in the file beside it."""
    state = read_plain_weights(path)
    try:
        architecture, weights = convert(state)
        network = _with_weights(_build(architecture, {key: tuple(x.shape) for key, x in weights.items()}), weights)
    except PackageError:
        raise
    except InputError as error:
        raise InputError(f"{path} is not a readable checkpoint: {error}") from error
    params = path.with_name("params.yaml")
    network.near, network.far = disparity_range(params, network.near, network.far)
    return network


def _build(architecture: Architecture, shapes: dict[str, tuple[int, ...]]) -> Network:
    """A network without values (on the meta device) for weights of these shapes, which are checked."""
    with torch.device("meta"):
        network = make_network(architecture)
    expected = network.state_dict()
    if missing := expected.keys() - shapes.keys():
        raise InputError(f"it lacks key {min(missing)!r} ({len(missing)} missing): it is of another model")
    if unexpected := shapes.keys() - expected.keys():
        raise InputError(f"it has unexpected key {shown(min(unexpected))} ({len(unexpected)} in all): another model")
    for key, shape in shapes.items():
        if shape != expected[key].shape:
            raise InputError(f"its key {key!r} has shape {shape}, not {tuple(expected[key].shape)}: another model")
    computed = {name for name, _ in network.named_buffers()} - expected.keys()  # the file does not hold them
    return make_network(architecture) if computed else network


def _with_weights(network: Network, weights: dict[str, Tensor]) -> Network:
    """The network in evaluation mode with checked weights of its keys and shapes."""
    expected = network.state_dict()
    for key, value in weights.items():
        if value.is_complex() or value.is_floating_point() != expected[key].is_floating_point():
            raise InputError(f"its key {key!r} has type {value.dtype}, not {expected[key].dtype}: train it again")
    with parsing("its values cannot be converted", REMEDY):
        # Copies, since what safetensors reads is the file itself, mapped to memory: programs may write to it later.
        own = {key: value.to(expected[key].dtype, copy=True) for key, value in weights.items()}
    for key, value in own.items():  # converted: float64 has finite values that float32 has not
        if not value.isfinite().all():
            raise InputError(f"its key {key!r} has values that are not finite: train it again")
        if key.endswith(".running_var") and value.min() < 0:  # its root is not a number, nor is any prediction
            raise InputError(f"its key {key!r} has variances below 0: train it again")
    network.load_state_dict(own, assign=True)
    return network.eval()
