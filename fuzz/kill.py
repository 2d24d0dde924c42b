"""Kills commands at random moments (SIGKILL) and checks what they leave: whole files or none, and nothing for ever.

    python fuzz/kill.py --command all --times 20 --seed 0

Each command runs once to its end, to learn how long it takes, and then as often as asked, killed at a random moment: in
three of four runs while it writes. Half of the runs find an older file in their output's place. The exit status is 1 if
a promise was broken.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import av
import torch
from PIL import Image
from safetensors.torch import load_file

from mine.data.sfm.capture import read_capture
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

ROOT = Path(__file__).resolve().parents[1]
MINE = [sys.executable, "-m", "mine"]
FRAMES = 60
TRAIN = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests" / "support")!r})
from pathlib import Path
from tiny_run import Feed, config_for
from mine.network.encoders.timm_encoder import TimmEncoder
from mine.training import batches, train
TimmEncoder.load_imagenet = lambda self: None
batches.training_sets = lambda config: [(Feed(), 1.0)]
train.train(config_for(Path("run"), steps=12, save_every=1, workers=1))
"""


class Command(NamedTuple):
    """A command that is killed."""

    arguments: list[str]
    outputs: list[str]
    """names of the files or folders that it writes, all or none"""
    check: Callable[[Path], None]
    """raises an exception for an output that is not whole"""
    replaces: bool = True
    """whether it replaces an older output, and writes beside it for long enough to be killed there"""


def main() -> None:
    """Parses the arguments, kills, and prints one line for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", choices=["all", *commands(Path(), Path()), "train"], default="all")
    parser.add_argument("--times", type=int, default=20, help="how often each command is killed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        table = commands(*inputs(place))
        for command in [*table, "train"] if options.command == "all" else [options.command]:
            rng = random.Random(f"{options.seed} {command}")
            kill = kill_training if command == "train" else kill_writing
            account, faults = kill(place / command, table.get(command), rng, options.times)
            print(f"{command}: {account}, {len(faults)} broken promises", *faults, sep="\n  ", flush=True)
            broken += len(faults)
    sys.exit(broken > 0)


def inputs(place: Path) -> tuple[Path, Path]:
    """Writes a photo and a scene, and beside them a folder of photos; returns the files of the first two."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from boards import CENTRES, photograph

    photo, scene = place / "photo.png", place / "scene.mpi"
    (place / "photos").mkdir()
    for number, centre in enumerate(CENTRES):
        photograph(centre).save(place / "photos" / f"{number}.png")
    Image.effect_noise((160, 120), 80).convert("RGB").save(photo)
    rgb, sigma = torch.rand(4, 3, 120, 160), torch.ones(4, 1, 120, 160)
    MPI(rgb, sigma, torch.tensor([1.0, 0.5, 0.3, 0.2]), intrinsics((120, 160))).save(scene)
    return photo, scene


def commands(photo: Path, scene: Path) -> dict[str, Command]:
    """The commands that write files, by name."""
    render = [*MINE, "render", str(scene), "--frames", str(FRAMES), "-o"]
    return {
        "render": Command([*render, "v.mp4"], ["v.mp4", "v-depth.mp4"], check_video),
        "folder": Command([*render, "v"], ["v", "v-depth"], check_folder),
        "predict": Command([*MINE, "predict", str(photo), "-o", "v.mpi"], ["v.mpi"], check_scene),
        "export": Command([*MINE, "export", str(scene), "-o", "v.html"], ["v.html"], check_page),
        "colmap": Command(
            [*MINE, "colmap", str(photo.parent / "photos"), "-o", "v"], ["v"], check_capture, replaces=False
        ),
    }


def check_video(path: Path) -> None:
    """A video must have all frames."""
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES, "frames are missing"


def check_folder(path: Path) -> None:
    """A folder must have all frames, each readable."""
    names = sorted(os.listdir(path))
    assert names == [f"{number:06d}.png" for number in range(FRAMES)], "frames are missing"
    for name in names:
        with Image.open(path / name) as image:
            image.load()


def check_scene(path: Path) -> None:
    """A scene must be readable."""
    MPI.open(path)


def check_page(path: Path) -> None:
    """A page must reach its end."""
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), "the page is cut"


def check_capture(path: Path) -> None:
    """A capture must be readable, with all of its pictures."""
    assert len(read_capture(path, (64, 96))) == len(os.listdir(path / "images")) > 2, "pictures are missing"


