"""Writes a photo's scene in every format, opens each with programs of others, and prints what they say.

    python scripts/formats/prove.py data/samples/astronaut.jpg --work /tmp/formats --pictures docs/formats

It needs npm, Chromium, ffmpeg with ffprobe, and exrheader (Debian: openexr), and installs npm packages into the work
folder. Pictures of what the programs show are written beside our own views.
"""

import argparse
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pycolmap
import torch
from PIL import Image
from splat_page import install, psnr, take_pictures

import mine
from mine.output.lens import make_lens
from mine.scene.camera import pose
from mine.scene.pixels import to_pixels

MOVE = (-0.08, 0.02, -0.05)
"""Translation of the compared views: a swing's farthest camera, a little lower and nearer."""

WIDTH = 480
"""Width in pixels of a picture in the sheets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files and the npm packages")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--only", default="models,depth,stereo,videos,paths,lens", help="parts, with commas between")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.pictures.mkdir(parents=True, exist_ok=True)
    scene = mine.load().predict(options.photo)
    for part in options.only.split(","):
        globals()[f"prove_{part}"](scene, options.work.resolve(), options.pictures)


def prove_models(scene: mine.MPI, work: Path, pictures: Path) -> None:
    """The Khronos validator on .glb; three.js and Spark show .glb, .ply and .spz from a camera that has moved."""
    files = {"mesh.glb": "mesh", "planes.glb": "planes", "splats.ply": "splats", "splats.spz": None}
    for name, kind in files.items():
        mine.export(scene, work / name, kind)
    install(work)
    run("node", "validate.mjs", "mesh.glb", "planes.glb", cwd=work)
    size, T = scene.size, pose(translation=torch.tensor(MOVE))
    K = scene.intrinsics(size)
    own = picture(scene.render(T, K, size).rgb[0])
    shown = take_pictures(work, [work / name for name in files], T, K, size)
    for name, image in zip(files, shown, strict=True):
        print(f"{name}: {(work / name).stat().st_size / 1e6:.1f} MB, {psnr(own, image):.1f} dB to our own view")
    sheet([own, *shown[:3]], pictures / "models.jpg")


def prove_depth(scene: mine.MPI, work: Path, pictures: Path) -> None:
    """OpenCV reads the PNG, OpenEXR and its exrheader the EXR: both must hold the same depth."""
    for name in ("depth.png", "depth.exr"):
        mine.export(scene, work / name)
    png = cv2.imread(str(work / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert png is not None and scene.photo is not None
    with Image.open(work / "depth.png") as image:
        disparity = png / 65535 * float(image.text["largest_disparity"])  # type: ignore[attr-defined]
    with OpenEXR.File(str(work / "depth.exr")) as file:
        error = np.abs(1 / file.channels()["Z"].pixels - disparity).max()
    values = len(np.unique(png))
    print(f"depth.png in OpenCV: {png.dtype} {png.shape}, {values} values, at most {error:.1e} from 1 / depth.exr")
    run("exrheader", work / "depth.exr")
    level = (png.astype(np.float32) - png.min()) / (float(png.max()) - png.min()) * 255
    sheet([picture(scene.photo), Image.fromarray(level.astype(np.uint8)).convert("RGB")], pictures / "depth.jpg")


def prove_stereo(scene: mine.MPI, work: Path, pictures: Path) -> None:
    """Pillow opens the stills; ffmpeg's stereo3d makes the same anaglyph of our pair."""
    stills = {}
    for layout in ("sbs", "half-sbs", "over-under", "anaglyph", "dubois", "vr180", "quilt", "wigglegram"):
        name = f"{layout}.{'gif' if layout == 'wigglegram' else 'png'}"
        written = mine.render_stereo(
            scene, work / name, layout, eye_distance=2.5, size=1440 if layout == "quilt" else None
        )
        with Image.open(written) as image:
            stills[layout] = image.convert("RGB")
            frames, (width, height) = getattr(image, "n_frames", 1), image.size
            print(f"{written.name}: {image.format} {width}x{height}, {frames} frames")
    ffmpeg = ["ffmpeg", "-v", "error", "-y", "-i", str(work / "sbs.png")]
    run(*ffmpeg, "-vf", "format=rgb24,stereo3d=sbsl:arcd", work / "arcd.png")
    with Image.open(work / "arcd.png") as theirs:
        print(f"dubois against ffmpeg's stereo3d=sbsl:arcd: {psnr(stills['dubois'], theirs.convert('RGB'), 0):.1f} dB")
    sheet([stills[name] for name in ("sbs", "anaglyph", "dubois")], pictures / "stereo.jpg")
    sheet([stills[name] for name in ("vr180", "quilt")], pictures / "displays.jpg")


