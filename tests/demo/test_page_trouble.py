"""Waiting, stopping and errors on the demo's page, in a real browser."""

import json
import re
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from browser import new_page
from demo_server import files_left, make_photo, wait_until
from demo_tab import DESKTOP, Tab
from playwright.sync_api import Browser, Route

from mine.demo.jobs import JobRunner

# --- waiting and stopping


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


# --- errors


def test_what_is_made_of_a_scene_has_its_settings_and_refusals_are_told(desk: Tab, tmp_path: Path) -> None:
    """A proxy before the server, which answers in words or in HTML, is played here: it refuses all calls."""
    page, calls, answers = desk.page, [], [(502, "<html>Bad gateway</html>"), (401, "Not authenticated")]

    def refuse(route: Route) -> None:
        calls.append(json.loads(route.request.post_data)["data"])
        status, body = answers[(len(calls) - 1) % 2]
        route.fulfill(status=status, content_type="text/html", body=body)

    desk.bring(make_photo(tmp_path / "refused.png"))
    page.wait_for_function("document.getElementById('motions').style.getPropertyValue('--sheet').includes('refused')")
    desk.settings(planes="9", fov="40")
    page.route("**/queue/join", refuse)
    page.locator("#make-form").click()
    page.locator("#problem").get_by_text("The server could not do this (502)").wait_for()
    page.locator("#make").click()
    page.locator("#problem").get_by_text("Log in again: reload the page.").wait_for()
    assert page.locator("#no-video").is_hidden()
    assert [data[1:3] for data in calls] == [[4, "Draft"]] * 2, "those of the slider are for the next scene"
    assert calls[0][4:] == [0, 1, False, ""] and calls[1][9:13] == [0, 1, False, ""]

    iio.imwrite(tmp_path / "map.png", np.zeros((48, 64), np.uint8))
    page.set_input_files("#map", tmp_path / "map.png")
    page.get_by_text("map.png is used").wait_for(state="attached")
    page.get_by_role("button", name="Cat", exact=True).click()
    assert page.locator("#map-name").text_content() == "", "a map belongs to its photo"
    page.locator("#make").click()
    page.locator("#problem").get_by_text("(502)").wait_for()
    assert calls[2][1:3] == [32, "Standard"] and calls[2][9:13] == [0, 1, False, ""]
    page.unroute("**/queue/join")
    desk.settings(planes="4", fov="0")


def test_an_error_is_told_once_in_the_photos_place_until_the_next(desk: Tab, tmp_path: Path) -> None:
    page = desk.page
    text = tmp_path / "notes.jpg"
    text.write_text("no photo")
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    page.locator("#tab-depth").click()
    legend = "Number(getComputedStyle(document.getElementById('range')).opacity)"
    assert wait_until(lambda: desk.viewer.evaluate(legend) == 1)
    page.set_input_files("#file", text)
    page.locator("#problem").get_by_text("notes.jpg is not an image").wait_for()
    assert page.locator("#problem").get_by_role("button", name="Choose another photo").is_visible()
    assert desk.viewer.evaluate(legend) == 0, "nothing shows through"
    assert page.locator("#no-video").is_hidden()
    assert page.get_by_text("is not an image").count() == 1
    assert page.locator("#make").is_disabled()
    assert page.locator("#waiting").is_hidden()
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(41 * 1024 * 1024))
    page.set_input_files("#file", large)
    page.locator("#problem").get_by_text("too large").wait_for()
    page.get_by_role("button", name="Coffee", exact=True).click()
    page.locator("#problem").wait_for(state="hidden")
    assert page.locator("#make").is_enabled()


def test_what_comes_late_or_not_at_all_changes_nothing_else(
    desk: Tab, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    page, held = desk.page, []
    page.route("**/upload?*", lambda route: held.append(route))
    iio.imwrite(tmp_path / "late.png", np.zeros((48, 64), np.uint8))
    page.set_input_files("#map", tmp_path / "late.png")
    page.get_by_role("button", name="Flower", exact=True).click()
    with page.expect_response("**/upload?*"):
        held[0].continue_()
    page.unroute("**/upload?*")
    page.wait_for_timeout(100)
    assert page.locator("#map-name").text_content() == "", "the map is that of another photo"

    video = page.locator("#video video")
    with app[1].workers._lock:  # the worker is busy, so that the video waits
        page.locator("#make").click()
        page.locator("#waiting").wait_for()
        page.locator("#stop").click()
        page.locator("#waiting").wait_for(state="hidden")
        assert video.is_visible(), "the video that was there"
        page.route("**/queue/join", lambda route: route.abort())
        page.locator("#make").click()
        page.locator("#problem").wait_for()
        page.unroute("**/queue/join")
        page.locator("#tab-video").click()
        assert video.is_visible()

    lose = "() => { window.text = Response.prototype.text; Response.prototype.text = () => Promise.reject(Error()); }"
    page.evaluate(lose)
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#problem").get_by_text("The connection was lost").wait_for()
    page.evaluate("() => { Response.prototype.text = text; }")


def test_a_browser_without_webgl_is_told_so_and_shows_what_it_can(browser: Browser, app: tuple[str, JobRunner]) -> None:
    page = new_page(browser, **DESKTOP)
    page.add_init_script(
        "const { getContext } = HTMLCanvasElement.prototype;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " return kind.startsWith('webgl') ? null : getContext.call(this, kind, ...more); };"
    )
    page.goto(app[0])
    told = page.locator("#problem").get_by_text("no WebGL 2")
    told.wait_for()
    page.get_by_role("button", name="Cat", exact=True).click()
    assert told.is_visible()
    page.locator("#tab-compare").click()
    assert told.is_hidden()
    page.locator("#tab-depth").click()
    assert told.is_visible()
    page.context.close()
