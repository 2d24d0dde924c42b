"""What moves the viewer: keys by their letters, the first button of the mouse; and presses that end unseen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Opened, open_scene
from playwright.sync_api import Browser
from small_scene import make_photo, make_scene

from mine.scene.mpi import MPI

KEY = """([kind, key, code]) => document.body.dispatchEvent(
  new KeyboardEvent(kind, { key, code, bubbles: true, cancelable: true }))"""


@pytest.fixture(scope="module")
def scene() -> MPI:
    return make_scene(make_photo())


@pytest.fixture(scope="module")
def shared(browser: Browser, page_file: Path) -> Iterator[Opened]:
    opened = open_scene(browser, page_file)
    yield opened
    assert opened.messages == []
    opened.close()


@pytest.fixture
def opened(shared: Opened) -> Opened:
    shared.page.keyboard.press("Home")
    shared.rest()
    return shared


def press(opened: Opened, key: str, code: str) -> None:
    for kind in ("keydown", "keyup"):
        opened.page.evaluate(KEY, [kind, key, code])


def depth_is_on(opened: Opened) -> bool:
    return opened.page.locator("#depth").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(
    ("key", "code", "obeyed"),
    [
        ("z", "KeyZ", True),
        ("Z", "KeyZ", True),  # with the caps lock on
        ("z", "KeyY", True),  # German
        ("y", "KeyZ", False),
        ("z", "KeyW", True),  # French
        ("w", "KeyZ", False),
        (";", "KeyZ", False),  # Dvorak
        ("я", "KeyZ", True),  # Russian
    ],
)
def test_letters_are_those_on_the_keys(opened: Opened, key: str, code: str, obeyed: bool) -> None:
    """Where these are of another alphabet, those that lie there elsewhere."""
    before = depth_is_on(opened)
    press(opened, key, code)
    assert depth_is_on(opened) == (before ^ obeyed)


def hold(opened: Opened, down: str, code: str, up: str, effect: str | None) -> None:
    """Holds a key until a condition in JavaScript is true; for 0.2 s where nothing is to come of it."""
    opened.page.evaluate(KEY, ["keydown", down, code])
    if effect:
        opened.until(effect)
    else:
        opened.page.wait_for_timeout(200)
    opened.page.evaluate(KEY, ["keyup", up, code])
    opened.rest()


@pytest.mark.parametrize(
    ("key", "code", "axis"),
    [("w", "KeyZ", 11), ("z", "KeyW", None), ("ц", "KeyW", 11), ("q", "KeyA", None), ("a", "KeyQ", 3)],
)
def test_keys_that_move_the_scene_go_by_letters(opened: Opened, key: str, code: str, axis: int | None) -> None:
    hold(opened, key, code, key, None if axis is None else f"Math.abs(mineViewer.view().T[{axis}]) > 0.002")
    pose = opened.pose()
    moved = [entry for entry in (3, 7, 11) if abs(pose[entry]) > 0.002]
    assert moved == ([] if axis is None else [axis])


@pytest.mark.parametrize(
    ("down", "up", "code", "sign"),
    [
        ("+", "+", "BracketRight", 1),  # German
        ("-", "-", "Slash", -1),
        ("+", "=", "Equal", 1),  # American, with Shift, which is let go first
        ("=", "=", "Equal", 1),
        ("+", "+", "NumpadAdd", 1),
        ("ß", "ß", "Minus", 0),  # German
    ],
)
def test_plus_and_minus_zoom_wherever_they_are(opened: Opened, down: str, up: str, code: str, sign: int) -> None:
    opened.page.mouse.move(100, 30)
    opened.page.mouse.wheel(0, -300)  # at rest, there is no way out
    opened.rest()
    before = opened.focal()
    hold(opened, down, code, up, f"{sign} * (mineViewer.view().K[0] / {before} - 1) > 0.01" if sign else None)
    change = opened.focal() / before - 1
    assert sign * change > 0.01 or (sign == 0 and change == 0)


@pytest.mark.parametrize("button", ["right", "middle"])
def test_only_the_first_button_drags(opened: Opened, button: str) -> None:
    mouse = opened.page.mouse
    mouse.move(80, 30)
    mouse.down(button=button)
    mouse.move(140, 30, steps=3)
    mouse.up(button=button)
    opened.rest()
    assert opened.pose()[3] == 0


def test_a_press_whose_end_nobody_told_ends_with_the_next_motion(opened: Opened) -> None:
    """As one that ends over a dialog, or outside of a frame."""
    mouse = opened.page.mouse
    kinds = ["pointerup", "pointercancel", "lostpointercapture"]
    opened.page.evaluate("() => { window.swallow = (event) => event.stopImmediatePropagation(); }")
    opened.page.evaluate("kinds => kinds.forEach((kind) => addEventListener(kind, swallow, true))", kinds)
    mouse.move(80, 30)
    mouse.down()
    mouse.up()
    mouse.move(140, 30, steps=3)
    opened.page.evaluate("kinds => kinds.forEach((kind) => removeEventListener(kind, swallow, true))", kinds)
    opened.rest()
    assert opened.pose()[3] == 0
    mouse.move(80, 30)
    mouse.down()
    mouse.move(140, 30, steps=3)
    mouse.up()
    opened.rest()
    assert opened.pose()[3] > 0.01, "dragging still works"
