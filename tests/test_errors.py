"""Packages that an extra installs: which they are, and what is said when one is missing."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from mine.errors import EXTRAS, InputError, InputWarning, exit_on_input_error, extras_required, warn
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, make_network, save_network

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Runs `mine` with the modules of sys.argv[1] hidden, as though their packages were not installed.
WITHOUT = """
import sys
hidden, sys.argv = sys.argv[1].split(","), ["mine", *sys.argv[2:]]
sys.modules |= dict.fromkeys(hidden)
from mine.cli.main import main
main()
"""


def mine_without(modules: tuple[str, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, ",".join(modules), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def requirements(file: str) -> dict[str, str]:
    """Versions by package name from lines such as `torch==2.12.1`."""
    lines = (ROOT / file).read_text().splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("module", [module for modules in EXTRAS.values() for module in modules])
def test_a_missing_package_is_reported_with_the_extra_that_installs_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    extra = next(name for name, modules in EXTRAS.items() if module in modules)
    message = f'{module} is not installed: pip install "mine[{extra}]"'
    with pytest.raises(InputError, match=re.escape(message)), extras_required():
        importlib.import_module(module)


def test_other_missing_modules_are_programming_errors() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extras_required():
        importlib.import_module("no_such_module")


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("train", ("train", "configs/llff.yaml", "data.0.root=data")),
        ("sfm", ("colmap", "data/samples", "-o", "x")),
        ("demo", ("demo",)),
        ("hub", ("render", "data/samples/cat.jpg", "--depth-model")),
    ],
)
def test_a_command_without_its_extra_ends_with_one_line(extra: str, arguments: tuple[str, ...]) -> None:
    ended = mine_without(EXTRAS[extra], *arguments)
    assert ended.returncode == 2
    assert re.fullmatch(rf'mine: \w+ is not installed: pip install "mine\[{extra}\]"\n', ended.stderr)


def test_a_photo_is_rendered_without_any_extra(tmp_path: Path) -> None:
    modules = tuple(module for modules in EXTRAS.values() for module in modules)
    video = tmp_path / "out.mp4"
    options = ("--frames", 2, "--size", 64, "--planes", 4, "--no-depth", "-o", video)
    ended = mine_without(modules, "render", "data/samples/cat.jpg", *options)
    assert ended.returncode == 0, ended.stderr
    assert video.stat().st_size > 0


def test_pinned_versions_lie_within_the_ranges() -> None:
    """requirements.txt pins exactly what pyproject.toml names at run time, requirements-dev.txt the rest of `dev`."""
    extras = {name: list(map(Requirement, entries)) for name, entries in PROJECT["optional-dependencies"].items()}
    needed = [entry for name, entries in extras.items() if name != "dev" for entry in entries]
    run_time = [*map(Requirement, PROJECT["dependencies"]), *needed]
    for ranges, file in [(run_time, "requirements.txt"), (extras["dev"][1:], "requirements-dev.txt")]:
        pins = requirements(file)
        assert {range.name.lower().replace("_", "-") for range in ranges} == set(pins)
        for range in ranges:
            assert range.specifier.contains(pins[range.name.lower().replace("_", "-")]), range


def test_bad_input_is_one_printable_line_whatever_it_quotes() -> None:
    assert str(InputError("no photo at é 点.jpg: check the name")) == "no photo at é 点.jpg: check the name"
    quoted = str(InputError("no photo at a\nb\r\x1b[2J\u2028\udcff\0"))
    assert quoted == r"no photo at a\nb\r\x1b[2J\u2028\udcff\x00"


def test_a_script_ends_on_bad_input_with_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, exit_on_input_error("train.py"):
        raise InputError("size is 3: give 4")
    assert end.value.code == 2
    assert capsys.readouterr() == ("", "train.py: size is 3: give 4\n")


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_050"])
@pytest.mark.parametrize(
    "problem",
    [
        "RuntimeError('operator torchvision::nms does not exist')",
        "OSError('torchvision/image.so: undefined symbol')",
        "AttributeError(\"partially initialized module 'torchvision' has no attribute 'extension'\")",
    ],
)
def test_a_torchvision_that_does_not_fit_is_told_and_no_checkpoint_blamed(
    problem: str, encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.safetensors"
    save_network(make_network(Architecture(encoder, (4, 4, 4, 4, 4))), file)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "timm")]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise {problem}")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"^torchvision does not fit torch \(.*pip install"):
        load_network(file)


def test_warnings_are_at_the_line_that_called_the_package() -> None:
    package = {"__name__": "mine.somewhere", "warn": warn}
    exec("def inner(): warn('it is damaged')\ndef outer(): inner()", package)
    for function in (package["outer"], torch.no_grad()(package["outer"])):
        with pytest.warns(InputWarning, match="it is damaged") as caught:
            function()
        assert caught[0].filename == __file__
