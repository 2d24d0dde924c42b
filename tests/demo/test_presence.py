"""Who is there, and what is kept of whom: closed pages, lost connections, scripts, the same photo of two visitors."""

import os
import time
from pathlib import Path

import pytest
from browser import new_page
from demo_server import files_left, make_photo, wait_until
from demo_tab import DESKTOP, Tab
from playwright.sync_api import Browser, Route
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as Path_
from starlette.testclient import TestClient

from mine.demo import jobs as jobs_module
from mine.demo.jobs import JobRunner
from mine.demo.making import SceneSettings
from mine.demo.presence import Belongings, Presence
from mine.demo.scene_store import SceneStore
from mine.model import load


@pytest.fixture
def runner(tmp_path: Path, tiny_checkpoint: Path) -> JobRunner:
    return JobRunner(load(tiny_checkpoint, device="cpu"), tmp_path)


def upload(folder: Path, name: str) -> Path:
    """The folder of an upload."""
    (folder / name).mkdir()
    (folder / name / "photo.png").touch()
    return folder / name


def add_scene(runner: JobRunner, session: str, photo: Path) -> Path:
    with runner.scenes.new(session, photo, SceneSettings()) as folder:
        return folder


# --- on the server


def test_a_page_that_says_farewell_leaves_nothing_at_once(runner: JobRunner) -> None:
    """Although another page is open."""
    runner.arrive("other")
    runner.arrive("visitor")
    folder = upload(runner.folder, "1")
    unused = upload(runner.folder, "2")
    for one in (folder, unused):
        runner.bring("visitor", one)
    scene = add_scene(runner, "visitor", folder / "photo.png")
    runner.end("visitor")
    runner.leave("visitor", returns=True)
    assert not folder.exists() and not unused.exists() and not scene.exists()
    assert "visitor" not in runner.visits


