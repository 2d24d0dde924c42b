"""A tab of a browser with the demo's page, on a desk or on a phone."""

from pathlib import Path
from typing import Any

from browser import new_page
from playwright.sync_api import Browser, Frame, FrameLocator, Page

SHARING = Path(__file__).with_name("fake_sharing.js").read_text()
DESKTOP = {"viewport": {"width": 1200, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Tab:
    """A tab with the demo, the URLs that it requested, and what it logged."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.page = new_page(browser, **options)
        self.context = self.page.context
        self.page.add_init_script(SHARING)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.locator("#studio[data-state=scene]").wait_for()

    @property
    def view(self) -> FrameLocator:
        return self.page.frame_locator("#viewer iframe")

    @property
    def viewer(self) -> Frame:
        """The frame of the viewer, for scripts."""
        return self.page.frames[1]

    def settings(self, **values: str) -> None:
        """Sets inputs by their ids; the scene's settings are folded away."""
        for name, value in values.items():
            self.page.evaluate(
                "([id, value]) => { const e = document.getElementById(id); e.value = value;"
                " e.dispatchEvent(new Event('input', { bubbles: true })); }",
                [name, value],
            )

    def bring(self, photo: Path) -> None:
        """Brings a photo and waits for its scene in 3D."""
        self.page.set_input_files("#file", photo)
        self.page.locator(f"#viewer[data-ready='{photo.stem}'].shown").wait_for()


def image_size(page: Page, selector: str) -> int:
    return page.evaluate("selector => document.querySelector(selector)?.naturalWidth", selector)
