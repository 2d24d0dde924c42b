"""Who can use the page: on phones, by keyboard, with a screen reader, without motion, with a password, many at once."""

from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from browser import new_page
from demo_server import make_photo, running_demo, wait_until
from demo_tab import DESKTOP, Tab
from playwright.sync_api import Browser

from mine.demo.jobs import JobRunner
from mine.demo.worker import InProcess
from mine.model import Model, load

SMALL = """() => [...document.querySelectorAll("#studio :is(button, select, summary, a, input[type=range], label)")]
  .filter((e) => e.offsetParent && !e.closest("label label") && !(e.matches("input") && e.closest("#compare")))
  .map((e) => [e.id || e.textContent.trim(), e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
  .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
"""What a thumb misses: buttons of less than 44 pixels, but for rounding."""

SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map(({ finished }) => finished))"""
"""Settles when all colours have changed."""


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> Model:
    return load(tiny_checkpoint, device="cpu")


def in_theme(tab: Tab, theme: str) -> None:
    """Shows the page in light or dark colours, as the system asks for."""
    tab.page.emulate_media(color_scheme=theme)
    tab.page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=theme == "dark")


# --- phones


def test_a_phone_goes_to_the_scene_after_the_photo(phone: Tab, tmp_path: Path) -> None:
    phone.page.evaluate("scrollTo(0, 600)")
    phone.bring(make_photo(tmp_path / "phone.png"))
    assert wait_until(lambda: abs(phone.page.locator("#stage").bounding_box()["y"]) < 60)


def test_a_phone_moves_the_scene_as_it_is_tilted(phone: Tab) -> None:
    phone.view.locator("#tilt").focus()  # so that the toolbar stays, however slow the machine is
    phone.view.locator("#tilt").tap()
    phone.view.locator("#tilt[aria-pressed=true]").wait_for()
    across = "mineViewer.view().T[3]"
    before = phone.viewer.evaluate(across)
    for gamma in (0, 12):
        tilt = f"new DeviceOrientationEvent('deviceorientation', {{ beta: 40, gamma: {gamma} }})"
        phone.viewer.evaluate(f"void dispatchEvent({tilt})")
    assert wait_until(lambda: abs(phone.viewer.evaluate(across) - before) > 0.001)
    assert "gyroscope" in phone.page.locator("#viewer iframe").get_attribute("allow")


@pytest.mark.parametrize("width", [360, 430])
def test_phones_see_no_sideways_scroll_and_large_targets(phone: Tab, width: int) -> None:
    """With a scene and its files in the list, in each tab and in both themes."""
    page = phone.page
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#files li").first.wait_for()
    page.evaluate("document.getElementById('depth-settings').open = true")
    for theme in ("light", "dark"):
        in_theme(phone, theme)
        for name in ("3d", "video", "depth", "compare"):
            page.locator(f"#tab-{name}").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(SMALL) == []
    page.locator("#tab-3d").click()


def test_a_phones_camera_comes_first_and_the_action_stays_in_reach(phone: Tab) -> None:
    page = phone.page
    assert page.locator("#shot").get_attribute("capture") == "environment"
    assert page.locator("#camera").bounding_box()["x"] < page.locator("#choose").bounding_box()["x"]
    for scroll in (0, 10_000):
        page.evaluate("y => scrollTo(0, y)", scroll)
        action = page.locator(".action").bounding_box()
        assert action["y"] + action["height"] <= page.viewport_size["height"] + 1


# --- access


def test_everything_is_reached_by_keyboard(desk: Tab) -> None:
    page = desk.page
    page.evaluate("document.activeElement.blur()")
    wanted = {"tab-3d", "play", "motion", "choose", "amount", "speed", "seconds", "longest", "gif", "make"}
    for _ in range(300):  # the viewer's own buttons answer as fast as the scene is drawn
        page.keyboard.press("Tab")
        wanted.discard(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))
        if not wanted:
            break
    assert wanted == set()


def test_axe_finds_nothing_serious(desk: Tab, tmp_path: Path) -> None:
    """In each state of the page and in both themes: axe-core's own rules for WCAG AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = desk.page
    found = set()

    def look() -> None:
        options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"], "resultTypes": ["violations"]}
        for theme in ("light", "dark"):
            in_theme(desk, theme)
            page.evaluate(SETTLED)
            for violation in axe.run(page, context="#studio", options=options).response["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    found.update((violation["id"], node["html"][:120]) for node in violation["nodes"])

    page.evaluate("document.getElementById('depth-settings').open = true")
    desk.bring(make_photo(tmp_path / "seen.png"))
    for name in ("video", "compare", "3d"):
        page.locator(f"#tab-{name}").click()
        look()
    (tmp_path / "notes.jpg").write_text("no photo")
    page.set_input_files("#file", tmp_path / "notes.jpg")
    page.locator("#problem").wait_for()
    look()
    assert found == set()


def test_nothing_moves_for_those_who_ask_for_less_motion(browser: Browser, app: tuple[str, JobRunner]) -> None:
    tab = Tab(browser, app[0], **DESKTOP, reduced_motion="reduce")
    tab.page.locator("#viewer[data-ready].shown").wait_for()
    assert tab.page.locator("#hero").is_hidden()
    assert tab.page.locator("#play").inner_text() == "Play"
    assert tab.page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length") == 0
    before = tab.viewer.evaluate("mineViewer.view()")
    tab.page.wait_for_timeout(500)
    assert tab.viewer.evaluate("mineViewer.view()") == before
    tab.context.close()


# --- visitors


def test_a_visitor_logs_in_and_gets_a_scene(browser: Browser, model: Model, tmp_path: Path) -> None:
    with running_demo(model, auth="guest:secret") as (url, _):
        page = new_page(browser, **DESKTOP)
        page.goto(url)
        page.get_by_label("username").fill("guest")
        page.get_by_label("password").fill("secret")
        page.get_by_role("button", name="Login").click()
        page.locator("#viewer[data-ready]").wait_for()
        page.evaluate("document.getElementById('planes').value = 4")
        page.set_input_files("#file", make_photo(tmp_path / "mine.png"))
        page.locator("#viewer[data-ready='mine']").wait_for()
        page.context.close()


class TwoAtOnce(InProcess):
    """Two workers, whose scenes wait for each other: one alone is never done."""

    count = 2

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._both = Barrier(2)

    def run(self, maker: str, arguments: tuple[Any, ...], control: Any) -> float:
        if maker == "scene":
            self._both.wait(timeout=90)
        return super().run(maker, arguments, control)


def test_two_workers_serve_two_visitors_at_once(browser: Browser, model: Model, tmp_path: Path) -> None:
    with running_demo(TwoAtOnce(model)) as (url, _):
        visitors = [Tab(browser, url, **DESKTOP) for _ in range(2)]
        for number, visitor in enumerate(visitors):
            visitor.settings(planes="4", detail="Draft")
            visitor.page.set_input_files("#file", make_photo(tmp_path / f"visitor-{number}.png", (number * 90, 80, 80)))
        for number, visitor in enumerate(visitors):
            visitor.page.locator(f"#viewer[data-ready='visitor-{number}']").wait_for()
            visitor.context.close()
