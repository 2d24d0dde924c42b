"""What is said before torch is loaded, and what the command line says about itself."""

import json
import os
import pickle
import re
import socket
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from command_lines import OUTCOME
from PIL import Image
from safetensors.numpy import save

import mine
from mine.cli.checks import check_checkpoint
from mine.cli.main import main
from mine.cli.table import COMMANDS
from mine.errors import InputError
from mine.output.camera_paths import PATHS
from mine.output.export import _WRITERS
from mine.output.formats import FORMATS
from mine.output.key_poses import PATH_NAMES
from mine.scene.mpi_file import FORMAT

# Runs many command lines in one process, and prints for each its exit status, its error, and whether torch was loaded.
MANY = f"""{OUTCOME}
for line in json.loads(sys.argv[1]):
    found = outcome(line)
    heavy = {{"torch", "numba", "scipy", "pycolmap", "gradio"}} & set(sys.modules)
    print(json.dumps([*found, sorted(heavy)]))
"""

REFUSED = {
    ("render", "photo.jpg", "-o", "x.html"): "mine render writes no .html files: mine export PHOTO -o x.html does",
    ("render", "photo.jpg", "-o", "x.mpi"): "mine render writes no .mpi files: mine predict PHOTO -o x.mpi does",
    ("render", "photo.jpg", "-o", "x.png"): "x.png is one image: give --stereo, or for single frames",
    ("predict", "photo.jpg", "-o", "x.glb"): "mine predict writes no .glb files: mine export PHOTO -o x.glb does",
    ("export", "photo.jpg", "-o", "x.mp4"): "mine export writes no .mp4 files: mine render PHOTO -o x.mp4 does",
    ("export", "photo.jpg", "-o", "x.html", "--kind", "planes"): "kind planes does not apply to x.html",
    ("eval", "configs/eval-llff.yaml", "data.root=none"): "no data at none (data.root of",
    ("train", "configs/own.yaml", "data.0.root=none"): "no data at none (data.0.root of",
    ("render", "none.jpg"): "no photo at none.jpg",
    ("render", "folder"): "folder is a folder",
    ("render", "-"): "standard input",
    ("render", "https://example.com/cat.jpg"): "https://example.com/cat.jpg is an address",
    ("render", "link.jpg"): "it is a link to gone.jpg",
    ("render", "notes.txt"): "notes.txt is not an image",
    ("render", "pipe.jpg"): "it is a pipe or a device, not a file): save the photo to a file",
    ("export", "/dev/zero", "-o", "a.glb"): "cannot read photo /dev/zero (it is a pipe or a device",
    ("view", "socket.jpg"): "it is a socket or a device, not a file): save the photo to a file",
    ("render", "photo.NEF"): "photo.NEF is a raw photo that cannot be developed (Unsupported file format",
    ("render", "photo.jpg", "--frames", "0"): "frames 0",
    ("render", "photo.jpg", "--frames", "1.5"): "frames '1.5': give a whole number",
    ("render", "photo.jpg", "--frames=abc"): "frames 'abc': give a whole number",
    ("render", "photo.jpg", "--fps", "nan"): "fps nan",
    ("render", "photo.jpg", "-o", "a.gif", "--fps", "60"): "fps 60 is more than .gif holds",
    ("render", "photo.jpg", "-o", "a.gif", "--stereo", "wigglegram", "--fps", "100"): "fps 100 is more than .gif holds",
    ("render", "photo.jpg", "--size", "-5"): "size -5",
    ("render", "photo.jpg", "--size", "20000"): "size 20000",
    ("render", "photo.jpg", "--planes", "1"): "planes 1",
    ("render", "photo.jpg", "--planes", "many"): "planes 'many'",
    ("render", "photo.jpg", "--fov", "200"): "field of view 200",
    ("render", "photo.jpg", "--amount", "inf"): "amount inf",
    ("render", "photo.jpg", "--path", "zigzag"): "no camera path 'zigzag'",
    ("render", "photo.jpg", "--path", "none.json"): "none.json",
    ("render", "photo.jpg", "--path", "bad.json"): "bad.json",
    ("render", "photo.jpg", "-o", "a.xyz"): "a.xyz",
    ("render", "photo.jpg", "-o", "/dev/null"): "is a device",
    ("render", "photo.jpg", "-o", "-"): "give the name of a file",
    ("render", "photo.jpg", "-o", "folder.mp4"): "is a folder",
    ("render", "photo.jpg", "-o", "x" * 250 + ".mp4"): "longer than 255 bytes",
    ("render", "photo.jpg", "-o", "frames"): "folder frames-depth holds other files",
    ("render", "photo.jpg", "--stereo", "3d"): "unknown stereo layout '3d'",
    ("render", "photo.jpg", "--stereo", "sbs", "--eye-distance", "0"): "eye distance 0",
    ("render", "photo.jpg", "--eye-distance", "2"): "give --stereo",
    ("render", "photo.jpg", "-o", "a.jpg", "--stereo", "sbs", "--fps", "30"): "--fps is for videos",
    ("render", "photo.jpg", "-o", "a.mp4", "--stereo", "quilt"): "a quilt is one image",
    ("render", "photo.jpg", "-o", "a.png", "--stereo", "quilt", "--quilt", "8by6"): "quilt '8by6'",
    ("render", "photo.jpg", "-o", "a.webm", "--stereo", "vr180"): "headsets read .mp4",
    ("render", "photo.jpg", "--path", "swing+zag"): "no camera path 'zag'",
    ("render", "photo.jpg", "--path", "far.json"): "scale its motion with --amount",
    ("render", "photo.jpg", "--path", "images.txt"): "COLMAP's images.txt",
    ("render", "photo.jpg", "--easing", "slow"): "unknown easing 'slow'",
    ("render", "photo.jpg", "--focus", "nearby"): "focus 'nearby'",
    ("render", "photo.jpg", "--aperture", "2"): "give --focus",
    ("render", "photo.jpg", "--focus", "near", "--aperture", "11"): "aperture 11",
    ("render", "photo.jpg", "--focus", "near", "--stereo", "sbs"): "--focus does not go with --stereo",
    ("render", "photo.jpg", "--save-path", "path.csv"): "path.csv",
    ("render", "photo.jpg", "--codec", "divx"): "unknown codec 'divx'",
    ("render", "photo.jpg", "-o", "a.gif", "--codec", "prores"): "prores cannot be written to a.gif",
    ("render", "photo.jpg", "--depth-map", "none.png"): "no depth map at none.png",
    ("render", "photo.jpg", "--depth-map", "wide.npy"): "of another shape",
    ("render", "photo.jpg", "--depth-map", "nan.npy"): "0 % of its pixels",
    ("render", "photo.jpg", "--depth-map", "flat.npy"): "everywhere",
    ("render", "photo.jpg", "--depth-map", "minus.npy", "--depth-kind", "depth"): "depths down to -1",
    ("render", "photo.jpg", "--depth-map", "notes.txt"): "is no image, EXR or npy file",
    ("render", "photo.jpg", "--depth-map", "auto"): "photo.jpg holds no depth map",
    ("render", "photo.jpg", "--depth-map", "minus.npy", "--depth-scale", "0"): "depth scale 0",
    ("render", "photo.jpg", "--depth-map", "minus.npy", "--depth-scale", "1"): "give the depth kind",
    ("render", "photo.jpg", "--depth-map", "minus.npy", "--depth-model", "a/b"): "leave out one of them",
    ("render", "photo.jpg", "--depth-map", "minus.npy", "--checkpoint", "a.pth"): "leave out one of the two",
    ("render", "photo.jpg", "--depth-kind", "depth"): "give one with --depth-map",
    ("render", "photo.jpg", "--depth-invert"): "give one with --depth-map",
    ("render", "scene.mpi", "--depth-map", "minus.npy"): "--depth-map can only be given with a photo",
    ("render", "photo.jpg", "--depth-model", "a/b", "--depth-invert"): "leave it out with --depth-model",
    ("render", "photo.jpg", "--depth-model", "a", "b"): "give one name",
    ("render", "photo.jpg", "--depth-model", "../no such/model"): "neither a folder nor a name",
    ("render", "photo.jpg", "--depth-model", "notes.txt"): "neither a folder nor a name",
    ("render", "photo.jpg", "--depth-model", "folder"): "no configuration of depth model folder: at",
    ("render", "photo.jpg", "--depth-model", "words"): "is BertModel, not for depth",
    ("render", "photo.jpg", "--depth-model"): "Depth-Anything-V2-Small-hf is not in the cache and cannot be fetched",
    ("predict", "photo.jpg", "--depth-map", "none.exr"): "no depth map at none.exr",
    ("predict", "photo.jpg", "-o", "/dev/null"): "is a device",
    ("predict", "photo.jpg", "-o", "folder"): "is a folder",
    ("export", "photo.jpg", "-o", "x" * 252 + ".html"): "longer than 255 bytes",
    ("render", "photo.jpg", "--checkpoint", "none.pth"): "no checkpoint at none.pth",
    ("render", "photo.jpg", "--checkpoint", "folder"): "no checkpoint at folder: it is a folder; give the file of one",
    ("render", "photo.jpg", "--checkpoint", "pointer.pth"): "pointer of Git LFS",
    ("render", "photo.jpg", "--checkpoint", "page.safetensors"): "it is a web page",
    ("render", "photo.jpg", "--checkpoint", "photo.jpg"): "it is a picture",
    ("render", "photo.jpg", "--checkpoint", "notes.txt"): "it is text",
    ("render", "photo.jpg", "--checkpoint", "state.pth"): 'it lacks "backbone" and "decoder": this is not a published',
    ("render", "photo.jpg", "--checkpoint", "list.pth"): "it is a pickle of protocol 4, which torch.save does not make",
    ("demo", "--checkpoint", "zip.pth"): "it is an archive of other files: unpack it",
    ("render", "photo.jpg", "--checkpoint", "cut.pth"): "cut.pth is not a readable checkpoint: it cannot be read",
    ("render", "photo.jpg", "--checkpoint", "other.pth"): "it is not of format mine.network/1; give a .safetensors",
    ("render", "photo.jpg", "--checkpoint", "scene.mpi"): "scene.mpi is not a checkpoint: it is a scene file of MINE",
    ("predict", "photo.jpg", "--checkpoint", "cut.mpi"): "cut.mpi is not a readable checkpoint (",
    ("export", "cut.mpi", "-o", "a.glb"): "cut.mpi is not a readable scene file (",
    ("view", "other.mpi"): "other.mpi is not a scene file: it is not of format mine.mpi/1; make one with",
    ("export", "zip.mpi", "-o", "a.glb"): "zip.mpi is not a readable scene file: it is in torch's format; make one",
    ("demo", "--checkpoint", "empty.pth"): "it is empty",
    ("render", "photo.mpi"): "photo.mpi is not a readable scene file: it is a picture",
    ("export", "pointer.mpi", "-o", "a.html"): "pointer of Git LFS",
    ("render", "none.mpi"): "no scene file at none.mpi",
    ("predict", "none.jpg"): "no photo at none.jpg",
    ("predict", "photo.jpg", "-o", "a.txt"): "a.txt",
    ("predict", "photo.jpg", "--fov", "0"): "field of view 0",
    ("export", "photo.jpg", "-o", "x.obj"): "x.obj",
    ("export", "photo.jpg", "-o", "x.glb", "--kind", "points"): "cannot hold 'points': choose mesh or planes",
    ("export", "photo.jpg", "-o", "x.ply", "--size", "1"): "size 1",
    ("export", "photo.jpg", "-o", "x.html", "--size", "100"): "leave it out",
    ("export", "none.jpg", "-o", "x.glb"): "no photo at none.jpg",
    ("export", "none.jpg", "-o", "x.html"): "no photo at none.jpg",
    ("view", "none.jpg"): "no photo at none.jpg",
    ("view", "notes.txt"): "notes.txt is not an image",
    ("demo", "--port", "99999"): "port 99999",
    ("demo", "--port", "http"): "port 'http'",
    ("demo", "--auth", "me"): "has no colon",
    ("demo", "--auth", "me:"): "or lacks one: give NAME:PASSWORD",
    ("render", "photo.jpg", "--fps", "1e-4"): "fps 1e-4 is out of range: give frames per second above 0.01",
    ("render", "photo.jpg", "-o", ".mp4"): "cannot write .mp4: that is an ending alone, give a name before it",
    ("demo", "--auth-file", "none.txt"): "no password file at none.txt",
    ("demo", "--auth-file", "notes.txt"): "notes.txt has no colon",
    ("demo", "--auth", "me:pw", "--auth-file", "notes.txt"): "give one of them",
    ("demo", "--url", "photos.example.com"): "--url 'photos.example.com' is no address",
    ("demo", "--workers", "0"): "workers 0 is out of range",
    ("demo", "--checkpoint", "none.pth"): "no checkpoint at none.pth",
    ("colmap", "none", "-o", "a"): "no folder none",
    ("colmap", "folder", "-o", "folder"): "folder exists",
    ("colmap", "folder", "-o", "a", "--fps", "0"): "fps 0",
    ("train", "none.yaml"): "no configuration at none.yaml",
    ("train", "folder"): "folder is a folder",
    ("eval", "none.yaml"): "no configuration at none.yaml",
    ("eval", "photo.jpg", "-o", "a.txt"): "a.txt",
    ("eval", "photo.jpg", "--checkpoint", "none.pth"): "no checkpoint at none.pth",
    ("rendr", "photo.jpg"): "did you mean render?",
    ("render",): "PHOTO must be given; see mine render --help",
    ("export", "photo.jpg"): "-o FILE must be given",
    ("colmap",): "IMAGES and -o FOLDER must be given",
    ("render", "photo.jpg", "--dept"): "no option --dept: did you mean --depth?",
    ("predict", "photo.jpg", "--plane=3"): "no option --plane: did you mean --planes?",
    ("render", "photo.jpg", "--frames"): "--frames needs a value",
    ("render", "photo.jpg", "--frames", "--size", "9"): "--frames needs a value",
    ("render", "photo.jpg", "-o", "-x.mp4"): "give -o ./-x.mp4",
    ("render", "photo.jpg", "--output", "-x.mp4"): "give --output=-x.mp4",
    ("render", "-x.jpg"): "a file of that name is given as ./-x.jpg",
    ("render", "photo.jpg", "b.jpg"): "b.jpg is one argument too many",
    ("render", "photo.jpg", "--depth", "5"): "--depth takes no value",
    ("render", "photo.jpg", "--no-depth=5"): "--no-depth takes no value",
    ("render", "photo.jpg", "--depth-kind", "deep"): "--depth-kind deep is not possible: choose auto, disparity, depth",
    ("render", "--focus", "near"): "PHOTO must be given",
    ("render", "photo.jpg", "b.jpg", "--stereo", "sbs", "--depth-model"): "b.jpg is one argument too many",
    ("render", "photo.jpg", "--eye-distnce", "3"): "did you mean --eye-distance?",
    ("predict", "photo.jpg", "--frames", "3"): "no option --frames: leave it out",
    ("train", "a.yaml", "--steps", "3"): "no option --steps: settings of CONFIG are given as steps=3;",
    ("train", "a.yaml", "--held-out.every=4", "--no-resume"): "are given as held_out.every=4;",
    ("eval", "a.yaml", "--planes"): "are given as planes=VALUE;",
    ("train", "a.yaml", "-n", "3"): "no option -n: leave it out",
    (
        "predict",
        "photo.jpg",
        "--size",
        "5000",
    ): "size 5000 is out of range: give the longest side in pixels, 16 to 4096",
    ("render", ""): "an argument is empty",
    ("render", "photo.jpg", "-o", ""): "an argument is empty",
    ("render", "file:///tmp/cat.jpg"): "give its name alone, /tmp/cat.jpg",
    ("render", "cut.jpg"): "cut.jpg is damaged or cut short",
    ("view", "cut.jpg"): "cut.jpg is damaged or cut short",
    ("export", "small.png", "-o", "a.glb"): "small.png has 9x9 pixels: at least 16 a side are needed",
    ("predict", "small.png"): "small.png has 9x9 pixels",
    ("render", "page.jpg"): "page.jpg is a web page, saved in place of the file",
    ("predict", "pointer.jpg"): "pointer.jpg is a pointer of Git LFS",
    ("view", "empty.jpg"): "empty.jpg is empty: copy or download it again",
    ("render", "drawing.svg"): "drawing.svg is a drawing (SVG): save it as PNG",
    ("render", "photo.jpg", "-o", "a.jpg", "--stereo", "sbs", "--path", "circle"): "--path is for videos",
    ("render", "photo.jpg", "-o", "a.png", "--stereo", "quilt", "--loop"): "--loop is for videos",
    ("render", "photo.jpg", "-o", "a.gif", "--stereo", "wigglegram", "--easing", "in"): "leave out --easing",
    ("render", "photo.jpg", "-o", "a.webp", "--stereo", "wigglegram", "--frames", "9"): "leave out --frames",
    ("demo", "--workers", "many"): "workers 'many': give a whole number",
    ("demo", "--host", "no such host"): "cannot listen on no such host",
    ("colmap", "photo.jpg", "-o", "a"): "photo.jpg is one picture",
    ("train", "llff"): "did you mean configs/llff.yaml?",
    ("eval", "configs/eval-lff.yaml"): "did you mean configs/eval-llff.yaml?",
    ("train", "odd/twice.yaml"): "line 3 gives steps again: leave one of them out",
    ("train", "odd/tabs.yaml"): "line 2: found character '\\t' that cannot start any token; indent by spaces",
    ("train", "configs/own.yaml", "stpes=3"): "unknown configuration key 'stpes': did you mean steps? Known here are",
    ("train", "configs/own.yaml", "data.0.kind=colmpa"): "data.0.kind is 'colmpa': did you mean colmap? Choose colmap,",
    ("train", "configs/own.yaml", "data.0.kind=[colmap]"): "data.0.kind is ['colmap']: did you mean colmap?",
    ("train", "configs/own.yaml", "data.0.rot=."): "unknown configuration key 'data.0.rot': did you mean root?",
    ("train", "configs/own.yaml", "data.0.share=0"): "data.0.share is 0.0: give a number above 0",
    ("train", "configs/own.yaml", "data.0.share=many"): "data.0.share is 'many': give a number",
    ("train", "configs/own.yaml", "data.0.scenes=street"): "data.0.scenes is 'street': give a list",
    ("train", "configs/own.yaml", "data.0=colmap"): "data.0 must be a section of keys, not 'colmap'",
    ("train", "configs/own.yaml", "data=[]"): "own.yaml has no training data: give at least one source",
    ("train", "configs/own.yaml", "data.0.kind=nyu"): "nyu is for evaluation alone: train on another kind of data",
    ("train", "configs/own.yaml", "data.0.root=folder"): "no capture in folder: give a folder with images/",
    (
        "train",
        "configs/own.yaml",
        "data.0.root=captures",
        "data.0.scenes=[stret]",
    ): "did you mean street?",
    ("train", "configs/own.yaml", "data.0.root=captures", "data.0.scenes=[street]"): "street has no sparse/0",
    ("train", "configs/own.yaml", "learning_rate=.nan"): "learning_rate is nan: give a number, above 0",
    (
        "train",
        "configs/own.yaml",
        "encoder_learning_rate=-1",
    ): "encoder_learning_rate is -1.0: give a number",
    ("train", "configs/llff-small.yaml", "data=[{kind: synthetic}]"): "(held_out.data.root of",
    ("train", "configs/own.yaml", "ema=1.5"): "ema is 1.5: give a decay, 0 or more and below 1",
    ("train", "configs/own.yaml", "decay_steps=[9, 3]"): "decay_steps is [9, 3]: give ascending steps",
    ("train", "configs/own.yaml", "plane_losses.ssim=-1"): "plane_losses.ssim is -1.0: give a weight, 0 or more",
    ("train", "configs/own.yaml", "architecture.widths=[1, 2]"): "widths is (1, 2): give 5 numbers of channels",
    ("train", "configs/own.yaml", "architecture.decoder=disparty"): "did you mean disparity? Choose planes, disparity",
    ("train", "configs/own.yaml", "device=gpu"): "device is 'gpu': choose auto, cpu, cuda",
    ("train", "configs/own.yaml", "precision=float32"): "precision is 'float32': choose fp32, bf16, fp16",
    ("train", "configs/shipped.yaml", "data=[{kind: synthetic, textures: gone}]"): "no folder of textures at gone",
    ("eval", "configs/eval-own.yaml", "data.kind=rgbd"): "rgbd has no second views to evaluate on",
    ("eval", "configs/eval-own.yaml", "size=[0, 9]"): "size is [0, 9]: give height and width in multiples of 128",
    ("render", "photo.jpg", "--path", "swng"): "no camera path 'swng': did you mean swing? Choose swing,",
    ("render", "photo.jpg", "--codec", "h265"): "unknown codec 'h265': choose h264, hevc",
    ("train", "configs/own.yaml", "steps"): "give steps=VALUE",
    ("train", "configs/own.yaml", "data.0.root=.", "stpes=3"): "unknown configuration key 'stpes'",
    ("train", "configs/own.yaml", "data.0.root=.", "steps=abc"): "steps is 'abc': give a whole number",
    ("train", "configs/own.yaml", "batch=0"): "batch is 0: give at least 1",
    ("train", "configs/own.yaml", "precision=fp8"): "precision is 'fp8': choose fp32, bf16, fp16",
    ("train", "configs/own.yaml", "data.0.root=.", "start=none.pth"): "no checkpoint at none.pth",
    ("train", "configs/own.yaml", "data.0.root=.", "output=notes.txt"): "notes.txt is not a folder that can be written",
    ("eval", "configs/eval-own.yaml", "planes=1"): "planes is 1: give at least 2",
    ("eval", "configs/own.yaml"): "own.yaml is a configuration of mine train: give one of mine eval",
    ("demo", "now"): "now is one argument too many",
}


