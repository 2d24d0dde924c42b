"""Configurations of training and evaluation, read from YAML. This module imports no torch."""

import json
import math
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from mine.config.loss_weights import DisparityLossWeights, LayerLossWeights, PlaneLossWeights
from mine.config.messages import explain
from mine.data.registry import DATA_SETS, check_use
from mine.data.sources import Source
from mine.errors import InputError
from mine.inputs.files import shorten
from mine.inputs.yaml_file import read_tree
from mine.network import NETWORKS, network_kind
from mine.network.architecture import SCALES, Architecture, PartialArchitecture
from mine.network.input_size import MULTIPLE
from mine.scene.limits import check_scene_size

Config = TypeVar("Config")

DEVICES = ("auto", "cpu", "cuda")

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Names of torch's data types."""


class _ByKind:
    """Tells pydantic that the class of an entry of `data` follows from its `kind`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        options = {kind: handler.generate_schema(entry.options) for kind, entry in DATA_SETS.items()}
        return core_schema.tagged_union_schema(options, discriminator="kind")


AnySource = Annotated[Source, _ByKind()]


@dataclass(frozen=True)
class EvalConfig:
    """An evaluation: the data set, and how planes are predicted for it."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    data: AnySource
    size: tuple[int, int] = (256, 384)
    """(H, W) of source views, target views and planes in pixels: multiples of 128"""
    planes: int = 32
    lpips: bool = True
    """compute LPIPS of view pairs too; it takes longer than all else"""


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    output: str
    """folder of checkpoints and logs"""
    architecture: PartialArchitecture = field(default_factory=PartialArchitecture)
    """of the network; what is left out is as in the network of `start`, without one as in the published MINE network"""
    start: str | None = None
    """checkpoint to start from, "shipped" for the one that comes with MINE; None for an ImageNet encoder and a randomly
    initialised decoder, which layers cannot start from"""
    data: tuple[AnySource, ...] = ()
    """sources of samples, mixed in proportion to their `share`"""
    size: tuple[int, int] = (256, 384)
    """(H, W) of the images in pixels: multiples of 128, of 32 for disparity networks"""
    planes: int = 32
    """planes of a plane or layered network, one at a random disparity in each of as many equal bins
    (stratified sampling)"""
    fine_planes: int = 0
    """further planes by importance sampling, from the rendering weights of the first ones"""
    finest: int = 0
    """finest scale with a loss: 1 leaves out the full resolution"""
    batch: int = 4
    """source views of a step, over all processes"""
    targets: int = 1
    """target views of each source view, for data sets that have several"""
    accumulate: int = 1
    """parts of a process's batch whose gradients are accumulated one after the other, to save memory"""
    steps: int = 10000
    """length of the learning rates' schedule"""
    stop: int | None = None
    """step after which the run ends, if that is before `steps`"""
    learning_rate: float = 1e-3
    """of the decoder"""
    encoder_learning_rate: float = 1e-4
    decay_steps: tuple[int, ...] = ()
    """steps at which both rates fall to a tenth; without any, they follow a cosine after a warm-up"""
    frozen: tuple[str, ...] = ()
    """prefixes of the names of encoder modules that are not trained"""
    calibrate: bool = True
    """fit the scale of captures to the predicted planes; depth from few planes is too coarse for that"""
    device: str = "auto"
    """cpu, cuda, or auto"""
    precision: str = "fp32"
    """of the decoder, where nearly all work is: fp32, bf16, or fp16 with scaled gradients"""
    ema: float = 0.999
    """decay of the weights' exponential moving average, which is what a run's checkpoint holds"""
    plane_losses: PlaneLossWeights = field(default_factory=PlaneLossWeights)
    disparity_losses: DisparityLossWeights = field(default_factory=DisparityLossWeights)
    layer_losses: LayerLossWeights = field(default_factory=LayerLossWeights)
    save_every: int = 250
    """steps between saved states"""
    held_out: EvalConfig | None = None
    """evaluation on data that never enter training, during the run"""
    evaluate_every: int = 1000
    """steps between evaluations of `held_out`"""
    workers: int = 1
    """processes that load data; 0 loads it in the training process"""
    seed: int = 0

    @property
    def last(self) -> int:
        """Step after which the run is done."""
        return self.steps if self.stop is None else min(self.stop, self.steps)


def load_config(path: str | Path, overrides: list[str] | None = None, kind: type[Config] = TrainConfig) -> Config:  # type: ignore[assignment]
    """Reads a configuration.

    Args:
        path: YAML file.
        overrides: Assignments "key=value" that replace values of the file. Dots in a key reach into sections and
            lists: "plane_losses.ssim=0", "data.0.count=30".
        kind: Class of the configuration: `TrainConfig` or `EvalConfig`.

    Raises:
        InputError: If the file cannot be read, a key is unknown or missing, or a value has the wrong type or range.
    """
    tree = read_tree(Path(path), overrides or [])
    if kind in (EvalConfig, TrainConfig) and isinstance(tree, dict):
        _check_command(path, tree, "mine eval" if kind is EvalConfig else "mine train")
    config = validated(tree, kind)
    if isinstance(config, TrainConfig):
        check(config)
    elif isinstance(config, EvalConfig):
        _check_evaluation(config)
    return config


def _check_command(path: str | Path, tree: dict[str, Any], command: str) -> None:
    """Raises InputError if a file is a configuration of the other command: runs have a list of data and an output."""
    single, run = isinstance(tree.get("data"), dict), "output" in tree
    for other, is_of_other in {"mine eval": single and not run, "mine train": run and not single}.items():
        if is_of_other and other != command:
            raise InputError(f"{path} is a configuration of {other}: give one of {command}, or run {other}")


