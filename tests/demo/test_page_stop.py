"""Waiting and stopping on the demo's page, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_server import files_left, make_photo, wait_until
from demo_tab import DESKTOP, Tab
from playwright.sync_api import Browser

from mine.demo.jobs import JobRunner


@pytest.fixture(scope="module")
def desk(browser: Browser, app: tuple[str, JobRunner]) -> Iterator[Tab]:
    tab = Tab(browser, app[0], **DESKTOP)
    tab.settings(planes="4", detail="Draft")
    yield tab
    assert tab.errors == []
    tab.context.close()


def test_waiting_is_told_in_words_and_can_be_stopped(desk: Tab, app: tuple[str, JobRunner], tmp_path: Path) -> None:
    """Stop is there while something runs, and only then."""
    page, jobs = desk.page, app[1]
    page.evaluate(
        """() => {
          window.told = [];
          const box = document.getElementById("waiting");
          const text = (part) => box.querySelector(part).textContent;
          const tell = () => box.hidden || told.push([text(".step"), text(".left")]);
          new MutationObserver(tell).observe(box, { attributes: true, childList: true, subtree: true });
        }"""
    )
    desk.bring(make_photo(tmp_path / "told.png", (10, 20, 10)))
    steps, left = zip(*page.evaluate("told"), strict=True)
    assert {"Starting", "Finding depth", "Building the 3D view"} & set(steps)
    assert any(re.fullmatch(r"(a moment|about \d+ s) left", one) for one in left)
    assert page.locator("#stop").is_hidden()
    with jobs.workers._lock:  # the worker is busy, so that the job waits
        page.set_input_files("#file", make_photo(tmp_path / "stopped.png", (10, 200, 10)))
        page.locator("#waiting").wait_for()
        assert page.locator("#make").is_disabled()
        assert wait_until(lambda: any(photo.stem == "stopped" for photo in list(jobs._uploads)))
        page.locator("#stop").click()
        page.locator("#problem").get_by_text("Stopped").wait_for()
        # The page says so at once; the server may hear of it later, and the worker is busy until then.
        assert wait_until(lambda: all(control.stopped.is_set() for control in list(jobs._running)))
    assert page.locator("#waiting").is_hidden()
    assert page.locator("#stop").is_hidden()
    assert wait_until(lambda: not jobs._running)
    assert files_left(jobs.scenes.root, "*/stopped*") == []


def test_a_stop_reaches_the_server_on_the_stream_that_is_open(
    desk: Tab, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    """Were the stream of events closed by the page, the server would forget what was asked for since then."""
    page, jobs = desk.page, app[1]
    page.evaluate(
        """() => {
          window.ends = [];
          window.EventSource = class extends EventSource {
            constructor(url) {
              super(url);
              this.addEventListener("message", ({ data }) => (this.last = JSON.parse(data).msg));
            }
            close() {
              ends.push(this.last);
              super.close();
            }
          };
        }"""
    )
    for name in ("one", "two"):
        with jobs.workers._lock:  # the worker is busy, so that the job waits
            page.set_input_files("#file", make_photo(tmp_path / f"{name}.png", (10, 200, 10)))
            assert wait_until(lambda name=name: any(photo.stem == name for photo in list(jobs._uploads)))
            page.locator("#stop").click()
            assert wait_until(lambda: all(control.stopped.is_set() for control in list(jobs._running)))
        page.locator("#waiting").wait_for(state="hidden")
    assert wait_until(lambda: page.evaluate("ends.length") > 0)
    assert set(page.evaluate("ends")) == {"close_stream"}


def test_a_stop_before_the_server_has_answered_ends_the_call(
    desk: Tab, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    page, jobs, held = desk.page, app[1], []
    page.route("**/queue/join", lambda route: route.continue_() if held else held.append(route))
    with jobs.workers._lock:  # the worker is busy, so that the job waits
        page.set_input_files("#file", make_photo(tmp_path / "early.png", (90, 20, 10)))
        while not held:
            page.wait_for_timeout(20)
        page.locator("#stop").click()
        held[0].continue_()
        page.locator("#problem").get_by_text("Stopped").wait_for()
        assert wait_until(lambda: all(control.stopped.is_set() for control in list(jobs._running)), 20)
    page.unroute("**/queue/join")
    assert wait_until(lambda: not jobs._running)
    assert files_left(jobs.scenes.root, "*/early*") == []


def test_a_new_photo_does_not_wait_for_the_one_before(desk: Tab, app: tuple[str, JobRunner], tmp_path: Path) -> None:
    page, jobs = desk.page, app[1]
    with jobs.workers._lock:  # the worker is busy, so that the job waits
        page.set_input_files("#file", make_photo(tmp_path / "before.png", (90, 200, 10)))
        assert wait_until(lambda: any(photo.stem == "before" for photo in list(jobs._uploads)))
        before = list(jobs._running)
        page.set_input_files("#file", make_photo(tmp_path / "after.png", (90, 20, 200)))
        assert wait_until(lambda: all(control.stopped.is_set() for control in before), 20)
    page.locator("#viewer[data-ready='after']").wait_for()
    assert files_left(jobs.scenes.root, "*/before*") == []
