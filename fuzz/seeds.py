"""Small valid files of each kind that a reader is fuzzed with, and the readers themselves."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image

from mine.errors import InputError

ROOT = Path(__file__).parents[1]


class Reader(NamedTuple):
    """A reader and what it is given."""

    seeds: Callable[[Path], list[Path]]
    """makes valid files in a folder; one of them is changed at a time"""
    read: Callable[[Path], object]
    """reads a changed file in its folder"""


def photos(folder: Path) -> list[Path]:
    """A photo in each format, with EXIF."""
    y, x = np.mgrid[0:24, 0:32]
    image = Image.fromarray(np.stack([x * 7, y * 9, 255 - x * 3], -1).astype(np.uint8))
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.FocalLengthIn35mmFilm] = 28
    details[ExifTags.Base.FocalLength] = 3.0
    details[ExifTags.Base.FocalPlaneXResolution] = 100.0
    exif[ExifTags.Base.Orientation] = 6
    for name in ("a.jpg", "a.png", "a.webp", "a.tiff", "a.avif"):
        image.save(folder / name, exif=exif)
    for name in ("a.gif", "a.bmp", "a.ppm"):
        image.save(folder / name)
    image.save(folder / "lzw.tiff", compression="tiff_lzw")
    image.save(folder / "progressive.jpg", progressive=True, comment="a comment")
    image.save(folder / "comment.gif", comment=b"a comment " * 40)
    image.convert("RGBA").save(folder / "alpha.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("I;16").save(folder / "grey.png")
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image.save(folder / "a.heic")
    return sorted(folder.iterdir())


def depth_maps(folder: Path) -> list[Path]:
    """Depth maps in each format."""
    import OpenEXR

    values = np.linspace(1, 5, 16 * 12, dtype=np.float32).reshape(12, 16)
    levels = (values * 50).astype(np.uint8)
    Image.fromarray(levels).save(folder / "a.png")
    Image.fromarray(levels.astype(np.uint16) * 200).save(folder / "16.png")
    Image.fromarray(values).save(folder / "a.tiff")
    Image.fromarray(values).save(folder / "a.pfm")
    np.save(folder / "a.npy", values)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Z": values}).write(str(folder / "a.exr"))
    return sorted(folder.iterdir())


def portraits(folder: Path) -> list[Path]:
    """Photos of phones with depth inside."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    import portrait_photos

    portrait_photos.apple_jpeg(folder / "apple.jpg", orientation=6)
    portrait_photos.gdepth_jpeg(folder / "gdepth.jpg")
    portrait_photos.dynamic_depth_jpeg(folder / "dynamic.jpg")
    portrait_photos.heic(folder / "a.heic")
    return sorted(folder.iterdir())


def scenes(folder: Path) -> list[Path]:
    """Scenes with and without a photo, in 8 bits and in floats."""
    from mine.scene.camera import intrinsics
    from mine.scene.mpi import MPI

    parts = torch.rand(3, 3, 4, 6), torch.rand(3, 1, 4, 6), torch.tensor([1.0, 0.5, 0.1]), intrinsics((4, 6))
    MPI(*parts, torch.rand(3, 8, 12)).save(folder / "half.mpi")
    MPI(*parts).save(folder / "single.mpi", half=False)
    return sorted(folder.iterdir())


def checkpoints(folder: Path) -> list[Path]:
    """A checkpoint of a small network."""
    from mine.network.architecture import Architecture
    from mine.network.checkpoint import make_network, save_network

    architecture = Architecture("mobilenetv3_small_050", widths=(2,) * 5, bottleneck=(2, 2))
    save_network(make_network(architecture), folder / "a.safetensors", half=True)
    return [folder / "a.safetensors"]


def published(folder: Path) -> list[Path]:
    """Files of torch in both forms, with published keys."""
    weights = {
        "module.encoder.conv1.weight": torch.rand(2, 3, 2, 2),
        "module.encoder.bn1.num_batches_tracked": torch.ones(()),
    }
    state = {"backbone": weights, "decoder": {"module.conv_up1.0.weight": torch.rand(2, 2, 1, 1)}}
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    return sorted(folder.iterdir())