def write_tensors(folder: Path) -> None:
    """Writes files in safetensors' and torch's formats that are neither scenes nor checkpoints."""
    for name in ("zip.pth", "zip.mpi"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("notes.txt", "no weights")
    torch.save({"state_dict": {}}, folder / "state.pth")
    (folder / "cut.pth").write_bytes((folder / "state.pth").read_bytes()[:-9])
    (folder / "list.pth").write_bytes(pickle.dumps(["a"], protocol=4))
    for name in ("other.pth", "other.mpi"):
        (folder / name).write_bytes(save({"rgb": np.zeros(1, np.float32)}))
    (folder / "cut.mpi").write_bytes((folder / "scene.mpi").read_bytes()[:-2])


def test_mistakes_are_told_in_one_line_before_anything_heavy_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("photo.jpg", "photo.mpi"):
        (tmp_path / name).write_bytes(Path(__file__).parents[2].joinpath("data/samples/cat.jpg").read_bytes())
    for name in ("pointer.pth", "pointer.mpi", "pointer.jpg"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "page.safetensors").write_text("\n<!DOCTYPE html><html>Sign in</html>")
    for name in ("empty.pth", "empty.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:2000])
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><html>Sign in</html>")
    (tmp_path / "drawing.svg").write_text("<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>")
    Image.new("RGB", (9, 9)).save(tmp_path / "small.png")
    for folder in ("folder", "odd", "captures", "captures/street"):
        (tmp_path / folder).mkdir()
    (tmp_path / "odd" / "twice.yaml").write_text("output: a\nsteps: 1\nsteps: 2\n")
    (tmp_path / "odd" / "tabs.yaml").write_text("output: a\n\tsteps: 1\n")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "frames-depth").mkdir()
    (tmp_path / "frames-depth" / "dear.jpg").touch()
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")  # a longer name would be too long for a socket
    (tmp_path / "photo.NEF").write_bytes(bytes(100))
    (tmp_path / "bad.json").write_text('{"frames": 0, "keys": []}')
    (tmp_path / "a.pth").touch()
    (tmp_path / "scene.mpi").write_bytes(save({"rgb": np.zeros(1, np.float32)}, {"format": FORMAT}))
    write_tensors(tmp_path)
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "config.json").write_text('{"architectures": ["BertModel"]}')
    ramp = np.linspace(-1, 1, 30 * 45).reshape(30, 45)
    for name, values in {"wide": ramp[:5], "nan": ramp * np.nan, "flat": 0 * ramp + 3, "minus": ramp}.items():
        np.save(tmp_path / f"{name}.npy", np.repeat(values, 2, 0))
    pose = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    moved = [1, 0, 0, 900, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    cameras = [{"camera_to_world": matrix, "fov": 50} for matrix in (pose, moved)]
    (tmp_path / "far.json").write_text(json.dumps({"camera_path": cameras}))
    (tmp_path / "images.txt").write_text("1 2 3")
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-c", MANY, json.dumps(list(REFUSED))]
    hub = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}  # nothing is fetched
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ | hub)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    for (line, told), (status, error, loaded) in zip(REFUSED.items(), results, strict=True):
        assert status == 2 and error.count("\n") == 1 and error.startswith("mine: ") and told in error, (line, error)
        assert loaded == [], line
    assert sorted(tmp_path.rglob("*")) == before


