"""Cost of the web viewer: texture reads per pixel, and frames per second in headless Chromium's software rendering.

python benchmarks/viewer.py photo.jpg --size 512 768
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

import mine
from mine.errors import exit_on_input_error
from mine.output.export import export
from mine.output.web.pack import decode_density, encode_density, source_transmittance
from mine.scene.mpi import MPI

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from chromium import ARGUMENTS, CHROMIUM

MIN_TRANSMITTANCE, MIN_WEIGHT = 2e-3, 2e-4
"""As in viewer/src/shaders.ts: where a ray ends, and what is too faint to read a colour for."""

FLY = """async (seconds) => {
  const canvas = document.getElementById("view"), start = performance.now();
  let frames = 0, pixels = 0;
  dispatchEvent(new KeyboardEvent("keydown", { code: "KeyD" }));
  while (performance.now() - start < 1000 * seconds) {
    await new Promise(requestAnimationFrame);
    frames++, pixels += canvas.width * canvas.height;
  }
  dispatchEvent(new KeyboardEvent("keyup", { code: "KeyD" }));
  return [frames / seconds, pixels / frames];
}"""


def reads(scene: MPI) -> tuple[float, float]:
    """Mean texture reads per pixel at the source camera: of density, and of colour and detail."""
    q = decode_density(encode_density(scene.sigma, scene.disparity))
    transmittance = source_transmittance(q, scene.K)
    traversed = transmittance >= MIN_TRANSMITTANCE
    visible = traversed & (transmittance * (1 - torch.exp(-q)) > MIN_WEIGHT)
    return float(traversed.float().sum(0).mean()), 2 * float(visible.float().sum(0).mean())


def main() -> None:
    """Prints reads per pixel, frames per second and the size of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 768), help="H W of the planes, and of the window")
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    height, width = arguments.size
    scene = mine.load().predict(arguments.photo, size=(height, width))
    density, colour = reads(scene)
    print(
        f"{len(scene.disparity)} planes: {density:.1f} reads of density and {colour:.1f} of colour and detail a pixel"
    )
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder, "scene.html")
        export(scene, page_file)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        page.goto(page_file.as_uri())
        page.evaluate("mineViewer.ready")
        rate, pixels = page.evaluate(FLY, arguments.seconds)
        print(f"{rate:.0f} frames/s of {pixels:.0f} pixels in motion, in a window of {width}x{height}")
        print(f"{page_file.stat().st_size / 1e6:.1f} MB")
        browser.close()


if __name__ == "__main__":
    with exit_on_input_error("viewer.py"):
        main()
