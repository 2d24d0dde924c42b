"""Commands in the documentation: the real parser takes them, and those of README run, in order, as they are written."""

import re
import shlex
import shutil
import sys
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml
from boards import film
from pages import PAGES, ROOT
from PIL import Image

from mine.cli.main import main
from mine.cli.parse import parse
from mine.cli.table import COMMANDS
from mine.config import EvalConfig, TrainConfig, load_config
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network

BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = ("", "sh", "bash", "shell")
INLINE = re.compile(r"`((?:make|mine|python|pip|torchrun|npm) [^`\n]+)`")
PROGRAM = re.compile(r"(make|mine|python|pip|torchrun|npm|git|source|for|cd|export)\b")
NOTHING_TO_CHECK = ("git", "source", "for", "cd", "export")
PLACEHOLDER = re.compile(r"COMMAND|NAME|HOST|\.\.\.")

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))


def commands(page: Path) -> list[str]:
    """The commands in a page's blocks, without their comments, then those between backticks in its text."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [block for language, block in BLOCK.findall(text) if language in SHELLS]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [*filter(PROGRAM.match, lines), *INLINE.findall(BLOCK.sub("", text))]


FOUND = [(page, command) for page in PAGES if page.name != "CHANGELOG.md" for command in commands(page)]


@pytest.mark.parametrize(("page", "command"), FOUND, ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_commands_are_what_the_programs_take(page: Path, command: str) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    if words[0] == "make":
        variables = {word.partition("=")[0] for word in words[1:] if "=" in word}
        assert {word for word in words[1:] if "=" not in word} <= TARGETS
        assert variables <= {*VARIABLES, "PYTHON"}
    elif words[0] == "mine":
        takes(words[1:])
    elif words[0] == "python":
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        options = [word.lstrip("-").partition("=")[0] for word in words if word.startswith("--")]
        assert not [option for option in options if option not in source and option.replace("-", "_") not in source]
    elif words[0] == "pip":
        named = re.findall(r"\[(.*)\]", command.partition("#")[0])
        assert {extra for group in named for extra in group.split(",")} <= EXTRAS
    else:
        assert words[0] in NOTHING_TO_CHECK, "say how this program is checked"


def test_what_the_commands_of_the_front_page_write_is_ignored_by_git() -> None:
    patterns = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    outputs = re.findall(r"(?: -o |OUT=)(\S+)", "\n".join(commands(ROOT / "README.md")))
    assert len(outputs) >= 6
    assert not [path for path in outputs if not any(fnmatch(path, pattern) for pattern in patterns)]


def takes(words: list[str]) -> None:
    """Fails unless `mine` parses these words, and its configuration and settings are ones that there are."""
    if words[0].startswith("-") or PLACEHOLDER.search(words[0]):
        assert "--help" in words or "..." in words
        return
    module, function = COMMANDS[words[0]].function.split(":")
    if len(words) == 1 and words[0] not in ("demo", "bench"):
        return  # the command's name alone, in a sentence
    words = words[: words.index("|")] if "|" in words else words
    if words[0] == "render" and len(words) == 2 and words[1].startswith("--"):
        return  # an option's name, in a sentence
    call = parse(words[0], getattr(import_module(module), function), "", words[1:])
    if words[0] in ("train", "eval"):
        config, *overrides = (word for word in words[1:] if "=" in word or word.endswith(".yaml"))
        load_config(ROOT / config, overrides, TrainConfig if words[0] == "train" else EvalConfig)
    assert callable(call)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_download: None) -> Path:
    """A folder with the files that README's commands name, in miniature; a small network is the shipped one."""
    y, x = np.mgrid[0:96, 0:128]
    photo = Image.fromarray(np.stack([x, y * 2, (x // 8 + y // 8) % 2 * 200], axis=-1).astype(np.uint8))
    photo.save(tmp_path / "photo.jpg")
    pytest.importorskip("pillow_heif").from_pillow(photo).save(tmp_path / "photo.heic")
    Image.fromarray(((x + y) * 200).astype(np.uint16)).save(tmp_path / "depth.png")
    film(tmp_path / "holiday.mp4", np.array([[x, 0.05 * (-1) ** i, 0] for i, x in enumerate(np.arange(5) / 6)]))
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    miniature = {"size": [128, 128], "steps": 2, "batch": 2, "planes": 4, "workers": 0, "save_every": 2}
    for path in (tmp_path / "configs").glob("*own.yaml"):
        entries = yaml.safe_load(path.read_text())
        entries |= {key: value for key, value in miniature.items() if "eval" not in path.name or key in entries}
        path.write_text(yaml.safe_dump(entries))
    checkpoint = tmp_path / "checkpoints" / "mine.safetensors"
    save_network(make_network(Architecture("tf_efficientnet_lite0", (4, 4, 4, 4, 4), decoder="disparity")), checkpoint)
    monkeypatch.setattr("mine.model.shipped_checkpoint", lambda: checkpoint)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_front_page_run_in_order(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda page: started.append("browser") or True)
    monkeypatch.setattr("tempfile.tempdir", str(fresh))
    monkeypatch.setattr("mine.demo.app.launch", lambda *arguments, **options: started.append("demo"))
    monkeypatch.setattr("mine.cli.bench.bench", lambda: started.append("bench") or [])
    monkeypatch.setattr("mine.cli.bench.table", lambda rows: "")
    lines = [line for line in commands(ROOT / "README.md") if line.startswith("mine ") and "COMMAND" not in line]
    ran = [shlex.split(line, comments=True) for line in dict.fromkeys(lines)]
    for words in ran:
        monkeypatch.setattr(sys, "argv", words)
        main()  # a command that fails ends the test with SystemExit
        if "-o" in words:
            assert (fresh / words[words.index("-o") + 1]).exists(), words
    assert {"browser", "demo", "bench"} <= set(started)
    assert {words[1] for words in ran} == set(COMMANDS), "each command is on the front page"
    assert "Traceback" not in capsys.readouterr().err