def prove_videos(scene: mine.MPI, work: Path, pictures: Path) -> None:
    """What ffprobe says of every kind of video."""
    path = mine.paths.swing(frames=12)
    for name, codec in (
        ("a.mp4", None), ("a.mov", None), ("a.mkv", None), ("a.webm", None), ("a.gif", None), ("a.apng", None),
        ("hevc.mp4", "hevc"), ("av1.webm", "av1"), ("prores.mov", "prores"),
    ):  # fmt: skip
        mine.render_video(scene, path, work / name, codec=codec)
        probe(work / name)
    for layout, name in (("sbs", "sbs.mp4"), ("over-under", "over-under.mp4"), ("vr180", "vr180.mp4")):
        mine.render_stereo(scene, work / name, layout, path=path)
        probe(work / name)


def prove_paths(scene: mine.MPI, work: Path, pictures: Path) -> None:
    """COLMAP reads images.txt; cameras stand where the path says."""
    path = mine.paths.as_path(mine.paths.circle(frames=12))
    (work / "model").mkdir(exist_ok=True)
    mine.paths.save_path(path, scene, work / "model" / "images.txt")
    K, (height, width) = scene.intrinsics(scene.size), scene.size
    (work / "model" / "cameras.txt").write_text(f"1 PINHOLE {width} {height} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}\n")
    (work / "model" / "points3D.txt").write_text("")
    model = pycolmap.Reconstruction(work / "model")
    centres = torch.linalg.inv(path.poses)[:, :3, 3].numpy()
    error = max(np.abs(model.images[i + 1].projection_center() - c).max() for i, c in enumerate(centres))
    print(f"images.txt in COLMAP {pycolmap.__version__}: {model.num_images()} images, centres {error:.1e} apart")


def prove_lens(scene: mine.MPI, work: Path, pictures: Path) -> None:
    """Three frames of a focus pull."""
    still = mine.paths.CameraPath.of(torch.eye(4).repeat(3, 1, 1))
    from mine.output.video import render_path

    lens = make_lens(scene, 2.5, (0, 1), 3)
    sheet([picture(view.rgb[0]) for view in render_path(scene, still, scene.size, lens=lens)], pictures / "focus.jpg")


def probe(file: Path) -> None:
    """Prints what ffprobe finds in a video."""
    entries = "stream=codec_name,profile,pix_fmt,width,height,nb_read_frames:stream_side_data"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", str(file)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["streams"][0]
    side = [
        " ".join(str(data[key]) for key in ("side_data_type", "type", "projection") if key in data)
        for data in found.pop("side_data_list", [])
    ]
    print(f"{file.name}: {' '.join(map(str, found.values()))}{'; ' if side else ''}{'; '.join(side)}")


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Runs a program; a failure ends the script."""
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


def picture(rgb: torch.Tensor) -> Image.Image:
    """An image (3, H, W) in [0, 1]."""
    return Image.fromarray(to_pixels(rgb))


def sheet(images: list[Image.Image], out: Path) -> None:
    """Writes images side by side, of the same height."""
    height = min(WIDTH * images[0].height // images[0].width, WIDTH)
    scaled = [
        image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS) for image in images
    ]
    whole = Image.new("RGB", (sum(image.width for image in scaled) + 4 * (len(scaled) - 1), height), "white")
    left = 0
    for image in scaled:
        whole.paste(image, (left, 0))
        left += image.width + 4
    whole.save(out, quality=90)


if __name__ == "__main__":
    main()
