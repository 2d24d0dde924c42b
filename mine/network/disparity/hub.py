"""Depth by other networks: models for depth estimation of the library transformers, from its hub or from a folder.

What can be wrong with a name is found out by `check_depth_model`, which imports neither torch nor transformers.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mine.errors import InputError
from mine.inputs.files import parsing, read_text, reason, shorten
from mine.scene.depth_maps.depth_map import DepthMap, Kind, make_depth_map

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEFAULT_DEPTH_MODEL = "depth-anything/Depth-Anything-V2-Small-hf"
"""Depth Anything V2, small (Yang et al. 2024): 25 million parameters, Apache licence."""

NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""What the hub's names look like."""

METRIC_TYPES = {"glpn", "zoedepth", "depth_pro"}
"""Types of models that predict depth in metres, as Depth Anything's do whose `depth_estimation_type` is "metric"."""

DISPARITY_TYPES = {"depth_anything", "prompt_depth_anything"}
"""Types of models that predict relative disparity, unless they are metric. What others predict, the photo decides."""

MAX_CONFIG = 1 << 20
"""Most bytes of a model's configuration."""

MAX_SIDE = 1024
"""Longest side in pixels of the photo that a model is given: they work on about 518."""


def check_depth_model(name: str) -> dict[str, Any]:
    """Checks that a model can be fetched, or is in the cache, and is one for depth estimation.

    Args:
        name: Name of a model in the hub, or a folder with one. A name is fetched into the hub's cache unless it is
            there; with HF_HUB_OFFLINE=1 the cache alone is read.

    Returns:
        The model's configuration.

    Raises:
        InputError: transformers is not installed, there is no such model, or it is none for depth estimation.
    """
    if find_spec("transformers") is None:
        raise InputError('transformers is not installed: pip install "mine[hub]"')
    remedy = f"give a model for depth estimation, such as {DEFAULT_DEPTH_MODEL}, or a folder with one"
    folder = os.path.isdir(name)
    if not folder and (os.path.exists(name) or not NAME.fullmatch(name)):
        raise InputError(f"depth model {name} is neither a folder nor a name of the hub: {remedy}")
    path = Path(name, "config.json") if folder else _fetch_config(name)
    text = read_text(path, f"configuration of depth model {name}:", remedy, MAX_CONFIG)
    with parsing(f"the configuration of depth model {name} is damaged", remedy):
        config = json.loads(text)
        names = [str(architecture) for architecture in config.get("architectures") or ()]
    if not any(architecture.endswith("ForDepthEstimation") for architecture in names):
        raise InputError(
            f"depth model {name} is {shorten(', '.join(names)) or 'of another kind'}, not for depth: {remedy}"
        )
    return dict(config)


def _fetch_config(name: str) -> Path:
    """The configuration of a model of the hub, in the cache."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return Path(cached)
    with _fetching(name):
        if not _offline():
            get_hf_file_metadata(hf_hub_url(name, "config.json"))  # it does not try again for half a minute
        return Path(hf_hub_download(name, "config.json"))


def _fetch_model(name: str) -> str:
    """The folder of a model of the hub: its configuration and weights, from the cache if they are there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError):
        folder = snapshot_download(name, local_files_only=True)
        if any(Path(folder).glob("*.safetensors")):
            return folder
    with _fetching(name):
        folder = snapshot_download(name, allow_patterns=["*.json", "*.safetensors"])
    if not any(Path(folder).glob("*.safetensors")):
        raise InputError(f"depth model {name} has no weights as safetensors, which hold no program: give another one")
    return folder


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    """Context around calls of the hub's library: what it raises becomes an InputError."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        raise InputError(f"depth model {name} does not exist in the hub, or not for you: check the name") from error
    except Exception as error:  # its own classes, those of its HTTP library, and of sockets
        why = "HF_HUB_OFFLINE is set" if _offline() else reason(error)
        raise InputError(
            f"depth model {name} is not in the cache and cannot be fetched ({why}): connect, or give a folder"
        ) from error


def _offline() -> bool:
    """Whether the hub's library must not use the network."""
    from huggingface_hub.constants import is_offline_mode

    return bool(is_offline_mode())


class DepthModel:
    """A model for depth estimation of the library transformers, as `depth` of `mine.Model.predict`.

    Args:
        name: See `check_depth_model`.
        device: Where it runs.
        kind: What its values mean; "auto" leaves it to the model's type, and where that does not say it, to the photo.

    Raises:
        InputError: As `check_depth_model`, or its weights cannot be fetched or read.
    """

    def __init__(
        self, name: str = DEFAULT_DEPTH_MODEL, device: "str | torch.device" = "cpu", kind: Kind = "auto"
    ) -> None:
        config = check_depth_model(name)
        self.name = name
        self.kind, self.scale = predicted_kind(config) if kind == "auto" else (kind, None)
        folder = name if os.path.isdir(name) else _fetch_model(name)
        import transformers

        transformers.utils.logging.disable_progress_bar()  # of reading the weights; fetching them has its own
        with parsing(f"depth model {name} cannot be loaded", "connect, or give the folder of a whole model"):
            self._pipeline: Any = transformers.pipeline(
                "depth-estimation", model=folder, device=device, trust_remote_code=False
            )

    def __call__(self, rgb: "Tensor") -> DepthMap:
        """Predicts the depth of a photo.

        Args:
            rgb: (3, H, W) in [0, 1].

        Returns:
            The map, in the photo's aspect; its kind and scale are what the model's type says.

        Raises:
            InputError: The model fails, or predicts no depth.
        """
        from PIL import Image

        from mine.scene.pixels import to_pixels  # imported on use: checks of a model's name need no torch

        image = Image.fromarray(to_pixels(rgb))
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        with parsing(f"depth model {self.name} fails on this photo", "give another model"):
            predicted = self._pipeline(image)["predicted_depth"].float().squeeze().cpu().numpy()
        depth_map = make_depth_map(predicted, f"the depth by {self.name}", self.kind, scale=self.scale)
        return DepthMap(depth_map.values, self.kind, self.scale, name=depth_map.name)


def predicted_kind(config: dict[str, Any]) -> tuple[Kind, float | None]:
    """What the values mean that a model with this configuration predicts, and the metres of a depth of 1."""
    kind_of_model = config.get("model_type")
    if kind_of_model in METRIC_TYPES or config.get("depth_estimation_type") == "metric":
        return "depth", 1.0
    return ("disparity" if kind_of_model in DISPARITY_TYPES else "auto"), None
