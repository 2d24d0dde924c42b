"""Uploads: how many, how large and of how many parts; those that break off, and those that nobody needs."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import gradio
import httpx
import pytest
from demo_server import echo, make_photo, wait_until
from starlette.formparsers import MultiPartException
from starlette.testclient import TestClient
from starlette.types import Message

from mine.demo.jobs import IDLE_SECONDS, JobRunner
from mine.demo.requests import PlainRequests
from mine.demo.uploads import LEAST, LimitBodies, LimitUploads, _few_parts, folder_bytes
from mine.model import load


def test_uploads_are_bounded_one_by_one_per_visitor_and_in_all(tmp_path: Path) -> None:
    limits = {"largest": 1 << 20, "client_bytes": 6 << 20, "all_bytes": 30 << 20}
    client = TestClient(LimitUploads(echo(), tmp_path, **limits))
    assert client.post("/gradio_api/upload", content=bytes(3 << 20)).status_code == 413
    assert client.post("/gradio_api/upload", content=iter([b"x"])).status_code == 411
    answers = [client.post("/gradio_api/upload", content=bytes(1 << 20)).status_code for _ in range(8)]
    assert answers == [200] * 6 + [429] * 2
    (tmp_path / "full").write_bytes(bytes(30 << 20))
    other = TestClient(LimitUploads(echo(), tmp_path, **limits), client=("10.0.0.1", 1))
    assert other.post("/gradio_api/upload", content=b"x").status_code == 507
    assert other.post("/gradio_api/queue/join", content=bytes(3 << 20)).status_code == 200
    assert folder_bytes(tmp_path) == 30 << 20


def test_many_small_uploads_are_bounded_too(tmp_path: Path) -> None:
    client = TestClient(LimitUploads(echo(), tmp_path, largest=1 << 20, client_bytes=10 * LEAST))
    answers = [client.post("/gradio_api/upload", content=b"x").status_code for _ in range(12)]
    assert answers == [200] * 10 + [429] * 2


@pytest.mark.parametrize("count", [1, 1000])
def test_an_upload_opens_few_files(app: tuple[str, JobRunner], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio opens one for each of 1000 parts, and holds it as long as a slow upload takes."""
    opened: list[Any] = []
    make = gradio.route_utils.NamedTemporaryFile
    monkeypatch.setattr(
        "gradio.route_utils.NamedTemporaryFile", lambda **options: opened.append(options) or make(**options)
    )
    files = [("files", ("a.png", b"x"))] * count
    answer = httpx.post(f"{app[0]}gradio_api/upload", files=files)
    assert answer.status_code == (200 if count == 1 else 400)
    assert len(opened) <= 8
    assert count == 1 or answer.text == "Send one photo at a time"


def test_parts_are_counted_however_they_are_cut() -> None:
    body = b"".join(b'--xy\r\nContent-Disposition: form-data; name="files"\r\n\r\na\r\n' for _ in range(9))
    pieces = iter([*body, None])

    async def receive() -> Message:
        byte = next(pieces)
        return {"type": "http.request", "body": b"" if byte is None else bytes([byte]), "more_body": byte is not None}

    async def read() -> None:
        limited = _few_parts(receive, "multipart/form-data; boundary=xy")
        while (await limited())["more_body"]:
            pass

    with pytest.raises(MultiPartException, match="one photo"):
        asyncio.run(read())


def test_other_requests_are_short_and_tell_their_length() -> None:
    client = TestClient(LimitBodies(echo()))
    for path, most in (("/gradio_api/queue/join", 1 << 20), ("/login", 1 << 14), ("/login/", 1 << 14)):
        assert client.post(path, content=bytes(most)).status_code == 200
        assert client.post(path, content=bytes(most + 1)).status_code == 413
        assert client.post(path, content=iter([b"x"])).status_code == 411
        assert client.post(path, headers={"Content-Length": "9" * 30}).status_code == 413
    assert client.get("/").status_code == 200
    assert client.post("/gradio_api/upload", content=bytes(2 << 20)).status_code == 200  # LimitUploads' own


def test_a_client_that_goes_away_is_no_error() -> None:
    """The server would print a traceback for every upload that is broken off."""
    messages = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": [], "query_string": b""}
    asyncio.run(PlainRequests(echo())(scope, receive, send))
    assert not [message for message in sent if message.get("status") == 200]


def test_a_broken_upload_and_one_without_a_job_are_swept_away(app: tuple[str, JobRunner], tmp_path: Path) -> None:
    import socket

    url, jobs = app
    photo = make_photo(tmp_path / "unused.png")
    path = Path(httpx.post(f"{url}gradio_api/upload", files={"files": ("unused.png", photo.read_bytes())}).json()[0])
    port = int(url.rsplit(":", 1)[1].strip("/"))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3000000\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        part = '--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        connection.sendall((head + part).encode() + bytes(2_000_000))
        assert wait_until(lambda: any(file.is_file() for file in jobs.folder.iterdir()))
    assert path.is_file()

    def swept() -> bool:
        for entry in jobs.folder.iterdir():
            os.utime(entry, (0, 0))
        jobs.sweep(waiting=False)
        return not path.exists() and not any(file.is_file() for file in jobs.folder.iterdir())

    assert wait_until(swept, 30)  # the server may still be writing what came before the end
    assert (jobs.folder / "samples" / "cat.json").is_file()


def test_an_upload_waits_for_its_visitor_while_a_page_is_open(tmp_path: Path, tiny_checkpoint: Path) -> None:
    """A visitor whose browser is slow may ask for the scene a minute after the upload."""
    jobs = JobRunner(load(tiny_checkpoint, device="cpu"), tmp_path)
    upload = tmp_path / "upload"
    upload.mkdir()
    age = time.time() - 2 * IDLE_SECONDS
    os.utime(upload, (age, age))
    jobs.arrive("visitor")
    jobs.sweep(waiting=False)
    assert upload.exists()
    jobs.leave("visitor")
    jobs.sweep(waiting=False)
    assert not upload.exists()


def test_closing_many_pages_at_once_keeps_the_page_answering(app: tuple[str, JobRunner]) -> None:
    """Heartbeats that are dropped while a job runs wait for nothing."""
    url, jobs = app
    with jobs.workers._lock:
        for number in range(60):
            with httpx.stream("GET", f"{url}gradio_api/heartbeat/guest{number}", timeout=5) as answer:
                next(answer.iter_bytes())
        assert httpx.get(url, timeout=10).status_code == 200
    assert wait_until(lambda: not any(name.startswith("guest") for name in jobs.visits))
