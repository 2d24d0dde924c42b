"""Many visitors of the web page at once, some of them hostile: is every result right, and is nothing left behind?

mine demo --port 7899 &
python fuzz/visitors.py http://127.0.0.1:7899 --folder /tmp/mine-demo-PID-* --clients 50 --seconds 600
"""

import argparse
import io
import random
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from mine import MPI

HOSTILE = 0.1
"""Share of the visitors who mean no good."""

PATIENCE = 300
"""Seconds for which a visitor waits for an answer: many visitors share few cores."""


def make_photo(path: Path, colour: np.ndarray) -> Path:
    """A photo of one colour, by which its results are told from others'."""
    noise = np.random.default_rng().integers(0, 30, (96, 128, 3))
    Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


class Visitors:
    """Visits a page until a time, and keeps count."""

    def __init__(self, url: str, work: Path, end: float) -> None:
        self.url, self.work, self.end = url.rstrip("/"), work, end
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self.refused = 0
        self._lock = threading.Lock()

    def visit(self, number: int) -> None:
        """One visitor, again and again."""
        chance = random.Random(number)
        while time.monotonic() < self.end:
            if chance.random() < HOSTILE:
                with suppress(Exception):
                    self.attack(chance)
            else:
                self.work_honestly(number, chance)

    def work_honestly(self, number: int, chance: random.Random) -> None:
        """Makes a scene and compares its photo with the one that was sent."""
        colour = np.array([chance.randrange(225) for _ in range(3)])
        photo = make_photo(self.work / f"{number}-{chance.randrange(10**9)}.png", colour)
        start = time.monotonic()
        try:
            options = {"verbose": False, "analytics_enabled": False, "httpx_kwargs": {"timeout": PATIENCE}}
            client = Client(self.url, download_files=str(self.work / "got"), **options)
            _, _, files = client.predict(handle_file(photo), 4, "Draft", api_name="/predict")
            scene = MPI.open(next(file for file in files if file.endswith(".mpi")))
            assert scene.photo is not None
            error = np.abs(scene.photo.mean(dim=(1, 2)).numpy() * 255 - 14.5 - colour).max()
            with self._lock:
                self.seconds.append(time.monotonic() - start)
                if error > 3 or not all(photo.stem in file for file in files):
                    self.wrong.append(photo.name)
            client.close()
        except Exception as error:
            with self._lock:
                self.refused += 1
                if "queue" not in str(error).lower():
                    print(f"{photo.name}: {str(error)[:160]}", flush=True)
            time.sleep(chance.uniform(1, 5))  # nobody asks again at once
        finally:
            photo.unlink()

    def attack(self, chance: random.Random) -> None:
        """Breaks an upload off, drops heartbeats, sends what is no photo, or values that are none."""
        kind = chance.randrange(4)
        if kind == 0:
            with socket.create_connection((urlsplit(self.url).hostname, urlsplit(self.url).port), 10) as connection:
                head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n"
                head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
                head += 'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
                connection.sendall(head.encode() + bytes(5_000_000))
        elif kind == 1:
            for _ in range(20):
                with httpx.stream("GET", f"{self.url}/gradio_api/heartbeat/x{chance.random()}", timeout=10) as answer:
                    next(answer.iter_bytes())
        elif kind == 2:
            file = ("a.jpg", io.BytesIO(chance.randbytes(1000)))
            path = httpx.post(f"{self.url}/gradio_api/upload", files={"files": file}, timeout=60).json()[0]
            data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, 4, "Draft"]
            httpx.post(f"{self.url}/gradio_api/call/predict", json={"data": data}, timeout=60)
        else:
            data = [{"path": "/etc/passwd"}, "x" * 1000, None, [[]] * 100]
            httpx.post(f"{self.url}/gradio_api/call/predict", json={"data": data}, timeout=60)


def resident(process: int) -> float:
    """Memory of a process in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


def left(folder: Path) -> list[str]:
    """What lies in the demo's folder besides its samples."""
    return [str(file) for file in folder.rglob("*") if file.is_file() and "samples" not in file.parts]


def main() -> None:
    """Lets visitors come, waits a minute, and says what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--folder", type=Path, required=True, help="the demo's temporary folder")
    parser.add_argument("--process", type=int, help="the demo's process, whose memory is watched")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--work", type=Path, default=Path("/tmp/mine-visitors"), help="folder for the photos")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    visitors = Visitors(arguments.url, arguments.work, time.monotonic() + arguments.seconds)
    memory = []
    with ThreadPoolExecutor(arguments.clients) as pool:
        running = [pool.submit(visitors.visit, number) for number in range(arguments.clients)]
        while any(not one.done() for one in running):
            time.sleep(arguments.seconds / 20)
            if arguments.process:
                memory.append(resident(arguments.process))
    for one in running:
        one.result()
    time.sleep(60)
    seconds = sorted(visitors.seconds)
    print(f"{len(seconds)} scenes, {len(visitors.wrong)} wrong, {visitors.refused} refused or failed")
    if seconds:
        print(f"median {statistics.median(seconds):.1f} s, 95% {seconds[int(0.95 * len(seconds))]:.1f} s")
    print(f"files left after a minute: {len(left(arguments.folder))}")
    if memory:
        print("memory of the server, MB: " + " ".join(f"{value:.0f}" for value in memory))


if __name__ == "__main__":
    main()
