"""Chromium for the tests that look at a page: WebGL without a GPU, and pages of exported scenes."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from chromium import ARGUMENTS, CHROMIUM
from playwright.sync_api import Browser, Page, sync_playwright

WINDOW = {"width": 210, "height": 140}
"""Window of scenes' pages: software rendering takes its time."""

PATIENCE = 120_000
"""Milliseconds to wait for what a page does: machines of tests are slow and busy."""

READ = """() => {
  const { width, height, data } = mineViewer.readPixels();
  return [width, height, btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""))];
}"""
REST = """async () => {
  for (let before = null, now; before !== (now = JSON.stringify(mineViewer.view())); before = now) {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  }
}"""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium, as long as the context; the test is skipped where it is missing."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as engine:
        running = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


def new_page(browser: Browser, **context: object) -> Page:
    """An empty page in a context of its own, which nothing moves by itself."""
    page = browser.new_context(**{"reduced_motion": "reduce", **context}).new_page()
    page.set_default_timeout(PATIENCE)
    return page


@dataclass
class Opened:
    """An open page of a scene, with its requests and its console messages."""

    page: Page
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def pixels(self) -> np.ndarray:
        width, height, data = self.page.evaluate(READ)
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3].astype(float)

    def pose(self) -> list[float]:
        return self.page.evaluate("mineViewer.view().T")

    def focal(self) -> float:
        return self.page.evaluate("mineViewer.view().K[0]")

    def until(self, condition: str) -> None:
        """Waits for a JavaScript condition; the page's own rules forbid what wait_for_function does."""
        for _ in range(400):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {condition}")

    def rest(self) -> None:
        """Waits until the camera stands still."""
        self.page.evaluate(REST)

    def close(self) -> None:
        self.page.context.close()


def open_scene(
    browser: Browser,
    file: Path,
    script: str | None = None,
    ready: bool = True,
    **context: object,
) -> Opened:
    """Opens the page of a scene, which may request nothing but itself.

    Args:
        browser: The browser.
        file: The page.
        script: Runs in it before its own.
        ready: Whether to wait until the scene is there.
        context: Options of the browser's context.
    """
    opened = Opened(new_page(browser, **{"viewport": WINDOW, **context}))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("console", lambda message: opened.messages.append(message.text))
    opened.page.on("pageerror", lambda error: opened.messages.append(str(error)))
    opened.page.route("**/*", lambda route: route.continue_() if route.request.url == file.as_uri() else route.abort())
    if script is not None:
        opened.page.add_init_script(script)
    opened.page.goto(file.as_uri())
    if ready:
        opened.page.evaluate("mineViewer.ready")
    return opened
