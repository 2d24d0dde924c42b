"""Packs the demo's samples: their scenes, videos, depth and moving thumbnails, in demo/samples. About a minute.

python scripts/pack_samples.py
"""

import json
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

import mine
from mine.demo.contact_sheet import write_contact_sheet
from mine.demo.samples import TITLES, Sample
from mine.output.depth_image import write_depth_image
from mine.output.video import default_size, render_video
from mine.output.web.pack import pack
from mine.scene.depth import near_depth


def pack_sample(model: mine.Model, sample: Sample) -> None:
    """Writes all files of a sample but its photo."""
    scene = model.predict(sample.photo).to("cpu")
    packed = pack(scene)
    sample.scene.write_text(json.dumps(packed, separators=(",", ":")), encoding="utf-8")
    write_contact_sheet(scene, sample.motions, lambda done: None)
    with TemporaryDirectory() as folder:
        depth, film = Path(folder) / "depth.png", Path(folder) / "film.mp4"
        write_depth_image(scene, depth)
        Image.open(depth).save(sample.depth, quality=85)
        path = mine.paths.swing(frames=96, depth=near_depth(scene))
        render_video(scene, path, film, fps=24, size=default_size(scene.size, 800))
        # Smaller than what users get: it comes with the package.
        command = [get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", film, "-c:v", "libx264", "-preset", "veryslow"]
        command += ["-crf", "25", "-movflags", "+faststart", sample.video]
        subprocess.run(command, check=True)


def main() -> None:
    """Packs all samples and prints their sizes."""
    model = mine.load()
    for name in TITLES:
        sample = Sample(name)
        pack_sample(model, sample)
        size = sum(file.stat().st_size for file in sample.folder.glob(f"{name}*"))
        print(f"{name}: {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()  # there are no options but --help
    main()