def paths(folder: Path) -> list[Path]:
    """A file of key poses, and paths of other programs."""
    keys = [{"position": [0.1, 0, 0.5 * n], "rotation": [n, 0, 1.5], "focal": 1 + n / 10} for n in range(4)]
    (folder / "a.json").write_text(json.dumps({"frames": 9, "keys": keys, "loop": True}))
    moved = np.tile(np.eye(4), (3, 1, 1))
    moved[:, 0, 3] = 0.1, 0.2, 0.3
    cameras = [{"camera_to_world": matrix.flatten().tolist(), "fov": 50.5, "aspect": 1.5} for matrix in moved]
    own = {"world": "source camera", "focal": 2.1, "shift": [[0.1, 0], [0, 0.1], [0, 0]]}
    (folder / "nerfstudio.json").write_text(json.dumps({"camera_path": cameras, "fps": 24, "mine": own}))
    frames = [{"file_path": "./a", "transform_matrix": matrix.tolist(), "fl_x": 500.5, "w": 640} for matrix in moved]
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}))
    lines = [f"{n} 0.9 0.1 0.2 -0.3 0.1 {n / 10} 0 1 frame {n}.png\n1.5 2.5 -1" for n in range(1, 4)]
    (folder / "images.txt").write_text("# images\n" + "\n".join(lines) + "\n")
    (folder / "cameras.txt").write_text("# cameras\n1 PINHOLE 640 480 500.5 501.5 320 240\n")
    return [folder / name for name in ("a.json", "nerfstudio.json", "transforms.json", "images.txt", "cameras.txt")]


def configurations(folder: Path) -> list[Path]:
    """The configurations of the repository."""
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "params.yaml").write_text("mpi:\n  disparity_start: 1.0\n  disparity_end: 0.001\n")
    return sorted(folder.iterdir())


def captures(folder: Path) -> list[Path]:
    """A capture in COLMAP's binary form."""
    from mine.data.sfm.colmap_library import pycolmap

    files = text_captures(folder)
    pycolmap.Reconstruction(files[0].parent).write(files[0].parent)
    for path in files:
        path.unlink()
    return sorted(files[0].parent.iterdir())


def text_captures(folder: Path) -> list[Path]:
    """A capture in COLMAP's text form."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from colmap_scene import grid_points, write_scene

    write_scene(folder / "a", np.array([[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]]), None, grid_points(3, 2), 0.01)
    return sorted((folder / "a" / "sparse" / "0").iterdir())


def trajectories(folder: Path) -> list[Path]:
    """A camera file in RealEstate10K's format."""
    lines = [f"{n} 0.9 1.6 0.5 0.5 0 0 1 0 0 {n / 10} 0 1 0 0 0 0 1 0" for n in range(3)]
    (folder / "a.txt").write_text("\n".join(["address", *lines]))
    return [folder / "a.txt"]


def measured(folder: Path) -> list[Path]:
    """Photos with measured depth in iBims-1's files, compressed and not."""
    from scipy.io import savemat

    from mine.data.datasets.ibims import MASKS

    data = dict.fromkeys(MASKS, np.ones((6, 8))) | {"rgb": np.full((6, 8, 3), 90, np.uint8)}
    data |= {"depth": np.full((6, 8), 2.5), "calib": np.array([[9.0, 0, 4], [0, 9, 3], [0, 0, 1]])}
    for name, compressed in (("plain", False), ("compressed", True)):
        (folder / name).mkdir()
        savemat(folder / name / "a.mat", {"data": data}, do_compression=compressed)
    return [folder / "plain" / "a.mat", folder / "compressed" / "a.mat"]


def nyu(folder: Path) -> list[Path]:
    """NYU Depth v2's list of photos; the photos themselves are too large."""
    import h5py
    from scipy.io import savemat

    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file.create_dataset("images", (2, 3, 640, 480), np.uint8, chunks=(1, 3, 640, 480), compression=1)
        file.create_dataset("depths", (2, 640, 480), np.float32, chunks=(1, 640, 480), compression=1, fillvalue=1)
    savemat(folder / "splits.mat", {"testNdxs": np.array([[1], [2]])})
    return [folder / "splits.mat"]


