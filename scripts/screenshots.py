"""Screenshots of the web page in each state, on a desk and on a phone, light and dark, for docs/page.

python scripts/screenshots.py docs/gallery/raccoon.jpg
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import mine
from mine.demo.app import private_folder, serve
from mine.demo.jobs import JobRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from chromium import ARGUMENTS, CHROMIUM

DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"has_touch": True, "is_mobile": True}
DOCS = Path(__file__).parents[1] / "docs" / "page"
TIMEOUT = 180_000
"""Milliseconds to wait for each step."""


def tour(page: Page, url: str, photo: Path, save: "Saver") -> None:
    """Visits every state of the page."""
    page.set_default_timeout(TIMEOUT)
    page.goto(url)
    page.locator("#viewer[data-ready]").wait_for()
    page.wait_for_timeout(3000)
    save(page, "first")
    start = time.monotonic()
    page.set_input_files("#photo input[type=file]", photo)
    page.locator("#waiting").get_by_text("Finding depth").wait_for()
    page.wait_for_timeout(300)
    save(page, "waiting")
    page.locator(f"#viewer[data-ready='{photo.stem}']").wait_for()
    print(f"{save.name}: {time.monotonic() - start:.1f} s from upload to 3D view", flush=True)
    page.wait_for_function("document.getElementById('motions').style.getPropertyValue('--sheet').includes('url')")
    page.locator("#play").click()  # at rest, the view is sharp
    page.wait_for_timeout(6000)
    save(page, "scene")
    for tab in ("depth", "compare"):
        page.locator(f"#tab-{tab}").click()
        page.wait_for_timeout(4000)
        save(page, tab)
    page.locator("#make").click()
    page.locator("#video video").wait_for()
    page.wait_for_timeout(5000)
    save(page, "video", whole=True)
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.jpg"
        notes.write_text("no photo")
        page.set_input_files("#photo input[type=file]", notes)
        page.locator("#problem").wait_for()
        page.wait_for_timeout(500)
    save(page, "error")


class Saver:
    """Saves screenshots as FOLDER/STATE-NAME.png, with 256 colours: a fifth of the size."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def __call__(self, page: Page, state: str, whole: bool = False) -> None:
        path = self.folder / f"{state}-{self.name}.png"
        size = page.viewport_size
        if whole and size:  # what sticks to the window's end is then at the page's
            for _ in range(2):  # the stage grows with the window
                height = page.evaluate("document.getElementById('studio').getBoundingClientRect().height")
                page.set_viewport_size({**size, "height": round(height)})
                page.wait_for_timeout(500)
        page.screenshot(path=path)
        if whole and size:
            page.set_viewport_size(size)
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def visit(browser: Browser, url: str, photo: Path, folder: Path, width: int) -> None:
    """Makes all screenshots; `width` is the phone's, in pixels."""
    phone = {**PHONE, "viewport": {"width": width, "height": 844}}
    for device, size in (("", DESK), ("phone-", phone)):
        for theme in ("light", "dark"):
            page = browser.new_page(**size, color_scheme=theme)
            tour(page, url, photo, Saver(folder, f"{device}{theme}"))
            page.close()


def main() -> None:
    """Starts the page, makes the screenshots and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="photo to upload")
    parser.add_argument("--folder", type=Path, default=DOCS, help="folder for the screenshots")
    parser.add_argument("--phone", type=int, default=390, help="width of the phone in pixels")
    parser.add_argument("--port", type=int, default=7899, help="port of the page")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    jobs = JobRunner(mine.load(), private_folder())
    jobs.warm_up()
    app = serve(jobs, port=arguments.port)
    assert app.local_url is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        visit(browser, app.local_url, arguments.photo, arguments.folder, arguments.phone)
        browser.close()
    app.close()


if __name__ == "__main__":
    main()
