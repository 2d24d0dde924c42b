"""Options for depth that comes with a photo, and what of them is refused before torch is imported."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg
from tyro.constructors import PrimitiveConstructorSpec

from mine.cli import options
from mine.errors import InputError
from mine.inputs.files import parsing
from mine.inputs.weights import check_header, tensor_format

if TYPE_CHECKING:
    from mine.network.disparity.hub import DepthModel
    from mine.scene.depth_maps.depth_map import DepthMap

DEFAULT = ""
"""What `--depth-model` without a name stands for."""


def _learns_planes(checkpoint: Path) -> bool:
    """Whether a checkpoint has learned planes, which take any depth; False if it is unreadable."""
    with suppress(InputError):
        if tensor_format(checkpoint, "checkpoint", "") == "safetensors":
            metadata = check_header(checkpoint, "checkpoint", "")
            with parsing(f"{checkpoint} is not a readable checkpoint", ""):
                architecture = json.loads(metadata.get("architecture", ""))
            return isinstance(architecture, dict) and architecture.get("decoder") == "layers"
    return False


def _model_name(words: list[str]) -> str:
    """The name after `--depth-model`, if there is one."""
    if len(words) > 1:
        raise options.RefusedError(InputError(f"--depth-model {' '.join(words)}: give one name, behind the photo"))
    return words[0] if words else DEFAULT


MODEL = PrimitiveConstructorSpec[Any](
    nargs="*",
    metavar="[NAME]",
    instance_from_str=_model_name,
    is_instance=lambda value: value is None or isinstance(value, str),
    str_from_instance=lambda value: [] if value is None else [value],
)

SCALE = options.number("depth scale", float, 0, 1e6, "metres (or 1 / metres) for a value of 1, such as 0.001")


@dataclass(frozen=True)
@options.with_joined_help
class DepthOptions:
    """Depth in place of the network's prediction."""

    depth_map: Annotated[Path | None, arg(metavar="FILE|auto", help_behavior_hint="(default: the network's)")] = None
    """Depth of the photo, in place of the network's: a PNG, TIFF, EXR, PFM or npy file of the whole photo at any
    resolution, or auto for the depth in a phone's portrait photo."""
    depth_kind: Annotated[
        Literal["auto", "disparity", "depth"],
        arg(metavar="auto|disparity|depth", help_behavior_hint="(default: auto, by file and photo)"),
    ] = "auto"
    """What the map's values mean: disparity grows towards the camera (near is bright), depth away from it."""
    depth_invert: Annotated[bool, arg(help_behavior_hint="(default: no)")] = False
    """Swap the ends of the map: the largest value becomes the smallest."""
    depth_scale: Annotated[float | None, SCALE, arg(help_behavior_hint="(default: not known)")] = None
    """Metres of depth, or 1 / metres of disparity, for a value of 1, such as 0.001 for millimetres: the scene is then
    in metres."""
    depth_model: Annotated[
        str | None, MODEL, arg(help_behavior_hint="(without NAME: Depth Anything V2 small; needs mine[hub])")
    ] = None
    """Predict depth by a model of the transformers library, from its hub or a folder, in place of MINE's network."""

    def named(self) -> dict[str, object]:
        """The options by name, None where not given, as `mine.cli.checks.check_source` takes them."""
        return {
            "depth-map": self.depth_map,
            "depth-model": self.depth_model,
            "depth-kind": None if self.depth_kind == "auto" else self.depth_kind,
            "depth-invert": self.depth_invert or None,
            "depth-scale": self.depth_scale,
        }

    def check(self, photo: Path, checkpoint: Path | None) -> "DepthMap | str | None":
        """Reads the map, or checks the name of the model, without torch.

        Args:
            photo: A photo that has been checked.
            checkpoint: The checkpoint, if one is given.

        Returns:
            The map, the name of the model, or None for neither.

        Raises:
            InputError: An option does not fit the others, or the map or the model cannot be used.
        """
        if self.depth_map is None and self.depth_model is None:
            lost = [name for name, value in self.named().items() if value is not None]
            if lost:
                raise InputError(f"--{lost[0]} describes a depth map: give one with --depth-map")
            return None
        if self.depth_map is not None and self.depth_model is not None:
            raise InputError("--depth-map and --depth-model both give the depth: leave out one of them")
        if checkpoint is not None and not _learns_planes(checkpoint):
            raise InputError(f"--checkpoint {checkpoint} predicts depth, which is given: leave out one of the two")
        if self.depth_model is not None:
            return self._check_model()
        from mine.scene.depth_maps.read import read_depth

        return read_depth(str(self.depth_map), self.depth_kind, self.depth_invert, self.depth_scale, photo)

    def _check_model(self) -> str:
        """The name of the model."""
        from mine.network.disparity.hub import DEFAULT_DEPTH_MODEL, check_depth_model

        for name in ("depth-invert", "depth-scale"):
            if self.named()[name] is not None:
                raise InputError(f"--{name} is for a map of --depth-map: leave it out with --depth-model")
        name = self.depth_model or DEFAULT_DEPTH_MODEL
        check_depth_model(name)
        return name

    def load(self, checked: "DepthMap | str | None") -> "DepthMap | DepthModel | None":
        """What `check` returned as `depth` of `mine.Model.predict`: a model is loaded."""
        if not isinstance(checked, str):
            return checked
        from mine.network.disparity.hub import DepthModel

        return DepthModel(checked, kind=self.depth_kind)


NO_DEPTH = DepthOptions()
"""The network's own prediction."""
