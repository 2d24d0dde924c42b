"""What a training run is made of, read from YAML."""

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from mine.errors import InputError
from mine.network import network_kind
from mine.network.architecture import Architecture
from mine.network.planes.decoder import SCALES

Config = TypeVar("Config")

DEVICES = ("auto", "cpu", "cuda")

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class PlaneLossWeights:
    """How much each loss counts; 0 leaves it out, with the work it costs."""

    photometric: float = 2.0
    """mean absolute difference on the target view, at each scale"""
    ssim: float = 1.0
    """1 - structural similarity on the target view, at each scale"""
    smoothness_where_flat: float = 0.5
    """edge-aware smoothness, first form, on the target view"""
    smoothness: float = 0.01
    """edge-aware smoothness, second form, on the target view"""
    sparse: float = 1.0
    """log-disparity of the points seen by source and target"""
    occupancy: float = 1.0
    """whether each plane is in front of the true surface or not, where the source's depth is known"""


@dataclass(frozen=True)
class DisparityLossWeights:
    """How much each loss of a surface network counts."""

    likeness: float = 1.0
    """log-disparity of every known pixel, up to the picture's scale"""
    gradient: float = 0.5
    """steps of log-disparity between neighbours, at four scales, where all depths are known"""
    order: float = 0.3
    """which of two points is nearer"""


@dataclass(frozen=True)
class SyntheticData:
    """Generated scenes: how many, from which seed, with textures cropped from the photos of a folder."""

    count: int = 20000
    seed: int = 0
    textures: str | None = None
    size: tuple[int, int] | None = None
    """(H, W) at which they are made, when that is not the run's own: small ones are made sooner"""
    stored: str | None = None
    """folder in which samples are kept once made, so that later passes read them"""


@dataclass(frozen=True)
class CapturesData:
    """Folder of captures in COLMAP's layout, the scenes to use, and their share of all samples."""

    root: str
    scenes: tuple[str, ...]
    share: float = 0.25


@dataclass(frozen=True)
class FolderData:
    """A data set that one folder holds whole: its kind (`mine.data.registry.KINDS`), and its share of all samples."""

    kind: str
    root: str
    share: float = 0.25


@dataclass(frozen=True)
class EvalConfig:
    """What to judge a checkpoint on: captures, a data set, measured depth or generated scenes."""

    captures: CapturesData | None = None
    dataset: FolderData | None = None
    depth: FolderData | None = None
    """of a kind in `mine.data.registry.DEPTHS`"""
    worlds: SyntheticData | None = None
    size: tuple[int, int] = (256, 384)
    """(H, W) of source, targets and planes"""
    planes: int = 32
    lpips: bool = True
    """measure LPIPS as well, on captures and data sets; it takes longer than all else"""


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    output: str
    """folder for checkpoints and curves"""
    architecture: Architecture = field(default_factory=Architecture)
    start: str | None = None
    """checkpoint to start from; otherwise an ImageNet encoder and a fresh decoder"""
    worlds: SyntheticData | None = None
    captures: CapturesData | None = None
    dataset: FolderData | None = None
    """in the place of captures"""
    size: tuple[int, int] = (256, 384)
    """(H, W) of the pictures: multiples of 128, of 32 for surface networks"""
    planes: int = 32
    """drawn at one random disparity in each of as many equal bins"""
    fine_planes: int = 0
    """drawn besides, where those show something"""
    finest: int = 0
    """finest scale that is trained: 1 leaves out the full resolution"""
    batch: int = 4
    """sources a step, shared among all processes"""
    targets: int = 1
    """views that each source's planes, drawn once, are compared with; of data sets that know several"""
    accumulate: int = 1
    """parts that a process works its share off in, to save memory"""
    steps: int = 10000
    """of the schedule"""
    stop: int | None = None
    """step after which the run ends, where that is before its schedule does"""
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 1e-4
    decay_steps: tuple[int, ...] = ()
    """steps at which both rates fall to a tenth; without any, they follow a cosine after a warm-up"""
    frozen: tuple[str, ...] = ()
    """parts of the encoder that stay as they start, by the beginning of their names"""
    calibrate: bool = True
    """fit the scale of captures to the drawn planes; few planes draw depth too coarsely for that"""
    device: str = "auto"
    """cpu, cuda, or auto"""
    precision: str = "fp32"
    """of the decoder, where nearly all work is: fp32, bf16, or fp16 with scaled gradients"""
    ema: float = 0.999
    plane_losses: PlaneLossWeights = field(default_factory=PlaneLossWeights)
    """of a plane network"""
    disparity_losses: DisparityLossWeights = field(default_factory=DisparityLossWeights)
    """of a surface network"""
    save_every: int = 250
    held_out: EvalConfig | None = None
    """views that never enter training, evaluated as the run goes on"""
    evaluate_every: int = 1000
    workers: int = 1
    seed: int = 0

    @property
    def last(self) -> int:
        """Step after which the run is done."""
        return self.steps if self.stop is None else min(self.stop, self.steps)


