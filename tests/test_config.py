"""Configurations from YAML: the right types come out, and everything wrong is named."""

from pathlib import Path

import pytest

from mine.cli.checks import CONFIGS
from mine.config import EvalConfig, PlaneLossWeights, TrainConfig, load_config
from mine.data.sources import ColmapSource, FolderSource, SyntheticSource
from mine.errors import InputError

EXAMPLE = """
output: runs/a
architecture:
  encoder: resnet18
  widths: [4, 4, 8, 8, 8]
  decoder: disparity
data:
  - {kind: synthetic, count: 100, share: 3}
  - {kind: colmap, root: data/captures, scenes: [garden, street], share: 1e-1}
size: [128, 256]
learning_rate: 1e-3
ema: 0
steps: 20
start: null
plane_losses:
  ssim: 0
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "example.yaml"
    path.write_text(EXAMPLE)
    return path


def test_sections_become_dataclasses_and_values_get_their_types(example: Path) -> None:
    config = load_config(example)
    assert isinstance(config, TrainConfig)
    assert config.output == "runs/a"
    assert config.architecture.encoder == "resnet18"
    assert config.architecture.widths == (4, 4, 8, 8, 8)
    assert config.architecture.decoder == "disparity"
    assert config.data == (
        SyntheticSource(kind="synthetic", count=100, share=3.0),
        ColmapSource(kind="colmap", root="data/captures", scenes=("garden", "street"), share=0.1),
    )
    assert config.size == (128, 256)
    assert config.learning_rate == 1e-3  # YAML itself reads 1e-3 as text
    assert isinstance(config.learning_rate, float)
    assert isinstance(config.ema, float)
    assert config.start is None
    assert config.plane_losses == PlaneLossWeights(ssim=0.0)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("output: x")
    assert load_config(path) == TrainConfig("x")


def test_an_empty_file_is_all_defaults_where_nothing_is_required(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.touch()
    assert load_config(path, kind=PlaneLossWeights) == PlaneLossWeights()
    with pytest.raises(InputError, match="'output' is missing"):
        load_config(path)
    with pytest.raises(InputError, match="'data' is missing"):
        load_config(path, kind=EvalConfig)


def test_overrides(example: Path) -> None:
    overrides = [
        "steps=7",
        "data.0.count=3",
        "plane_losses.sparse=2e-1",
        "output=b=c",
        "size=[256, 128]",
        "data.1={kind: kitti, root: k}",
    ]
    config = load_config(example, [*overrides, "start=a.safetensors", "architecture.decoder=planes", "steps=8"])
    assert (config.steps, config.output, config.size) == (8, "b=c", (256, 128))
    assert config.data == (
        SyntheticSource(kind="synthetic", count=3, share=3.0),
        FolderSource(kind="kitti", root="k"),
    )
    assert config.plane_losses == PlaneLossWeights(ssim=0, sparse=0.2)
    assert config.start == "a.safetensors"
    assert config.architecture.decoder == "planes"


def test_overrides_may_open_a_section(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("output: x")
    assert load_config(path, ["plane_losses.ssim=5"]).plane_losses == PlaneLossWeights(ssim=5)
    held_out = load_config(path, ["held_out.data.kind=kitti", "held_out.data.root=k"]).held_out
    assert held_out == EvalConfig(FolderSource(kind="kitti", root="k"))


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("steps", "'steps' is not of the form key=value: give steps=VALUE"),
        ("step=3", "unknown configuration key 'step'"),
        ("plane_losses.sim=3", "unknown configuration key 'plane_losses.sim'"),
        ("7=3", "unknown configuration key '7'"),
        ("steps.more=3", "cannot set 'steps.more'"),
        ("steps.even.more=3", "cannot set 'steps.even.more'"),
        ("start.more=3", "cannot set 'start.more'"),
        ("architecture=here", "architecture must be a section"),
        ("data=here", "data is 'here': give a list"),
        ("data=[here]", "data.0 must be a section"),
        ("data=[{root: a}]", "key 'data.0.kind' is missing: choose colmap, depth-photos, dtu"),
        ("data=[{kind: kity}]", "data.0.kind is 'kity': did you mean kitti. Choose colmap, .*kitti"),
        ("data=[{kind: colmap}]", "key 'data.0.root' is missing"),
        (
            "data.1.scene=[a]",
            "unknown configuration key 'data.1.scene': did you mean scenes. Known here are kind, root, scenes, share$",
        ),
        ("data.0.root=a", "unknown configuration key 'data.0.root': known here are cache, count, kind, .*textures"),
        ("data.1.scenes=fox", "data.1.scenes is 'fox': give a list"),
        ("data.1.share=0", "data.1.share is 0.0: give a number above 0"),
        ("data.1.share=.inf", "data.1.share is inf: give a number above 0"),
        ("data.0.render_size=[64]", r"data.0.render_size is \[64\]: give 2 values"),
        ("data.2.count=3", "cannot set 'data.2.count': give the number of an entry, 0 to 1"),
        ("data.count=3", "cannot set 'data.count': give the number of an entry, 0 to 1, not 'count'"),
        (f"data.{'1' * 5000}.count=3", "give the number of an entry, 0 to 1"),
        ("held_out={size: [64, 64]}", "key 'held_out.data' is missing"),
        ("held_out={data: {kind: kitti}}", "key 'held_out.data.root' is missing"),
        ("held_out={data: {kind: kitti, root: a, z: 1}}", "'held_out.data.z': known here are kind, root, share$"),
        ("steps=many", "steps is 'many': give a whole number"),
        ("steps=1.5", "steps is 1.5: give a whole number"),
        ("steps=.inf", "steps is inf: give a whole number"),
        ("steps=true", "steps is True: give a whole number"),
        ("steps=null", "steps is None: give a whole number"),
        ("steps=[1]", r"steps is \[1\]: give a whole number"),
        ("calibrate=1", "calibrate is 1: give true or false"),
        ("calibrate=maybe", "calibrate is 'maybe': give true or false"),
        ("ema=high", "ema is 'high': give a number"),
        ("output=null", "output is None: give text"),
        ("output=5", "output is 5: give text"),
        ("size=128", "size is 128: give a list"),
        ("size=[128]", r"size is \[128\]: give 2 values"),
        ("size=[128, 128, 3]", "size is .*: give 2 values"),
        ("size=[128, wide]", "size.1 is 'wide': give a whole number"),
        ("plane_losses.ssim=yes", "plane_losses.ssim is True: give a number"),
        ("data.0.cache=3", "data.0.cache is 3: give text"),
        ("size=[128, 250]", r"size is \[128, 250\]: give .* multiples of 32"),
        ("size=[0, 128]", r"size is \[0, 128\]"),
        ("planes=1", "planes is 1: give at least 2"),
        ("seed=-1", "seed is -1: give a whole number from 0 to 9223372036854775807"),
        ("data.0.seed=-1", "data.0.seed is -1: give a whole number from 0"),
        ("fine_planes=-1", "fine_planes"),
        ("fine_planes=4", "fine_planes and finest are for plane networks"),
        ("targets=2", "targets, fine_planes and finest are for plane networks"),
        ("finest=1", "targets, fine_planes and finest are for plane networks"),
        ("targets=0", "targets is 0: give at least 1"),
        ("evaluate_every=0", "evaluate_every is 0: give at least 1"),
        ("held_out={data: {kind: kitti, root: a}, planes: few}", "held_out.planes is 'few': give a whole number"),
        ("held_out={data: {kind: kitti, root: a}, size: [64, 96]}", r"held_out.size is \[64, 96\]: give .* of 128"),
        ("held_out={data: {kind: kitti, root: a}, size: [0, 128]}", r"held_out.size is \[0, 128\]: give .* of 128"),
        (
            "held_out={data: {kind: kitti, root: a}, size: [128, 128], planes: 1000000}",
            r"held_out.size is \[128, 128\], held_out.planes is 1000000: .* at most",
        ),
        ("batch=0", "batch is 0: give at least 1"),
        ("accumulate=0", "accumulate is 0: give at least 1"),
        ("save_every=0", "save_every is 0: give at least 1"),
        ("finest=4", "finest is 4: give a scale, 0 to 3"),
        ("precision=fp8", "precision is 'fp8': choose fp32, bf16, fp16"),
        ("device=tpu", "device is 'tpu': choose auto, cpu, cuda"),
    ],
)
def test_what_is_wrong_is_named(example: Path, override: str, named: str) -> None:
    with pytest.raises(InputError, match=named) as error:
        load_config(example, [override])
    assert "\n" not in str(error.value)


def test_plane_networks_need_sizes_that_surface_networks_do_not(example: Path) -> None:
    assert load_config(example, ["size=[96, 160]"]).size == (96, 160)
    with pytest.raises(InputError, match=r"size is \[96, 160\]: give height and width in multiples of 128"):
        load_config(example, ["size=[96, 160]", "architecture.decoder=planes"])


@pytest.mark.parametrize("size", ["[64, 128]", "[128, 200]"])
def test_evaluations_take_the_sizes_that_predictions_take(tmp_path: Path, size: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("data: {kind: kitti, root: k}")
    assert load_config(path, ["size=[128, 256]"], EvalConfig).size == (128, 256)
    with pytest.raises(InputError, match=r"^size is \[.*\]: give height and width in multiples of 128"):
        load_config(path, [f"size={size}"], EvalConfig)


def test_layered_networks_are_trained_in_full_precision(example: Path) -> None:
    layers = ["architecture.decoder=layers", "architecture.background=[4,4,4,4,4]", "start=shipped"]
    assert load_config(example, layers).precision == "fp32"
    with pytest.raises(InputError, match="precision is bf16: layered networks are trained in fp32"):
        load_config(example, [*layers, "precision=bf16"])


def test_layers_need_a_disparity_network_to_start_from(example: Path) -> None:
    with pytest.raises(InputError, match=r"start is missing: .* start=shipped") as error:
        load_config(example, ["architecture.decoder=layers", "architecture.background=[4,4,4,4,4]"])
    assert "\n" not in str(error.value)


def test_unknown_keys_are_told_with_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("output: x\nlearning_rat: 1\n3: 4")
    with pytest.raises(InputError, match=r"unknown .*learning_rate"):
        load_config(path)


def test_configurations_of_the_other_command_are_told_as_such() -> None:
    with pytest.raises(InputError, match=r"eval-own\.yaml is a configuration of mine eval: give one of mine train"):
        load_config(CONFIGS / "eval-own.yaml")
    with pytest.raises(InputError, match=r"own\.yaml is a configuration of mine train: give one of mine eval"):
        load_config(CONFIGS / "own.yaml", kind=EvalConfig)
    for path in CONFIGS.glob("*.yaml"):
        own, other = (EvalConfig, TrainConfig) if path.stem.startswith("eval-") else (TrainConfig, EvalConfig)
        load_config(path, kind=own)
        with pytest.raises(InputError, match="is a configuration of mine"):
            load_config(path, kind=other)


@pytest.mark.parametrize("content", [b"a: [1", b"a: b: c", b"\t- x", b"\xff\xfe\xff", b"- output", b"text", b"5"])
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    for overrides in ([], ["output=x"]):
        with pytest.raises(InputError) as error:
            load_config(path, overrides)
        assert "\n" not in str(error.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no configuration at"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="it is a folder"):
        load_config(tmp_path)
