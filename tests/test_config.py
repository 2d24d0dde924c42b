"""Configurations from YAML: the right types come out, and everything wrong is named."""

from pathlib import Path

import pytest

from mine.config import CapturesData, EvalConfig, PlaneLossWeights, SyntheticData, TrainConfig, load_config
from mine.errors import InputError

EXAMPLE = """
output: runs/a
architecture:
  encoder: resnet18
  widths: [4, 4, 8, 8, 8]
  decoder: disparity
worlds:
  count: 100
captures:
  root: data/captures
  scenes: [garden, street]
size: [128, 256]
learning_rate: 1e-3
ema: 1
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
    assert config.worlds == SyntheticData(count=100)
    assert config.captures == CapturesData("data/captures", ("garden", "street"))
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
    assert load_config(path, kind=EvalConfig) == EvalConfig()
    with pytest.raises(InputError, match="'output' is missing"):
        load_config(path)


def test_overrides(example: Path) -> None:
    overrides = [
        "steps=7",
        "worlds.count=3",
        "plane_losses.sparse=2e-1",
        "output=b=c",
        "size=[256, 128]",
        "captures=null",
    ]
    config = load_config(example, [*overrides, "start=a.safetensors", "architecture.decoder=planes", "steps=8"])
    assert (config.steps, config.output, config.size, config.captures) == (8, "b=c", (256, 128), None)
    assert config.worlds == SyntheticData(count=3)
    assert config.plane_losses == PlaneLossWeights(ssim=0, sparse=0.2)
    assert config.start == "a.safetensors"
    assert config.architecture.decoder == "planes"


def test_overrides_may_open_a_section(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("output: x")
    assert load_config(path, ["worlds.seed=5"]).worlds == SyntheticData(seed=5)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("steps", "'steps' is not key=value"),
        ("step=3", "unknown configuration key 'step'"),
        ("plane_losses.sim=3", "unknown configuration key 'plane_losses.sim'"),
        ("7=3", "unknown configuration key '7'"),
        ("steps.more=3", "cannot set 'steps.more'"),
        ("steps.even.more=3", "cannot set 'steps.even.more'"),
        ("start.more=3", "cannot set 'start.more'"),
        ("captures={root: a}", "key 'captures.scenes' is missing"),
        ("captures=here", "captures must be a section"),
        ("steps=many", "steps is 'many': give int"),
        ("steps=1.5", "steps is 1.5: give int"),
        ("steps=.inf", "steps is inf: give int"),
        ("steps=true", "steps is True: give int"),
        ("steps=null", "steps is None: give int"),
        ("steps=[1]", r"steps is \[1\]: give int"),
        ("calibrate=1", "calibrate is 1: give bool"),
        ("calibrate=maybe", "calibrate is 'maybe': give bool"),
        ("ema=high", "ema is 'high': give float"),
        ("output=null", "output is None: give str"),
        ("output=5", "output is 5: give str"),
        ("size=128", "size is 128: give a list"),
        ("size=[128]", r"size is \[128\]: give 2 values"),
        ("size=[128, 128, 3]", "size is .*: give 2 values"),
        ("size=[128, wide]", "size is 'wide': give int"),
        ("plane_losses.ssim=yes", "plane_losses.ssim is True: give float"),
        ("worlds.stored=3", "worlds.stored is 3: give str"),
        ("size=[128, 250]", r"size is \[128, 250\]: give .* multiples of 32"),
        ("size=[0, 128]", r"size is \[0, 128\]"),
        ("planes=1", "planes is 1: give at least 2"),
        ("fine_planes=-1", "fine_planes"),
        ("fine_planes=4", "fine_planes are for plane networks"),
        ("targets=2", "targets and fine_planes are for plane networks"),
        ("targets=0", "targets is 0: give at least 1"),
        ("evaluate_every=0", "evaluate_every is 0: give at least 1"),
        ("held_out.planes=few", "held_out.planes is 'few': give int"),
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


def test_unknown_keys_are_told_with_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("output: x\nlearning_rat: 1\n3: 4")
    with pytest.raises(InputError, match=r"unknown .*learning_rate"):
        load_config(path)


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
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path)
