"""How commands end: signals, a standard output that cannot be written, and SIGKILL; run as programs of their own."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import av
import pytest
import torch
from PIL import Image

from mine.cli.ending import Stopped, stopped_by_signals
from mine.cli.main import main
from mine.ffmpeg import signals_held
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI
from mine.training.stop import GracefulStop

MINE = [sys.executable, "-m", "mine"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scene file."""
    path = tmp_path_factory.mktemp("scenes") / "scene.mpi"
    MPI(torch.rand(2, 3, 48, 64), torch.ones(2, 1, 48, 64), torch.tensor([1.0, 0.2]), intrinsics((48, 64))).save(path)
    return path


def start(folder: Path, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [*MINE, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, cwd=folder, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def wait_for_output(folder: Path, process: subprocess.Popen[str], count: int = 1) -> None:
    """Waits until a command has begun to write."""
    deadline = time.monotonic() + 120
    while len(os.listdir(folder)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_video_with_one_line_and_leaves_nothing(
    tmp_path: Path, scene: Path, number: signal.Signals, status: int
) -> None:
    """Nor an encoder that still runs."""
    with start(tmp_path, "render", scene, "-o", "new/v.mp4", "--frames", 5000, process_group=0) as process:
        wait_for_output(tmp_path, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (status, "", f"mine: stopped by {number.name}\n")
    assert os.listdir(tmp_path) == []
    wait_for_end(process.pid)


def wait_for_end(group: int, seconds: float = 10) -> None:
    """Waits until a process group has no member: init reaps the encoder some moments after its parent has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"processes of group {group} still run after {seconds} s")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As under nohup. The handlers of before are back at the end, and a second signal does not disturb the first."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(Stopped) as stopped, stopped_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
        assert stopped.value.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("context", [stopped_by_signals, signals_held, GracefulStop])
def test_handlers_set_from_c_stay(context: Callable[[], AbstractContextManager[object]]) -> None:
    """`signal.getsignal` gives None for them, which `signal.signal` does not take."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.getsignal", lambda number: None)
        with context():
            patch.undo()
            assert {number: signal.getsignal(number) for number in handlers} == handlers


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_is_no_error(tmp_path: Path, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with start(tmp_path, "--help", stdout=writer, env=environment) as process:
        os.close(writer)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["export", "--help"]])
def test_an_output_that_is_full_is_told_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full, start(tmp_path, *arguments, stdout=full) as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("mine: cannot write") and err.count("\n") == 1


def test_names_that_the_console_lacks_are_printed_in_escapes(tmp_path: Path, scene: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    with start(tmp_path, "export", scene, "-o", "日本.html", env=environment) as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "\\u65e5\\u672c.html\n", "")


def check_whole(path: Path) -> None:
    """Asserts that an output is whole: the video has all its frames, the scene and the page all their parts."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 40
    elif path.suffix == ".mpi":
        MPI.open(path)
    else:
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


KILLED = """
import json, os, signal, sys, time
import torchvision, mine.cli.scenes, mine.network.planes.cpu.fused, mine.output.export, mine.output.video
from mine.cli.main import main

def begun(folder, names):
    return os.listdir(folder)

def shown(folder, names):
    return set(names) <= set(os.listdir(folder))

for line, names, folder, event, delay in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(folder)
        sys.argv = ["mine", *line]
        try:
            main()
        finally:
            os._exit(0)
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) and not globals()[event](folder, names):
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(json.dumps([child, *sorted(os.listdir(folder))]), flush=True)
"""
"""Runs command lines, each in a process of its own, killed some time after a file is begun or all are shown."""

MOMENTS = (("begun", 0.0), ("begun", 0.1), ("shown", 0.0))
"""At the first file, which is hidden; in between; and once all names are shown."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_killed_at_any_moment_leaves_whole_files_or_none(tmp_path: Path, scene: Path, tiny_checkpoint: Path) -> None:
    """And both videos or neither. What is left besides is hidden, and named so that a later run removes it."""
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 48)).save(photo)
    lines = {
        ("render", scene, "-o", "v.mp4", "--frames", 40): ["v-depth.mp4", "v.mp4"],
        ("predict", photo, "-o", "v.mpi", "--planes", 2, "--checkpoint", tiny_checkpoint): ["v.mpi"],
        ("export", scene, "-o", "v.html"): ["v.html"],
    }
    cases = [(line, tmp_path / f"{line[0]}{i}", *moment) for line in lines for i, moment in enumerate(MOMENTS)]
    for _, folder, *_ in cases:
        folder.mkdir()
    runs = [([str(word) for word in line], lines[line], str(folder), *moment) for line, folder, *moment in cases]
    command = [sys.executable, "-c", KILLED, json.dumps(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    results = [json.loads(result) for result in done.stdout.splitlines()]
    for (line, folder, event, _), (child, *left) in zip(cases, results, strict=True):
        visible = [name for name in left if not name.startswith(".")]
        assert visible in ([lines[line]] if event == "shown" else [[], lines[line]]), (line, done.stderr)
        for name in visible:
            check_whole(folder / name)
        assert all(f".{child}.part" in name for name in left if name.startswith("."))


def test_a_working_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    script = "import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
    script += "import sys; sys.argv = ['mine', 'render', '/photo.jpg']; from mine.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "mine: the working folder is gone (No such file or directory): change to another, with cd\n"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_to_load_a_library_is_told(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> None:
        raise error

    monkeypatch.setattr("mine.cli.main.answer", fail)
    monkeypatch.setattr(sys, "argv", ["mine"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and capsys.readouterr().err.startswith("mine: not enough memory")
