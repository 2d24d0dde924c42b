"""A demo that runs in this process, and a tab with its page: one for each file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_server import running_demo
from demo_tab import DESKTOP, PHONE, Tab
from playwright.sync_api import Browser

from mine.demo.jobs import JobRunner
from mine.model import load


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path) -> Iterator[tuple[str, JobRunner]]:
    """Its address and its jobs."""
    with running_demo(load(tiny_checkpoint, device="cpu")) as running:
        yield running


@pytest.fixture(scope="module")
def desk(browser: Browser, app: tuple[str, JobRunner]) -> Iterator[Tab]:
    """With small settings; it may log no errors, and ask no other server."""
    tab = Tab(browser, app[0], **DESKTOP)
    tab.settings(planes="4", detail="Draft", seconds="1", longest="480")
    yield tab
    assert tab.errors == []
    own = (app[0], "data:", "blob:")
    assert [url for url in tab.requests if not url.startswith(own)] == []
    tab.context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, app: tuple[str, JobRunner]) -> Iterator[Tab]:
    """On a phone, with small settings; it may log no errors."""
    tab = Tab(browser, app[0], **PHONE)
    tab.settings(planes="4", detail="Draft")
    yield tab
    assert tab.errors == []
    tab.context.close()