def test_names_known_without_torch_are_those_of_the_modules() -> None:
    assert tuple(PATHS) == PATH_NAMES
    known = {(ending, kind) for ending, kinds in FORMATS.items() for kind in kinds}
    assert known - {(".html", "viewer")} == set(_WRITERS)


@pytest.mark.parametrize("arguments", [["--version"], ["-V"], ["version"]])
def test_version(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mine", *arguments])
    main()
    assert capsys.readouterr().out == f"mine {mine.__version__}\n"


def shown(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What `mine ARGUMENTS` prints."""
    monkeypatch.setattr(sys, "argv", ["mine", *arguments])
    try:
        main()
    except SystemExit as end:
        assert not end.code
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_defaults_and_plain_values(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown([name, "--help"], monkeypatch, capsys)
    assert shown(["help", name], monkeypatch, capsys) == text
    assert "None" not in text and "{" not in text.replace('{"frames"', "").replace('[{"position"', "")
    assert text.count(f"  mine {name}") == len(COMMANDS[name].examples) >= 1
    assert "--debug" in text


def test_general_help_names_its_own_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(["help"], monkeypatch, capsys)
    assert "--version" in text and "--debug" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_use_options_that_there_are(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown([name, "--help"], monkeypatch, capsys).split("Add --debug", 1)[1]
    for example in COMMANDS[name].examples:
        for option in re.findall(r"(?<= )--?[a-z-]+", example):
            assert option in text, (example, option)


@pytest.mark.parametrize("name", COMMANDS)
def test_lines_of_help_are_filled(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    described = shown([name, "--help"], monkeypatch, capsys).partition("--debug")[2].splitlines()
    width = max(map(len, described))
    for line, following in pairwise(described):
        word = following.strip("│ ").split(" ")[0]
        indent = following.find(word) if word else 0
        option_alone = line.strip("│ ").startswith("-") and "  " not in line.strip("│ ")
        if indent > 8 and line[indent:].strip("│ ") and not option_alone:
            assert len(line.rstrip("│ ")) + len(word) + 1 > width - 2, (line, following)


@pytest.mark.parametrize("name", ["mine.safetensors", "checkpoint.pth"])
def test_the_checkpoint_in_a_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=re.escape(f"it is a folder; give the file in it, {tmp_path / name}")):
        check_checkpoint(tmp_path)
