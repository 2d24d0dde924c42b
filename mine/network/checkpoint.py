"""Checkpoints: ours (safetensors with the architecture in their metadata) and the published ones."""

import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mine.errors import InputError
from mine.files import replacing
from mine.network.architecture import Architecture
from mine.network.disparity.network import DisparityNetwork
from mine.network.planes.convert import convert, read_params
from mine.network.planes.network import PlaneNetwork

FORMAT = "mine.network/1"

AnyNetwork = PlaneNetwork | DisparityNetwork

STORED_AS = {"surface": "disparity"}
"""Names that version 1 of the file format has for kinds of decoder, where they differ from those of today."""

DECODERS: dict[str, type[AnyNetwork]] = {"planes": PlaneNetwork, "disparity": DisparityNetwork}


@dataclass(frozen=True)
class Loaded:
    """A network with its weights, and the range of disparities it was trained on."""

    network: AnyNetwork
    near: float = 1.0
    far: float = 0.001


def save_network(network: AnyNetwork, path: str | Path, half: bool = False) -> None:
    """Writes weights and architecture; `half` halves the file (float16)."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    metadata = {"format": FORMAT, "architecture": json.dumps(network.architecture.as_dict())}
    with replacing(path) as temporary:
        save_file(state, temporary, metadata=metadata)


def load_network(path: str | os.PathLike[str]) -> Loaded:
    """Reads a checkpoint: our safetensors, or a published `checkpoint.pth` (with `params.yaml` beside it, if any).

    Nothing in the file is executed. Raises InputError for a missing file, another format, or any key that is missing,
    unexpected or of another shape (it names the key).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}: check the path")
    if path.suffix == ".safetensors":
        architecture, weights = _read_ours(path)
        return Loaded(_build(architecture, weights, path))
    architecture, weights = convert(_read_published(path))
    params = read_params(path.with_name("params.yaml"))
    return Loaded(
        _build(architecture, weights, path),
        near=float(params.get("mpi.disparity_start", Loaded.near)),
        far=float(params.get("mpi.disparity_end", Loaded.far)),
    )


def _read_ours(path: Path) -> tuple[Architecture, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path} is not a checkpoint of format {FORMAT}")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)
        fields = json.loads(metadata["architecture"])
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        fields["decoder"] = STORED_AS.get(fields["decoder"], fields["decoder"])
        return Architecture(**fields), weights
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not a readable checkpoint ({error}): download or train it again") from error


def _read_published(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as plain weights: it is damaged or holds code, which is never executed"
        ) from error
    if not isinstance(state, dict) or not {"backbone", "decoder"} <= set(state):
        raise InputError(f'{path} is not a published MINE checkpoint: it lacks "backbone" and "decoder"')
    return state


def make_network(architecture: Architecture) -> AnyNetwork:
    """A network with random weights. Raises InputError for a decoder that is not known."""
    if architecture.decoder not in DECODERS:
        raise InputError(f"decoder {architecture.decoder!r} is unknown: choose {' or '.join(DECODERS)}")
    return DECODERS[architecture.decoder](architecture)


def _build(architecture: Architecture, weights: dict[str, Tensor], path: Path) -> AnyNetwork:
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