def test_a_page_whose_connection_is_lost_finds_its_scene_and_photo_minutes_later(
    runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a phone that was locked. After ten minutes they go; a script's go at once, as it says no farewell."""
    now = time.monotonic()
    monkeypatch.setattr(jobs_module.time, "monotonic", lambda: now)
    folders = {}
    for number, (session, returns) in enumerate([("phone", True), ("script", False)]):
        photo = upload(runner.folder, str(number))
        runner.arrive(session)
        if returns:
            runner.bring(session, photo)
        folders[session] = [photo, add_scene(runner, session, photo / "photo.png")]
        age = time.time() - 60
        os.utime(photo, (age, age))
        runner.leave(session, returns=returns)
    now += 60
    runner.sweep(waiting=False)
    assert all(folder.exists() for folder in folders["phone"])
    assert not folders["script"][1].exists()
    runner.arrive("phone")
    now += 10_000
    runner.sweep(waiting=False)
    assert all(folder.exists() for folder in folders["phone"]), "its page is open"
    runner.leave("phone", returns=True)
    now += jobs_module.GONE_SECONDS + 1
    runner.sweep(waiting=False)
    assert not any(folder.exists() for folder in folders["phone"])


def test_a_photo_that_two_visitors_brought_stays_for_the_other(runner: JobRunner) -> None:
    """Gradio names an upload's folder by its content."""
    folder = upload(runner.folder, "same")
    for session in ("one", "two"):
        runner.arrive(session)
        runner.bring(session, folder)
    runner.end("one")
    assert folder.exists()
    runner.end("two")
    assert not folder.exists()


def test_the_photo_of_a_job_that_ends_with_its_page_goes_after_the_job(runner: JobRunner) -> None:
    folder = upload(runner.folder, "1")
    runner.arrive("visitor")
    runner.bring("visitor", folder)
    settings = SceneSettings()
    with runner._job("visitor", folder / "photo.png", settings, lambda fraction, text: None, 1.0) as control:
        runner.end("visitor")
        assert control.stopped.is_set()
        assert folder.exists()
    runner.sweep(waiting=True)
    assert not folder.exists()


def test_scenes_of_visitors_who_are_away_go_first(tmp_path: Path) -> None:
    scenes = SceneStore(tmp_path, overall=2)
    made = {}
    for session in ("here", "away"):
        with scenes.new(session, Path("photo"), None) as folder:
            made[session] = folder
    assert scenes.rank("away", last=False)
    assert not scenes.rank("nobody", last=False)
    with scenes.new("new", Path("photo"), None):
        pass
    assert made["here"].exists() and not made["away"].exists()


class Told:
    """What middleware told of visitors."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def arrive(self, session: str) -> None:
        self.calls.append(("arrive", session))

    def leave(self, session: str, returns: bool) -> None:
        self.calls.append(("leave", session, returns))

    def end(self, session: str) -> None:
        self.calls.append(("end", session))

    def bring(self, session: str, folder: Path) -> None:
        self.calls.append(("bring", session, folder.name))


def test_heartbeats_farewells_and_uploads_are_told_by_session(tmp_path: Path) -> None:
    """Of uploads, only those that lie in the folder, and only to sessions with a name of a session's length."""
    (tmp_path / "1").mkdir()
    answers: dict[str, Response] = {
        "good": JSONResponse([f"{tmp_path}/1/a.png", "/etc/passwd", 7]),
        "words": PlainTextResponse("no room", 507),
    }

    async def answer(request: Request) -> Response:
        return answers.get(request.query_params.get("session", ""), JSONResponse([f"{tmp_path}/1/a.png"]))

    told = Told()
    inner = Starlette(routes=[Path_("/{path:path}", answer, methods=["GET", "POST"])])
    client = TestClient(Presence(Belongings(inner, tmp_path, told), told))
    client.get("/gradio_api/heartbeat/a?farewell")
    client.get("/gradio_api/heartbeat/b")
    assert client.post("/gradio_api/heartbeat/a").status_code == 204
    beats = [("arrive", "a"), ("leave", "a", True), ("arrive", "b"), ("leave", "b", False), ("end", "a")]
    assert told.calls == beats
    for session in ("good", "words", "x" * 65, ""):
        answer_ = client.post(f"/gradio_api/upload?session={session}")
        assert answer_.status_code == (507 if session == "words" else 200)
    assert client.post("/gradio_api/upload").json() == [f"{tmp_path}/1/a.png"]
    assert told.calls[len(beats) :] == [("bring", "good", "1")]


# --- in a browser


def test_a_closed_page_leaves_nothing_while_others_are_open(
    browser: Browser, app: tuple[str, JobRunner], desk: Tab, tmp_path: Path
) -> None:
    """Neither scene nor photo, at once: the browser says that it closes the page."""
    tab = Tab(browser, app[0], **DESKTOP)
    tab.settings(planes="4", detail="Draft")
    tab.bring(make_photo(tmp_path / "leaving.png", (7, 7, 99)))
    assert files_left(app[1].folder, "*/leaving.png") and files_left(app[1].scenes.root, "*/leaving.mpi")
    tab.page.close(run_before_unload=True)
    assert wait_until(lambda: files_left(app[1].folder, "**/leaving*") == [], 30)
    tab.context.close()


def test_a_page_whose_heartbeat_is_refused_once_comes_back(browser: Browser, app: tuple[str, JobRunner]) -> None:
    """A browser gives up after an answer other than 200, as a proxy gives one while the server is away."""
    page = new_page(browser, **DESKTOP)
    beats: list[str] = []

    def refuse_once(route: Route) -> None:
        beats.append(route.request.url)
        if len(beats) == 1:
            route.fulfill(status=502, body="Bad Gateway")
        else:
            route.continue_()

    page.route("**/heartbeat/*?farewell", refuse_once)
    page.goto(app[0])
    session = ""
    while not session:
        page.wait_for_timeout(50)
        session = beats[0].rpartition("/")[2].partition("?")[0] if beats else ""
    assert wait_until(lambda: page.wait_for_timeout(100) or session in app[1].visits, 30)
    page.context.close()
