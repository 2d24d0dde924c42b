"""Programs beside the package: what they import exists, and they have a `--help`."""

import ast
import runpy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT

from mine.scene.limits import check_scene_size

SCRIPTS = sorted(path for folder in ("scripts", "benchmarks", "fuzz") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_program_imports_exists(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(path.parent))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in [alias.name for alias in node.names] if isinstance(node, ast.Import) else []:
            assert find_spec(name), name
        if isinstance(node, ast.ImportFrom) and node.module:
            module = import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}"), (
                    node.module,
                    alias.name,
                )


PROGRAMS = [path for path in SCRIPTS if "__main__" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_program_has_help(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python FILE --help` says what it does, and does nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert not end.value.code and not list(tmp_path.iterdir())
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_scenes_of_benchmarks_are_not_refused() -> None:
    costs, memory = (runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py")) for name in ("costs", "memory"))
    for planes, size in [*costs["cases"](), memory["USUAL"]]:
        check_scene_size(planes, size)
