"""The web demo: its scenes on disk, its jobs, and its API, also by many clients at once."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from demo_server import files_left, make_photo, running_demo, wait_until
from gradio_client import Client, handle_file
from PIL import Image

from mine.demo.jobs import JobRunner
from mine.demo.making import SceneSettings, VideoSettings
from mine.demo.scene_store import SceneStore, new_folder, remove_stale
from mine.errors import InputError
from mine.model import Model, load
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

DRAFT = (4, "Draft")
CLIP = ("swing", 1.0, 1.0, True, 240, False)


class CountingModel(Model):
    """Counts how often the network runs."""

    runs = 0

    def predict(self, *args, **kwargs):
        self.runs += 1
        return super().predict(*args, **kwargs)


@pytest.fixture(scope="module")
def model(tiny_checkpoint) -> CountingModel:
    return CountingModel(load(tiny_checkpoint, device="cpu").network)


@pytest.fixture(scope="module")
def app(model) -> Iterator[tuple[str, JobRunner]]:
    """Address and job runner of a running demo."""
    with running_demo(model) as running:
        yield running


@pytest.fixture
def client(app) -> Iterator[Client]:
    client = Client(app[0], verbose=False, analytics_enabled=False, download_files=tempfile.gettempdir())
    yield client
    client.close()


# --- scenes on disk


def test_scenes_keep_few_per_session_and_few_overall(tmp_path):
    scenes = SceneStore(tmp_path, per_session=2, overall=3)
    made = []
    for session, name in [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("c", "1")]:
        with scenes.new(session, Path(name), None) as folder:
            (folder / "file").touch()
        made.append(folder)
    assert scenes.find("a", Path("1"), None) is None  # the third of session a pushed it out
    assert scenes.find("a", Path("2"), None) is None  # the fourth of all pushed it out
    assert scenes.find("a", Path("3"), None) == made[2]
    assert sorted(tmp_path.iterdir()) == sorted(made[2:])


def test_a_scene_used_again_outlives_others(tmp_path):
    scenes = SceneStore(tmp_path, per_session=2)
    for name in "12":
        with scenes.new("a", Path(name), None):
            pass
    scenes.find("a", Path("1"), None)
    with scenes.new("a", Path("3"), None):
        pass
    assert scenes.find("a", Path("1"), None) is not None
    assert scenes.find("a", Path("2"), None) is None


def test_a_scene_that_failed_leaves_nothing(tmp_path):
    scenes = SceneStore(tmp_path)
    with pytest.raises(InputError), scenes.new("a", Path("1"), None) as folder:
        (folder / "half").touch()
        raise InputError("bad")
    assert scenes.find("a", Path("1"), None) is None
    assert list(tmp_path.iterdir()) == []


def test_sessions_do_not_see_each_other_and_leave_nothing(tmp_path):
    scenes = SceneStore(tmp_path)
    for session in "ab":
        with scenes.new(session, Path("photo"), None):
            pass
    assert scenes.find("a", Path("photo"), None) != scenes.find("b", Path("photo"), None)
    assert scenes.find("a", Path("photo"), "other settings") is None
    scenes.close("a")
    assert scenes.find("a", Path("photo"), None) is None
    assert list(tmp_path.iterdir()) == [scenes.find("b", Path("photo"), None)]


def test_the_latest_folders_of_a_kind_are_kept_and_none_of_a_job_that_failed(tmp_path):
    """Under names that were never used before, for browsers keep what they had by a name."""
    made = []
    for _ in range(4):
        with new_folder(tmp_path, "stereo", keep=2) as folder:
            made.append(folder)
    with new_folder(tmp_path, "video", keep=2) as other:
        pass
    with pytest.raises(InputError), new_folder(tmp_path, "stereo", keep=2):
        raise InputError("stopped")
    assert len(set(made)) == 4
    assert sorted(tmp_path.iterdir()) == sorted([*made[2:], other])


def test_old_uploads_go_unless_they_are_in_use(tmp_path):
    for name in ("old", "used", "new"):
        (tmp_path / name).mkdir()
    for name in ("old", "used"):
        os.utime(tmp_path / name, (0, 0))
    remove_stale(tmp_path, {tmp_path / "used"}, 60)
    assert {path.name for path in tmp_path.iterdir()} == {"used", "new"}


# --- jobs


def flat_scene() -> MPI:
    return MPI(torch.rand(2, 3, 8, 8), torch.ones(2, 1, 8, 8), torch.tensor([1.0, 0.1]), intrinsics((8, 8), 60))


def test_a_looping_line_goes_there_and_back():
    video_settings = VideoSettings("line", seconds=1)
    poses = video_settings.poses(flat_scene(), 30).poses
    torch.testing.assert_close(poses[1:], poses[1:].flip(0))
    assert not torch.allclose(poses[0], poses[15])
    straight = replace(video_settings, loop=False).poses(flat_scene(), 30).poses
    assert len(poses) == len(straight) == 30
    assert not torch.allclose(straight[0], straight[-1])


def test_a_job_stops_when_its_own_session_asks(model, tmp_path):
    jobs, steps = JobRunner(model, tmp_path), []

    def stop_at_once(fraction, text):
        steps.append(text)
        jobs.stop("another")
        jobs.stop("mine")

    with pytest.raises(InputError, match="stopped"):
        jobs.scene("mine", make_photo(tmp_path / "photo.png"), SceneSettings(*DRAFT), stop_at_once)
    assert len(steps) == 1
    assert list(jobs.scenes.root.iterdir()) == []


def test_a_job_that_takes_too_long_is_stopped(model, tmp_path):
    jobs = JobRunner(model, tmp_path, job_seconds=0)
    with pytest.raises(InputError, match="more than 0 seconds"):
        jobs.scene(
            "a", make_photo(tmp_path / "photo.png"), SceneSettings(*DRAFT), lambda fraction, text: time.sleep(0.01)
        )


# --- through the API


def test_one_photo_runs_the_network_once(app, client, model, tmp_path):
    photo = handle_file(make_photo(tmp_path / "photo.png"))
    before = model.runs
    frame, depth, files = client.predict(photo, *DRAFT, api_name="/predict")
    assert frame.startswith("<iframe") and "sandbox" in frame
    assert iio.imread(depth).shape == (48, 64, 3)
    assert {Path(file).suffix for file in files} == {".html", ".png", ".mpi"}
    assert len(MPI.open(next(file for file in files if file.endswith(".mpi"))).disparity) == 4
    video, _ = client.predict(photo, *DRAFT, *CLIP, api_name="/video")
    other, files = client.predict(photo, *DRAFT, "zoom", *CLIP[1:5], True, api_name="/video")
    stereo = client.predict(photo, *DRAFT, "side-by-side", api_name="/stereo")
    client.predict(photo, *DRAFT, "anaglyph", api_name="/stereo")
    pictures = {path.name for path in app[1].scenes.root.glob("*/stereo-*/photo-*.jpg")}
    assert pictures == {"photo-side-by-side.jpg", "photo-anaglyph.jpg"}, "the first is still there to be fetched"
    assert model.runs == before + 1
    frames, gif = iio.imread(video), next(file for file in files if file.endswith(".gif"))
    assert frames.shape == (30, 48, 64, 3)
    assert not np.array_equal(frames, iio.imread(other))
    assert len(iio.imread(gif)) == 15
    assert iio.imread(stereo).shape == (48, 128, 3)


def test_depth_can_be_changed_swapped_and_brought(app, client, tmp_path):
    photo = make_photo(tmp_path / "depths.png")
    values = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    iio.imwrite(tmp_path / "map.png", values)
    url = f"{app[0]}gradio_api/upload"
    path = httpx.post(url, files={"files": ("map.png", (tmp_path / "map.png").read_bytes())}).json()[0]

    def disparity(*lens):
        _, _, files = client.predict(handle_file(photo), *DRAFT, *lens, api_name="/predict")
        scene = MPI.open(next(file for file in files if file.endswith(".mpi")))
        return 1 / scene.render(torch.eye(4), size=(12, 16)).depth[0, 0]

    own = disparity(0, 1, False, path)
    assert (own[:, 12:] > 2 * own[:, :4]).all()
    swapped = disparity(0, 1, True, path)
    assert (swapped[:, 12:] < swapped[:, :4]).all()
    flat = disparity(0, 0.3, False, path)
    ratio = [(part[:, 12:].mean() / part[:, :4].mean()).item() for part in (own, flat)]
    assert ratio[1] < 0.7 * ratio[0]
    for bad in ("/etc/passwd", f"{path}/../../../x"):
        with pytest.raises(Exception, match="not a photo you uploaded"):
            client.predict(handle_file(photo), *DRAFT, 0, 1, False, bad, api_name="/predict")


def test_many_clients_each_get_their_own(app, tmp_path):
    """Six visitors at once, each with a photo of another colour, get a depth map and a scene of that colour."""
    colours = [(20 + 10 * i, 220 - 10 * i, 40 + 60 * (i % 3)) for i in range(6)]

    def one(i: int) -> float:
        client = Client(app[0], verbose=False, analytics_enabled=False, download_files=tempfile.gettempdir())
        photo = handle_file(make_photo(tmp_path / f"guest-{i}.png", colours[i]))
        _, _, files = client.predict(photo, *DRAFT, api_name="/predict")
        scene = MPI.open(next(file for file in files if file.endswith(".mpi")))
        assert all(Path(file).name.startswith((f"guest-{i}.", f"guest-{i}-")) for file in files)
        client.close()
        return float((scene.photo.mean(dim=(1, 2)) * 255 - 14.5 - torch.tensor(colours[i])).abs().max())

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(one, range(6))) < 3
    jobs = app[1]
    assert len(jobs.scenes) <= 24
    assert wait_until(lambda: files_left(jobs.scenes.root, "*/guest-*.mpi") == [])


def test_a_long_video_is_stopped_by_its_own_client(app, client, tmp_path):
    photo = handle_file(make_photo(tmp_path / "long.png"))
    client.predict(photo, *DRAFT, api_name="/predict")
    job = client.submit(photo, *DRAFT, "swing", 1.0, 10.0, True, 1920, True, api_name="/video")
    assert wait_until(lambda: list(app[1].scenes.root.glob("*/video-*")))
    client.predict(api_name="/stop")
    with pytest.raises(Exception, match="stopped"):
        job.result(timeout=60)


def test_the_example_of_the_api_page_is_a_file(app: tuple[str, JobRunner]) -> None:
    """Addresses are not fetched, so that Gradio's own example would be refused."""
    endpoints = httpx.get(f"{app[0]}gradio_api/info").json()["named_endpoints"]
    photos = [
        one for name in ("/predict", "/video") for one in endpoints[name]["parameters"] if one["label"] == "Photo"
    ]
    assert [photo["example_input"]["path"] for photo in photos] == ["photo.jpg"] * 2
    assert "http" not in json.dumps([photo["example_input"] for photo in photos])
    own = next(one for one in endpoints["/predict"]["parameters"] if one["label"] == "Own depth map")
    assert own["example_input"] == ""


