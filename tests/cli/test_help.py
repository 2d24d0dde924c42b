"""What `mine --help` and the help of each command say."""

import re
import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
from command import Run

from mine.cli.table import COMMANDS


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_names_every_command_and_says_what_its_own_help_says(run: Run, arguments: list[str]) -> None:
    status, out, _ = run(*arguments)
    assert status == 0
    listed = dict(entry.strip().split(maxsplit=1) for entry in re.split(r"\n  (?=\w)", out.split("\n\n  --")[0])[1:])
    status, _, refusal = run("nonsense")
    assert status == 2
    assert list(listed) == refusal.strip().split("choose one of ")[1].split(", ") == list(COMMANDS)
    for name, text in listed.items():
        _, help_text, _ = run(name, "--help")
        assert "".join(text.split()) in re.sub(r"[\s│]+", "", help_text)


def test_files_that_help_names_exist(run: Run) -> None:
    texts = [run(name, "--help")[1] for name in COMMANDS]
    configs = re.findall(r"configs/[\w-]+\.yaml", "".join(texts))
    assert len(configs) >= 2
    assert all(Path(__file__).parents[2].joinpath(config).is_file() for config in configs)


def test_every_option_has_a_help_text(run: Run) -> None:
    for name in COMMANDS:
        function = getattr(import_module(COMMANDS[name].function.split(":")[0]), COMMANDS[name].function.split(":")[1])
        described = re.findall(r"^        (\w+): \S", function.__doc__, re.MULTILINE)
        assert described == list(signature(function).parameters), name


def test_help_does_not_wait_for_the_parser_of_commands() -> None:
    code = "import sys; sys.argv = ['mine', '--help']; from mine.cli.main import main; main()"
    code += "; print('tyro' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