def run(arguments: list[str], folder: Path, seconds: float | None = None, writing: bool = False) -> bool:
    """Runs a command in a folder and kills it.

    Args:
        arguments: The command.
        folder: Where it runs.
        seconds: When it is killed; None lets it end.
        writing: Count the seconds from when the folder's content first changes.

    Returns:
        Whether it ended by itself.
    """
    before = os.listdir(folder)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=folder, process_group=0, **pipes) as process:  # type: ignore[call-overload]
        while writing and os.listdir(folder) == before and process.poll() is None:
            time.sleep(0.0005)
        try:
            _, text = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            wait_for_children(process.pid)
            return False
    assert process.returncode == 0, text.decode()
    return True


def wait_for_children(group: int) -> None:
    """Waits for the processes of a group: an encoder outlives its killed parent until it has written what it has."""
    with suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            time.sleep(0.02)


def durations(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Seconds that a command takes when nothing stops it: in all, and from when it begins to write."""
    folder.mkdir(parents=True)
    start = time.monotonic()
    with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not os.listdir(folder) and process.poll() is None:
            time.sleep(0.0005)
        writes = time.monotonic()
        assert process.wait() == 0
    return time.monotonic() - start, time.monotonic() - writes


def kill_writing(place: Path, command: Command | None, rng: random.Random, times: int) -> tuple[str, list[str]]:
    """Kills a command that writes files.

    Returns:
        What happened, and the promises that were broken.
    """
    assert command is not None
    seconds, writing = durations(command.arguments, place / "whole")
    faults: list[str] = []
    killed = replaced = left = 0
    for number in range(times):
        folder = place / str(number)
        old, writes = command.replaces and number % 2 == 1, command.replaces and number % 4 > 0
        shutil.copytree(place / "whole", folder) if old else folder.mkdir()
        before = {name: (folder / name).stat().st_ino for name in command.outputs if old}
        at = writing * rng.random() ** 2 if writes else seconds * rng.random()  # early moments: processes end slowly
        killed += not run(command.arguments, folder, at, writes)
        left += any(name.startswith(".") for name in os.listdir(folder))
        shown = {name for name in os.listdir(folder) if not name.startswith(".")}
        new = [name for name in shown if (folder / name).stat().st_ino != before.get(name)]
        replaced += len(new) == len(command.outputs)
        if (new and len(new) < len(command.outputs)) or (old and shown != set(command.outputs)):
            faults.append(f"run {number}, killed after {at:.2f} s: {sorted(shown)}, new {sorted(new)}")
        for name in shown:
            try:
                command.check(folder / name)
            except Exception as error:
                faults.append(f"run {number}, killed after {at:.2f} s: {name}: {error}")
        faults += [f"run {number}: {name} stays" for name in left_by_next_run(folder)]
    return f"{killed} of {times} killed, {replaced} had written, {left} left temporary files", faults


def left_by_next_run(folder: Path) -> list[str]:
    """Names of the temporary files that a run five minutes later leaves where a killed one did."""
    then = time.time() - 300
    for path in folder.iterdir():
        os.utime(path, (then, then))
    code = "from mine.files import replacing\nwith replacing('new.txt') as temporary: temporary.touch()"
    run([sys.executable, "-c", code], folder)
    return [name for name in os.listdir(folder) if name.startswith(".")]


def kill_training(place: Path, command: Command | None, rng: random.Random, times: int) -> tuple[str, list[str]]:
    """Kills a training run at random moments until it ends, as often as it takes for so many kills.

    Returns:
        What happened, and the promises that were broken.
    """
    arguments = [sys.executable, "-c", TRAIN]
    seconds, _ = durations(arguments, place / "whole")
    expected = load_file(place / "whole" / "run" / "mine.safetensors")
    faults: list[str] = []
    killed = ended = 0
    while killed < times:
        folder = place / str(ended)
        folder.mkdir()
        while not run(arguments, folder, rng.uniform(seconds / 2, 1.2 * seconds) if killed < times else None):
            killed += 1
            print(f"train: {killed} of {times} killed", file=sys.stderr, flush=True)
        ended += 1
        found = load_file(folder / "run" / "mine.safetensors")
        if any(not torch.equal(found[name], value) for name, value in expected.items()):
            faults.append(f"run {ended}: another checkpoint than the unbroken run's")
        if not (folder / "run" / "figures.json").is_file():
            faults.append(f"run {ended}: no figures.json")
    return f"{killed} killed, {ended} runs ended with the unbroken run's checkpoint or are listed", faults


if __name__ == "__main__":
    main()