def test_a_photo_that_is_no_upload_is_refused_without_names_of_folders(app):
    """Such as the samples that a page still names when the server was started anew."""
    session = {"session_hash": "one", "fn_index": 0, "event_data": None, "trigger_id": None}
    page = httpx.get(f"{app[0]}config").json()
    session["fn_index"] = next(one["id"] for one in page["dependencies"] if one["api_name"] == "predict")
    photo = {"path": "/tmp/mine-demo-before/samples/koala.jpg", "meta": {"_type": "gradio.FileData"}}
    httpx.post(f"{app[0]}gradio_api/queue/join", json={"data": [photo, *DRAFT], **session})
    events = httpx.get(f"{app[0]}gradio_api/queue/data?session_hash=one", timeout=60).text
    assert "This is not a photo you uploaded." in events
    assert "mine-demo" not in events


def test_bad_files_are_reported_in_one_line_and_the_app_goes_on(client, tmp_path):
    text = tmp_path / "notes.jpg"
    text.write_text("no photo")
    with pytest.raises(Exception, match=r"notes\.jpg is not an image") as error:
        client.predict(handle_file(text), *DRAFT, api_name="/predict")
    assert "/" not in str(error.value)
    good = handle_file(make_photo(tmp_path / "good.png"))
    assert client.predict(good, *DRAFT, api_name="/predict")[1]
    for bad in [(1e6, "Draft"), (4, "Huge")]:
        with pytest.raises(Exception, match=r"greater than maximum|not in the list"):
            client.predict(good, *bad, api_name="/predict")


