"""The lock file: every package that MINE needs, each with its hashes."""

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<marker> ; .*?)? \\$", re.MULTILINE)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Versions by package name; of a package with several, the last."""
    found = ENTRY.finditer((ROOT / "requirements.lock").read_text())
    return {canonical(entry["name"]): entry["version"] for entry in found}


def test_the_lock_file_has_the_versions_of_the_requirements() -> None:
    pinned = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1] != "#"]
    versions = locked()
    assert len(pinned) > 20
    for requirement in pinned:
        assert str(requirement.specifier) == f"=={versions[canonical(requirement.name)]}", requirement


def test_the_lock_file_has_what_the_requirements_need() -> None:
    """Whose own needs hold here."""
    versions = locked()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        for need in map(Requirement, requires(Requirement(line).name) or ()):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert need.specifier.contains(versions[canonical(need.name)], prereleases=True), f"{line}: {need}"


def test_every_locked_package_has_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(ENTRY.findall(text)) > 60
    for entry in entries:
        assert re.search(r"^ +--hash=sha256:[0-9a-f]{64}", entry, re.MULTILINE), entry.splitlines()[0]
    assert "://" not in text and "index-url" not in text and "find-links" not in text
