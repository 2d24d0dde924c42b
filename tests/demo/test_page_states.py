"""What the stage shows when: a problem makes way for the scene, what is of another photo goes, jobs are in sight."""

from itertools import pairwise
from pathlib import Path

import pytest
from demo_server import make_photo, wait_until
from demo_tab import DESKTOP, Tab, image_size
from playwright.sync_api import Page, Route

from mine.demo.jobs import JobRunner

IN_SIGHT = """selector => {
  const { top, bottom } = document.querySelector(selector).getBoundingClientRect();
  return top >= -1 && bottom <= innerHeight + 1;
}"""


def abort(route: Route) -> None:
    route.abort()


def fail(page: Page, button: str = "#make") -> None:
    """Presses a button whose call does not reach the server."""
    page.route("**/queue/join", abort)
    page.locator(button).click()
    page.locator("#problem").wait_for()
    page.unroute("**/queue/join", abort)


# --- problems


def test_what_failed_makes_way_for_the_scene_that_is_there(desk: Tab) -> None:
    """By each tab, by a motion, and by a button of its own."""
    page = desk.page
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    problem = page.locator("#problem")
    ways = [f"#tab-{name}" for name in ("3d", "video", "depth", "compare")] + ["#play", "#back"]
    for way in ways:
        fail(page)
        page.locator(way).click()
        assert problem.is_hidden(), way
    assert page.locator("#tab-3d").get_attribute("aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "tab-3d"
    fail(page)
    page.get_by_role("radio", name="Circle").check(force=True)
    assert problem.is_hidden()
    assert page.locator("#tab-3d").get_attribute("aria-selected") == "true"


def test_without_a_scene_the_problem_stays(desk: Tab, tmp_path: Path) -> None:
    """There is nothing to go back to."""
    page = desk.page
    (tmp_path / "notes.jpg").write_text("no photo")
    page.set_input_files("#file", tmp_path / "notes.jpg")
    page.locator("#problem").get_by_text("notes.jpg is not an image").wait_for()
    for name in ("compare", "video", "depth", "3d"):
        page.locator(f"#tab-{name}").click()
        assert page.locator("#problem").is_visible()
    assert page.locator("#back").is_hidden()


def test_lost_graphics_are_told_where_they_would_be(desk: Tab) -> None:
    page = desk.page
    page.get_by_role("button", name="Flower", exact=True).click()
    page.locator("#viewer[data-ready='Flower']").wait_for()
    page.locator("#tab-compare").click()
    desk.viewer.evaluate(
        """() => {
          window.lost = document.getElementById("view").getContext("webgl2").getExtension("WEBGL_lose_context");
          lost.loseContext();
        }"""
    )
    desk.view.locator("body.failed").wait_for(state="attached")
    page.wait_for_timeout(100)
    told = page.locator("#problem")
    assert told.is_hidden()
    page.locator("#tab-video").click()
    assert told.is_hidden()
    for name in ("depth", "3d"):
        page.locator(f"#tab-{name}").click()
        told.get_by_text("graphics were interrupted").wait_for()
    desk.viewer.evaluate("lost.restoreContext()")
    told.wait_for(state="hidden")


def test_a_server_that_was_started_anew_is_told(desk: Tab) -> None:
    """It knows none of the files that the page names: neither those of samples nor those of photos."""
    page = desk.page
    told = page.locator("#problem").get_by_text("The server was started anew: reload the page.")
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    page.route("**/app_id", lambda route: route.fulfill(json={"app_id": 1}))
    fail(page)
    told.wait_for()
    page.route("**/koala.json", lambda route: route.fulfill(status=403, body="File not allowed"))
    page.get_by_role("button", name="Koala", exact=True).click()
    told.wait_for()
    page.unroute("**/app_id")
    page.get_by_role("button", name="Coffee", exact=True).click()
    page.get_by_role("button", name="Koala", exact=True).click()
    page.locator("#problem").get_by_text("This scene is no longer here").wait_for()
    page.unroute("**/koala.json")


# --- what belongs to a photo


def test_nothing_of_the_photo_before_is_shown_beside_a_new_one(
    desk: Tab, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    page = desk.page
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    with app[1].workers._lock:  # the worker is busy, so that the photo waits
        page.set_input_files("#file", make_photo(tmp_path / "next.png", size=(60, 40)))
        page.locator("#waiting").wait_for()
        page.locator("#tab-compare").click()
        assert page.locator("#compare").is_hidden()
        assert not page.locator("#compare-photo").get_attribute("src")
        assert not page.locator("#compare-depth").get_attribute("src")
        assert page.locator("#still").is_visible()
        assert wait_until(lambda: image_size(page, "#still") == 60)
    page.locator("#viewer[data-ready='next']").wait_for()
    page.locator("#tab-compare").click()
    assert wait_until(lambda: image_size(page, "#compare-depth") == 60)


def test_the_lens_of_one_photo_is_not_used_for_the_next(desk: Tab, tmp_path: Path) -> None:
    page = desk.page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if "queue/join" in request.url else None)
    page.evaluate("document.getElementById('depth-settings').open = true")
    desk.settings(fov="90", strength="3")
    page.locator("#invert").check()
    desk.bring(make_photo(tmp_path / "usual.png", (30, 90, 40)))
    (call,) = [one for one in sent if "usual.png" in one][:1]
    assert '4,"Draft",0,1,false,""]' in call
    assert not page.locator("#invert").is_checked()
    outputs = [page.locator(f"label:has(#{name}) output").inner_text() for name in ("fov", "strength")]
    assert outputs == ["as the photo says", "1"]
    page.locator("#invert").check()
    page.get_by_role("button", name="Cat", exact=True).click()
    assert not page.locator("#invert").is_checked()
    page.evaluate("document.getElementById('depth-settings').open = false")


# --- jobs


def test_depth_is_the_same_in_the_viewers_button_and_in_the_tabs(desk: Tab) -> None:
    page = desk.page
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    for pressed, tab in (("true", "depth"), ("false", "3d")):
        desk.viewer.evaluate("document.getElementById('depth').click()")
        page.locator(f"#tab-{tab}[aria-selected=true]").wait_for()
        desk.view.locator(f"#depth[aria-pressed={pressed}]").wait_for(state="attached")
    for name in ("depth", "3d", "depth", "3d", "depth"):  # faster than the viewer answers
        page.evaluate("name => document.getElementById(`tab-${name}`).click()", name)
    desk.view.locator("#depth[aria-pressed=true]").wait_for(state="attached")
    page.wait_for_timeout(300)
    assert page.locator("#tab-depth").get_attribute("aria-selected") == "true"
    page.locator("#tab-3d").click()


@pytest.mark.parametrize("button", ["#make-form", "#again"])
def test_a_job_is_told_in_sight_of_whoever_asked_for_it(
    phone: Tab, app: tuple[str, JobRunner], tmp_path: Path, button: str
) -> None:
    """Its progress, the visitors before, and what went wrong; then the file that it made."""
    page = phone.page
    if not page.locator("#files li").count():
        phone.bring(make_photo(tmp_path / "far.png"))
    page.evaluate("document.getElementById('depth-settings').open = true")
    page.locator(button).scroll_into_view_if_needed()
    assert not page.evaluate(IN_SIGHT, "#stage")
    page.route("**/queue/data*", lambda route: None)  # nothing comes of the job
    page.locator(button).click()
    assert wait_until(lambda: page.evaluate(IN_SIGHT, "#stage"))
    assert page.locator("#waiting").is_visible()
    page.locator("#stop").click()
    page.unroute("**/queue/data*")
    page.locator("#waiting").wait_for(state="hidden")
    page.locator(button).scroll_into_view_if_needed()
    fail(page, button)
    assert wait_until(lambda: page.evaluate(IN_SIGHT, "#problem"))


def test_a_file_that_was_made_is_in_sight(phone: Tab) -> None:
    page = phone.page
    page.select_option("#form", "stereo:anaglyph")
    page.locator("#make-form").click()
    page.locator("#files a[download='far-anaglyph.jpg']").wait_for()
    assert wait_until(lambda: page.evaluate(IN_SIGHT, "#files li"))


def test_play_says_what_it_does(desk: Tab) -> None:
    """A toggle's name must not change: either it is pressed or it says Pause."""
    assert desk.page.locator("#play").get_attribute("aria-pressed") is None


# --- small and low windows


@pytest.mark.parametrize(("width", "height"), [(1280, 700), (800, 1000), (844, 340)])
def test_make_video_is_in_reach(desk: Tab, width: int, height: int) -> None:
    page = desk.page
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("scrollTo(0, 0)")
    assert wait_until(lambda: page.evaluate(IN_SIGHT, "#make"), 5)
    page.set_viewport_size(DESKTOP["viewport"])


@pytest.mark.parametrize(("width", "height"), [(844, 340), (667, 320), (1200, 400)])
def test_a_low_window_shows_more_than_the_stage(desk: Tab, width: int, height: int) -> None:
    """A finger on the stage moves the scene: the page is scrolled beside it."""
    page = desk.page
    page.set_viewport_size({"width": width, "height": height})
    assert page.locator("#stage").bounding_box()["height"] <= 0.71 * height
    page.set_viewport_size(DESKTOP["viewport"])


def test_a_low_window_shows_the_stage_beside_the_action(desk: Tab, app: tuple[str, JobRunner]) -> None:
    """The viewer's buttons lie in its middle, and Stop at its right while the action cannot be used."""
    page = desk.page
    page.set_viewport_size({"width": 844, "height": 340})
    stage, action = page.locator("#stage").bounding_box(), page.locator("#make").bounding_box()
    assert action["x"] > stage["x"] + 0.7 * stage["width"]
    with app[1].workers._lock:  # the worker is busy, so that the video waits
        page.locator("#make").click()
        page.locator("#waiting").wait_for()
        assert page.locator("#make").is_hidden()
        page.locator("#stop").click()
    page.locator("#waiting").wait_for(state="hidden")
    page.set_viewport_size(DESKTOP["viewport"])


@pytest.mark.parametrize("width", [320, 360])
def test_names_of_tabs_fit(desk: Tab, width: int) -> None:
    page = desk.page
    page.set_viewport_size({"width": width, "height": 700})
    wide = "[...document.querySelectorAll('.tabs button')].filter((one) => one.scrollWidth > one.clientWidth)"
    assert page.evaluate(f"{wide}.map((one) => one.id)") == []
    page.set_viewport_size(DESKTOP["viewport"])


@pytest.mark.parametrize("width", [320, 360, 700])
def test_samples_lie_side_by_side(desk: Tab, width: int) -> None:
    page = desk.page
    page.set_viewport_size({"width": width, "height": 700})
    boxes = [button.bounding_box() for button in page.locator("#samples button").all()[:4]]
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] <= right["x"]
    page.set_viewport_size(DESKTOP["viewport"])