def test_a_photo_that_breaks_off_is_used_and_told(app, client, tmp_path, monkeypatch):
    """The page shows what `mine render` prints, without the server's folder names."""
    told = []
    monkeypatch.setattr("mine.demo.events.gr.Warning", told.append)
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((64, 48), 80).convert("RGB").save(whole, quality=95)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:-400])
    client.predict(handle_file(whole), *DRAFT, api_name="/predict")
    assert not told
    client.predict(handle_file(tmp_path / "cut.jpg"), *DRAFT, api_name="/predict")
    assert len(told) == 1 and told[0].startswith("cut.jpg breaks off before its end")


def call(url: str, name: str, data: list) -> str:
    """What a plain HTTP call of an endpoint ends with: "complete" or "error"."""
    event = httpx.post(f"{url}gradio_api/call/{name}", json={"data": data}).json()["event_id"]
    lines = httpx.get(f"{url}gradio_api/call/{name}/{event}", timeout=60).text.splitlines()
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")][-1]


def test_only_uploads_are_read(app, client, tmp_path):
    """Paths of the server or of files that the app made, and URLs, are refused wherever a file is expected."""
    url, jobs = app
    secret = make_photo(tmp_path / "secret.png")
    client.predict(handle_file(make_photo(tmp_path / "good.png")), *DRAFT, api_name="/predict")
    made = next(jobs.scenes.root.glob("*/*.png"))
    upload = next(jobs.folder.glob("*/good.png"))
    escape = f"{upload.parent}/../../{os.path.relpath(secret, jobs.folder.parent)}"
    assert Path(escape).is_file() and made.is_file()
    meta = {"meta": {"_type": "gradio.FileData"}}
    for name, extra in [("predict", ()), ("video", CLIP), ("stereo", ("anaglyph",))]:
        for path in [str(secret), escape, str(made), "http://localhost:1/a.png"]:
            assert call(url, name, [{"path": path, **meta}, *DRAFT, *extra]) == "error", (name, path)
    # The upload itself is read, whatever URL it claims to have.
    claimed = {"path": str(upload), "url": f"data:image/png;base64,{'A' * 8}", **meta}
    assert call(url, "predict", [claimed, *DRAFT]) == "complete"


def test_only_the_apps_files_are_served(app, tmp_path):
    url, jobs = app
    secret = make_photo(tmp_path / "secret.png")
    sample = next(jobs.folder.glob("samples/*.jpg"))
    assert httpx.get(f"{url}gradio_api/file={sample}").status_code == 200
    escapes = [str(secret), "/etc/passwd", f"{jobs.folder}/../../etc/passwd", f"{jobs.folder}/%2e%2e/{secret}"]
    escapes += ["http://localhost:1/", "https://example.com/a.png", "pyproject.toml", str(jobs.folder)]
    for path in escapes:
        assert httpx.get(f"{url}gradio_api/file={path}").status_code in (403, 404), path
    for route in ("gradio_api/proxy=http://localhost:1/", "gradio_api/file/https://example.com/a.png"):
        assert httpx.get(url + route).status_code in (403, 404), route


def test_large_uploads_are_refused(app):
    answer = httpx.post(f"{app[0]}gradio_api/upload", files={"files": ("big.jpg", bytes(41 * 1024 * 1024))})
    assert answer.status_code == 413
