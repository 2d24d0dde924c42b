"""Pictures of exported files by programs of others: three.js and the Spark splat viewer, in headless Chromium."""

import base64
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
from chromium import ARGUMENTS, CHROMIUM

HERE = Path(__file__).parent
ORIGIN = "http://formats.test/"


def install(folder: Path) -> None:
    """Installs the npm packages into a folder, and bundles the page there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "page.mjs", "validate.mjs"):
        shutil.copy(HERE / name, folder)
    if not (folder / "node_modules").is_dir():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["node", "node_modules/esbuild/install.js"], cwd=folder, check=True)
    bundle = ["npx", "esbuild", "page.mjs", "--bundle", "--format=iife", "--outfile=page.js", "--log-level=error"]
    subprocess.run(bundle, cwd=folder, check=True)


def take_pictures(
    folder: Path, files: list[Path], pose: torch.Tensor, K: torch.Tensor, size: tuple[int, int]
) -> list[Image.Image]:
    """Opens each file in a page of its own and returns what it shows.

    Args:
        folder: Where `install` put the page.
        files: .glb, .ply or .spz files.
        pose: (4, 4) target-from-source pose in OpenCV's axes.
        K: (3, 3) intrinsics in pixels of `size`.
        size: (H, W) of the pictures.
    """
    camera = {"pose": pose.flatten().tolist(), "K": K.flatten().tolist(), "width": size[1], "height": size[0]}
    pictures = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=ARGUMENTS
        )
        for file in files:
            page = context.new_page()
            _serve(page, {"page.js": folder / "page.js", file.name: file})
            page.on("pageerror", lambda error: print("page error:", error))
            page.goto(ORIGIN)
            url = page.evaluate("(camera) => window.show(camera)", camera | {"url": ORIGIN + file.name})
            pictures.append(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))
            page.close()
        context.close()
    return pictures


def psnr(first: Image.Image, second: Image.Image, border: float = 0.05) -> float:
    """PSNR in dB of two pictures without their borders, where a file ends and a view repeats the photo's edge."""
    a, b = (np.asarray(image, dtype=np.float64) / 255 for image in (first, second))
    y, x = (int(side * border) for side in a.shape[:2])
    error = (a - b)[y : a.shape[0] - y, x : a.shape[1] - x]
    return float(-10 * np.log10((error**2).mean()))


def _serve(page: Page, files: dict[str, Path]) -> None:
    """Answers the page's requests from files; there is no server."""
    html = '<!doctype html><meta charset="utf-8"><body style="margin:0"><script src="page.js"></script>'

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN)
        if name in files:
            route.fulfill(path=files[name])
        elif name == "":
            route.fulfill(body=html, content_type="text/html")
        else:
            route.fulfill(status=404)

    page.route("**/*", answer)