def drives(folder: Path) -> list[Path]:
    """Texts of a drive of KITTI: its calibration and its poses."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from kitti_folder import DRIVES, write_drive

    write_drive(folder, DRIVES[0])
    row = "1 0 0 0.5 0 1 0 0 0 0 1 0.25"
    (folder / DRIVES[0][:10] / DRIVES[0] / "poses.txt").write_text(f"{row}\n{row}\n")
    return [folder / DRIVES[0][:10] / "calib_cam_to_cam.txt", folder / DRIVES[0][:10] / DRIVES[0] / "poses.txt"]


def scans(folder: Path) -> list[Path]:
    """Texts of DTU: neighbours of views and a camera."""
    cameras = folder / "Cameras" / "train"
    cameras.mkdir(parents=True)
    (folder / "Rectified" / "scan1_train").mkdir(parents=True)
    (folder / "Cameras" / "pair.txt").write_text("2\n0\n1 1 90.5\n1\n1 0 80.25\n")
    for number in range(2):
        pose = f"1 0 0 {60 * number}\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"
        text = f"extrinsic\n{pose}\nintrinsic\n90.5 0 80.2\n0 90.5 63.7\n0 0 1\n\n425 2.5\n"
        (cameras / f"{number:08d}_cam.txt").write_text(text)
    return [folder / "Cameras" / "pair.txt", cameras / "00000001_cam.txt"]


def photographs(folder: Path) -> list[Path]:
    """An index of photographs with measured disparity."""
    lines = [{"name": "a", "place": "kitchen", "fx": 40.5}, {"name": "a"}]
    (folder / "frames.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    levels = np.linspace(100, 65535, 32 * 48).reshape(32, 48).astype(np.uint16)
    Image.fromarray(levels).save(folder / "a.png")
    Image.fromarray((levels >> 8).astype(np.uint8)).save(folder / "a.jpg")
    return [folder / "frames.jsonl", folder / "a.png", folder / "a.jpg"]


def lenslets(folder: Path) -> list[Path]:
    """A light field of lenslets."""
    pixels = np.arange(42 * 56 * 3).reshape(42, 56, 3) % 251
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "a_eslf.png")
    return [folder / "a_eslf.png"]


def videos(folder: Path) -> list[Path]:
    """A video in two containers."""
    import subprocess

    from mine.ffmpeg import ffmpeg_program

    for name in ("a.mp4", "a.mkv"):
        source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=8:duration=1"]
        subprocess.run([ffmpeg_program(), "-loglevel", "error", *source, str(folder / name)], check=True)
    return [folder / "a.mp4", folder / "a.mkv"]


def _read_depth(path: Path) -> object:
    from mine.scene.depth_maps.read import read_depth

    return read_depth(path, "depth").disparity()


def _read_portrait(path: Path) -> object:
    from mine.scene.depth_maps.read import read_depth

    return read_depth("auto", photo=path)


def _read_photo(path: Path) -> object:
    from mine.scene.photo import read_photo

    return read_photo(path)


def _read_scene(path: Path) -> object:
    from mine.scene.mpi import MPI

    return MPI.open(path)


def _read_checkpoint(path: Path) -> object:
    from mine.network.checkpoint import load_network

    return load_network(path)


def _read_path(path: Path) -> object:
    from mine.output.camera_paths import load

    return load(path.with_name("images.txt") if path.name == "cameras.txt" else path)  # which is read beside it


def _read_configuration(path: Path) -> object:
    from mine.config import EvalConfig, TrainConfig, load_config
    from mine.network.planes.published_checkpoint import disparity_range

    if path.name == "params.yaml":
        return disparity_range(path, 1.0, 0.001)
    return load_config(path, [], EvalConfig if path.name.startswith("eval") else TrainConfig)


def _read_capture(path: Path) -> object:
    from mine.data.sfm.capture import read_capture

    return read_capture(path.parents[2], (32, 48))


def _read_trajectory(path: Path) -> object:
    from mine.data.sfm.trajectory import read_trajectory

    return read_trajectory(path)


def _read_ibims(path: Path) -> object:
    from mine.data.datasets.ibims import Ibims

    return Ibims(path.parent)[0]


def _read_nyu(path: Path) -> object:
    from mine.data.datasets.nyu import Nyu

    return Nyu(path.parent)[0]


def _read_drive(path: Path) -> object:
    from mine.data.datasets.kitti import KittiDrives

    root = path.parents[1] if path.name.startswith("calib") else path.parents[2]
    return KittiDrives(root, (128, 128))[0]


def _read_scan(path: Path) -> object:
    from mine.data.datasets.dtu import Dtu

    return Dtu(path.parents[1 if path.name == "pair.txt" else 2], (128, 128))


def _read_photographs(path: Path) -> object:
    from mine.data.datasets.rgbd import Rgbd

    sample = Rgbd(path.parent, (16, 24), length=2)[0]
    assert all(value.isfinite().all() for value in sample)
    return sample


def _read_video(path: Path) -> object:
    from mine.data.sfm.frames import extract_frames

    with tempfile.TemporaryDirectory() as folder:
        return extract_frames(path, Path(folder) / "frames", 4)


def _read_lenslets(path: Path) -> object:
    from mine.data.datasets.flowers import decode_light_field

    decode_light_field.cache_clear()
    try:
        return decode_light_field(path)
    except OSError as error:  # by which data sets skip a sample
        raise InputError(str(error)) from error


READERS = {
    "photo": Reader(photos, _read_photo),
    "depth": Reader(depth_maps, _read_depth),
    "portrait": Reader(portraits, _read_portrait),
    "scene": Reader(scenes, _read_scene),
    "checkpoint": Reader(checkpoints, _read_checkpoint),
    "published": Reader(published, _read_checkpoint),
    "path": Reader(paths, _read_path),
    "configuration": Reader(configurations, _read_configuration),
    "colmap": Reader(captures, _read_capture),
    "colmap-text": Reader(text_captures, _read_capture),
    "trajectory": Reader(trajectories, _read_trajectory),
    "ibims": Reader(measured, _read_ibims),
    "nyu": Reader(nyu, _read_nyu),
    "kitti": Reader(drives, _read_drive),
    "dtu": Reader(scans, _read_scan),
    "rgbd": Reader(photographs, _read_photographs),
    "flowers": Reader(lenslets, _read_lenslets),
    "video": Reader(videos, _read_video),
}
"""Readers by the name that the command line gives them."""
