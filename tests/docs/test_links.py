"""Links and paths in the documentation lead somewhere."""

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
SOURCE = re.compile(r"`((?:mine|demo|tests|scripts|benchmarks|configs|viewer|docs|fuzz)/[\w./-]*[\w/])`")


def missing(page: Path) -> list[str]:
    """Targets of links, relative to the page, and paths from the root that do not exist."""
    text = page.read_text(encoding="utf-8")
    links = [target for target in LINK.findall(text) if not (page.parent / target).exists()]
    return links + [path for path in SOURCE.findall(text) if not any(ROOT.glob(path))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        assert not [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (ROOT / link).exists()]
        return  # it names what was moved
    assert missing(page) == []