def validated(tree: Any, kind: type[Config]) -> Config:
    """The configuration that plain values stand for. Raises InputError for unknown keys and values of other types."""
    try:
        # In JSON's strict mode lists stand for tuples; in Python's, pydantic refuses them.
        return TypeAdapter(kind).validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise InputError(explain(error, kind)) from error


def _check_evaluation(config: EvalConfig, section: str = "") -> None:
    """Raises InputError for an evaluation that is not possible; `section` is where it lies in a configuration."""
    if config.planes < 2:
        raise InputError(f"{section}planes is {config.planes}: give at least 2")
    _check_sides(f"{section}size", config.size, MULTIPLE)
    try:
        check_scene_size(config.planes, config.size)
    except InputError as error:
        found = f"{section}size is {list(config.size)}, {section}planes is {config.planes}"
        raise InputError(f"{found}: {error}") from error
    check_use(config.data, training=False)
    _check_seed(f"{section}data.seed", getattr(config.data, "seed", 0))


def _check_seed(key: str, seed: int) -> None:
    """Raises InputError for a seed that the random number generators do not take."""
    if not 0 <= seed < 2**63:
        raise InputError(f"{key} is {shorten(str(seed))}: give a whole number from 0 to {2**63 - 1}")


def _check_rates(config: TrainConfig) -> None:
    """Raises InputError for learning rates, an average or weights of losses that no training can use."""
    for key, low in {"learning_rate": "above 0", "encoder_learning_rate": "0 or more"}.items():
        rate = getattr(config, key)
        if not (math.isfinite(rate) and (rate > 0 or (rate == 0 and low != "above 0"))):
            raise InputError(f"{key} is {rate}: give a number, {low}")
    if not 0 <= config.ema < 1:
        raise InputError(f"ema is {config.ema}: give a decay, 0 or more and below 1, such as 0.999")
    for step, following in pairwise((0, *config.decay_steps)):
        if following <= step:
            raise InputError(f"decay_steps is {list(config.decay_steps)}: give ascending steps, above 0")
    for section in ("plane_losses", "disparity_losses", "layer_losses"):
        for key, weight in asdict(getattr(config, section)).items():
            if not (math.isfinite(weight) and weight >= 0):
                raise InputError(f"{section}.{key} is {weight}: give a weight, 0 or more")


def check(config: TrainConfig) -> None:
    """Checks the ranges of a training configuration's values.

    Raises:
        InputError: If a value is out of range, or values do not go together.
    """
    if not 0 <= config.finest < SCALES:
        raise InputError(f"finest is {config.finest}: give a scale, 0 to {SCALES - 1}")
    _check_against_network(config)
    least = {"planes": 2, "fine_planes": 0, "batch": 1, "targets": 1, "accumulate": 1}
    least |= {"steps": 1, "workers": 0, "save_every": 1, "evaluate_every": 1}
    for key, value in least.items():
        if getattr(config, key) < value:
            raise InputError(f"{key} is {getattr(config, key)}: give at least {value}")
    if config.stop is not None and config.stop < 1:
        raise InputError(f"stop is {config.stop}: give a step, at least 1")
    _check_rates(config)
    _check_seed("seed", config.seed)
    for index, source in enumerate(config.data):
        if not 0 < source.share < float("inf"):
            raise InputError(f"data.{index}.share is {source.share}: give a number above 0")
        _check_seed(f"data.{index}.seed", getattr(source, "seed", 0))
        check_use(source, training=True)
    if config.held_out is not None:
        _check_evaluation(config.held_out, "held_out.")
    choices = {"device": DEVICES, "precision": tuple(PRECISIONS)}
    for key, allowed in choices.items():
        if getattr(config, key) not in allowed:
            raise InputError(f"{key} is {getattr(config, key)!r}: choose {', '.join(allowed)}")


def _check_against_network(config: TrainConfig) -> None:
    """Raises InputError for a size or for options that no network of the configuration takes."""
    if config.start is not None and config.architecture.decoder is None:
        # The checkpoint says what kind of network it is. Until it is read, this is the kind that takes most values.
        config.architecture.completed(Architecture(decoder="disparity")).check()
        _check_sides("size", config.size, math.gcd(*(kind.side_multiple for kind in NETWORKS.values())))
        return
    architecture = config.architecture.completed(Architecture())
    architecture.check()
    check_network_options(config, architecture)
    if network_kind(architecture.decoder).supervision == "layers" and config.start is None:
        raise InputError(
            "start is missing: layers are trained on top of a disparity network, which stays as it is: give one's"
            " checkpoint, or start=shipped"
        )


def check_network_options(config: TrainConfig, architecture: Architecture) -> None:
    """Checks a configuration's values against the kind of network that the run trains.

    Args:
        config: `size`, `targets`, `fine_planes`, `finest` and `precision`.
        architecture: The network's.

    Raises:
        InputError: If that kind of network does not take a value.
    """
    kind = network_kind(architecture.decoder)
    _check_sides("size", config.size, kind.side_multiple)
    if kind.supervision != "views" and (config.targets > 1 or config.fine_planes or config.finest):
        raise InputError("targets, fine_planes and finest are for plane networks: leave them out")
    if architecture.decoder == "layers" and config.precision != "fp32":
        raise InputError(f"precision is {config.precision}: layered networks are trained in fp32, leave it out")


def _check_sides(key: str, size: tuple[int, int], multiple: int) -> None:
    """Raises InputError unless height and width are multiples of a number."""
    if any(side < multiple or side % multiple for side in size):
        raise InputError(f"{key} is {list(size)}: give height and width in multiples of {multiple}")
