"""Times of the web page: from an upload, and from a click on a sample, to its 3D view, in headless Chromium.

It starts `mine demo` and begins when that says where the page is. Each kind is timed on a page of a desk's size and on
one of a phone's, in software rendering.

python benchmarks/web_page.py docs/gallery/{raccoon,hills,statue,drums,opera,windmill}.jpg
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from chromium import ARGUMENTS, CHROMIUM

DEVICES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
SAMPLES = ("Koala", "Portrait", "Coffee", "Street", "Flower", "Cat")

STOPWATCH = """if (window === top) {
  window.start = null;
  window.seconds = [];
  for (const type of ["change", "click"]) addEventListener(type, ({ target }) => {
    if (type === "change" ? target.type === "file" : target.closest("#samples button")) start = performance.now();
  }, true);
  addEventListener("message", ({ data }) => {
    if (data?.mine !== "ready" || start === null) return;
    seconds.push((performance.now() - start) / 1000);
    start = null;
  });
}"""
"""Collects the seconds from a photo that was chosen, or a click on a sample, to the first picture of its 3D view."""


def timed(page: Page, actions: Sequence[Callable[[Page], None]], pause: float) -> list[float]:
    """The seconds after each of some actions, between which the page rests."""
    for number, action in enumerate(actions, 1):
        action(page)
        page.wait_for_function("number => seconds.length === number", arg=number)
        page.wait_for_timeout(1000 * pause)
    seconds: list[float] = page.evaluate("seconds")
    return seconds


def upload(photo: Path) -> Callable[[Page], None]:
    """Brings a photo."""
    return lambda page: page.set_input_files("#file", photo)


def click(sample: str) -> Callable[[Page], None]:
    """Clicks on a sample."""
    return lambda page: page.get_by_role("button", name=sample, exact=True).click()


def visit(browser: Browser, url: str, device: str, photos: list[Path], pause: float) -> None:
    """Prints the times of uploads and of clicks on samples, each on a new page."""
    for kind, actions in (("upload", [*map(upload, photos)]), ("sample", [*map(click, SAMPLES)])):
        page = browser.new_page(**DEVICES[device])
        page.set_default_timeout(120_000)
        page.add_init_script(STOPWATCH)
        page.goto(url)
        page.locator("#viewer[data-ready]").wait_for()
        seconds = timed(page, actions, pause)
        page.close()
        each = " ".join(f"{one:.2f}" for one in seconds)
        print(f"{kind}, {device}: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s ({each})")


def main() -> None:
    """Starts the page, visits it and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", help="photos to upload, one after another")
    parser.add_argument("--pause", type=float, default=5, help="seconds between two of them")
    parser.add_argument("--device", choices=DEVICES, nargs="+", default=list(DEVICES))
    parser.add_argument("--port", type=int, default=7897, help="port of the page")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "mine", "demo", "--port", str(arguments.port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        next(line for line in server.stdout or () if "The demo is at" in line)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for device in arguments.device:
                visit(browser, f"http://127.0.0.1:{arguments.port}/", device, arguments.photos, arguments.pause)
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
