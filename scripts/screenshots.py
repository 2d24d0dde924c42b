"""Screenshots of the web demo, docs/demo-{light,dark,phone}.png, and the seconds from upload to the 3D view.

python scripts/screenshots.py data/samples/cat.jpg
"""

import argparse
import shutil
import socket
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import mine
from mine.demo.app import private_folder, serve
from mine.demo.jobs import JobRunner

ARGS = ["--headless", "--no-sandbox", "--disable-background-networking"]
ARGS += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
DOCS = Path(__file__).parents[1] / "docs"
TIMEOUT = 180_000
"""Milliseconds to wait for each step."""


def visit(page: Page, photo: Path) -> float:
    """Uploads a photo and waits for its 3D view and its video; returns the seconds from upload to 3D view."""
    page.set_default_timeout(TIMEOUT)
    page.locator("#photo input[type=file]").wait_for(state="attached")
    start = time.monotonic()
    page.set_input_files("#photo input[type=file]", photo)
    page.frame_locator("#viewer iframe").locator("body.ready").wait_for()
    seconds = time.monotonic() - start
    page.locator("#video video").wait_for()
    page.wait_for_timeout(2000)  # for the video's first frame
    return seconds


def main() -> None:
    """Writes the screenshots and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="photo to upload")
    parser.add_argument("--folder", type=Path, default=DOCS, help="folder for the screenshots")
    arguments = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    jobs = JobRunner(mine.load(), private_folder())
    jobs.warm_up()
    app = serve(jobs, port=port)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        for name, size, theme in [("light", DESKTOP, "light"), ("dark", DESKTOP, "dark"), ("phone", PHONE, "light")]:
            page = browser.new_page(viewport=size, color_scheme=theme, reduced_motion="reduce")
            page.goto(app.local_url)
            print(f"{name}: {visit(page, arguments.photo):.1f} s from upload to 3D view", flush=True)
            path = arguments.folder / f"demo-{name}.png"
            page.screenshot(path=path, full_page=True)
            Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)  # a fifth of the size
            page.close()
        browser.close()
    app.close()


if __name__ == "__main__":
    main()