def load_config(path: str | Path, overrides: list[str] | None = None, kind: type[Config] = TrainConfig) -> Config:  # type: ignore[assignment]
    """Configuration of `kind` from a YAML file and `key=value` overrides (dots reach into sections).

    Raises InputError for a missing file, an unknown key or a value of the wrong type.
    """
    import yaml

    try:
        tree = yaml.safe_load(Path(path).read_text()) or {}
        for override in overrides or []:
            _override(tree, override)
    except FileNotFoundError as error:
        raise InputError(f"no configuration at {path}: see the YAML files in configs/") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}".replace("\n", " ")) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a YAML file such as those in configs/") from error
    config = _build(kind, tree, "")
    if isinstance(config, TrainConfig):
        check(config)
    return config


def check(config: TrainConfig) -> None:
    """Raises InputError for values that make no run."""
    kind = network_kind(config.architecture.decoder)
    multiple = kind.side_multiple
    if any(side < multiple or side % multiple for side in config.size):
        raise InputError(f"size is {list(config.size)}: give height and width in multiples of {multiple}")
    if kind.supervision == "depth" and (config.targets > 1 or config.fine_planes):
        raise InputError("targets and fine_planes are for plane networks: leave them out")
    least = {"planes": 2, "fine_planes": 0, "batch": 1, "targets": 1, "accumulate": 1}
    least |= {"steps": 1, "workers": 0, "save_every": 1, "evaluate_every": 1}
    for key, value in least.items():
        if getattr(config, key) < value:
            raise InputError(f"{key} is {getattr(config, key)}: give at least {value}")
    if config.stop is not None and config.stop < 1:
        raise InputError(f"stop is {config.stop}: give a step, at least 1")
    if not 0 <= config.finest < SCALES:
        raise InputError(f"finest is {config.finest}: give a scale, 0 to {SCALES - 1}")
    choices = {"device": DEVICES, "precision": tuple(PRECISIONS)}
    for key, allowed in choices.items():
        if getattr(config, key) not in allowed:
            raise InputError(f"{key} is {getattr(config, key)!r}: choose {', '.join(allowed)}")


def _override(tree: dict[str, Any], override: str) -> None:
    import yaml

    key, separator, value = override.partition("=")
    if not separator:
        raise InputError(f"{override!r} is not key=value")
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {}) if isinstance(tree, dict) else tree
    if not isinstance(tree, dict):
        raise InputError(f"cannot set {key!r}: what it belongs to is {tree!r}, not a section of keys")
    tree[last] = yaml.safe_load(value)


def _build(kind: Any, tree: Any, place: str) -> Any:
    """A dataclass from a tree of plain values, checking every key and type."""
    if not isinstance(tree, dict):
        raise InputError(f"{place or 'the configuration'} must be a section of keys, not {tree!r}")
    hints = typing.get_type_hints(kind)
    if unknown := set(tree) - set(hints):
        name = f"{place}.{min(map(str, unknown))}".lstrip(".")
        raise InputError(f"unknown configuration key {name!r}: known here are {', '.join(sorted(hints))}")
    required = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    if missing := required - set(tree):
        raise InputError(f"configuration key {f'{place}.{min(missing)}'.lstrip('.')!r} is missing")
    return kind(**{key: _value(hints[key], value, f"{place}.{key}".lstrip(".")) for key, value in tree.items()})


def _value(hint: Any, value: Any, place: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(option for option in typing.get_args(hint) if option is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, place)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{place} is {value!r}: give a list")
        item, *rest = typing.get_args(hint)
        if Ellipsis not in rest and len(value) != 1 + len(rest):
            raise InputError(f"{place} is {value!r}: give {1 + len(rest)} values")
        return tuple(_value(item, entry, place) for entry in value)
    try:
        # YAML reads 1e-3 as text; bool is an int to Python but not to a reader.
        if isinstance(value, bool) != (hint is bool) or isinstance(value, str) < (hint is str):
            raise ValueError
        if hint is int and float(value) != int(value):
            raise ValueError
        return hint(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{place} is {value!r}: give {hint.__name__}") from error
