"""Programs beside the package: what they import exists, and they have a `--help`."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT

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


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_program_has_help(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if "__main__" in text:
        assert "ArgumentParser(" in text, "python FILE --help should say what it does, and do nothing"
