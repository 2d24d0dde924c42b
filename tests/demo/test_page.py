"""The demo's page in a real browser: what it shows at first, from a photo to its scene, video and files."""

import re
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from browser import new_page
from demo_server import files_left, make_photo, wait_until
from demo_tab import DESKTOP, Tab, image_size
from PIL import Image
from playwright.sync_api import Browser

from mine.demo.jobs import JobRunner
from mine.scene.mpi import MPI

# --- at first sight


def test_a_sample_moves_before_anything_is_asked(browser: Browser, app: tuple[str, JobRunner]) -> None:
    """A film of it plays at once; the scene takes its place, when it is taken hold of at the latest."""
    tab = Tab(browser, app[0], **DESKTOP, reduced_motion="no-preference")
    tab.page.wait_for_function("document.getElementById('hero').currentTime > 0.1")
    tab.view.locator("body.ready").wait_for()
    tab.view.locator("#view").click()
    tab.page.locator("#viewer.shown").wait_for()
    assert tab.page.locator("#play").inner_text() == "Play"
    assert app[1].scenes.root.exists() is False or list(app[1].scenes.root.iterdir()) == []
    tab.context.close()


def test_a_sentence_says_what_happens_and_how_long_it_takes(desk: Tab) -> None:
    desk.page.locator("#takes", has_text="It takes").wait_for()
    sentence = desk.page.locator(".top p").inner_text()
    assert re.fullmatch(r"One photo becomes a 3D scene .*\. It takes (a moment|about \d+ (s|min))\.", sentence)


def test_a_click_on_a_sample_shows_its_scene_and_asks_the_server_for_no_work(desk: Tab) -> None:
    page = desk.page
    before = len(desk.requests)
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    assert not any("queue/join" in url for url in desk.requests[before:])
    assert page.get_by_role("button", name="Cat", exact=True).get_attribute("aria-pressed") == "true"
    assert "cat-motions" in page.evaluate("document.getElementById('motions').style.getPropertyValue('--sheet')")


@pytest.mark.parametrize("size", [(64, 64), (120, 40), (40, 90)])
def test_the_whole_photo_is_in_view(desk: Tab, tmp_path: Path, size: tuple[int, int]) -> None:
    desk.bring(make_photo(tmp_path / f"shape-{size[0]}.png", (90, 120, 40), size))
    stage, view = desk.page.locator("#stage").bounding_box(), desk.view.locator("#view").bounding_box()
    assert view["width"] / view["height"] == pytest.approx(size[0] / size[1], rel=0.02)
    for start, length in (("x", "width"), ("y", "height")):
        assert view[start] >= stage[start] - 1
        assert view[start] + view[length] <= stage[start] + stage[length] + 1
    for picture in ("#still", "#hero", "#compare-photo", "#compare-depth", "#video video"):
        fit = "selector => getComputedStyle(document.querySelector(selector)).objectFit"
        assert desk.page.evaluate(fit, picture) == "contain"


def test_a_scene_comes_back_when_the_graphics_do(desk: Tab) -> None:
    page = desk.page
    page.get_by_role("button", name="Flower", exact=True).click()
    page.locator("#viewer[data-ready='Flower']").wait_for()
    desk.viewer.evaluate(
        """() => {
          const lost = document.getElementById("view").getContext("webgl2").getExtension("WEBGL_lose_context");
          lost.loseContext();
          setTimeout(() => lost.restoreContext(), 500);
        }"""
    )
    page.locator("#problem").get_by_text("graphics were interrupted").wait_for()
    page.locator("#problem").wait_for(state="hidden")
    desk.view.locator("body.ready").wait_for()


# --- from a photo to its scene and video


@pytest.mark.parametrize("name", ["IMG_0001.HEIC", "no_ending"])
def test_photos_of_phones_are_accepted_and_shown(desk: Tab, tmp_path: Path, name: str) -> None:
    """Browsers have no type for these names, and do not show such files."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes the HEIC photo")
    pillow_heif.from_pillow(Image.open(make_photo(tmp_path / "a.png"))).save(tmp_path / name, quality=90)
    desk.bring(tmp_path / name)
    assert wait_until(lambda: image_size(desk.page, "#still") == 64)


def test_a_photo_becomes_a_scene_a_video_and_files_to_take(
    desk: Tab, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    page = desk.page
    desk.bring(make_photo(tmp_path / "photo.png"))
    assert list(app[1].scenes.root.glob("*/photo.mpi"))
    page.wait_for_function("document.getElementById('motions').style.getPropertyValue('--sheet').includes('url')")

    canvas = desk.view.locator("#view")
    before = canvas.screenshot()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert wait_until(lambda: canvas.screenshot() != before)

    page.locator("#gif").check()
    page.locator("#make").click()
    page.locator("#video video").wait_for()
    assert page.locator("#tab-video").get_attribute("aria-selected") == "true"
    video = page.locator("#video video")
    assert video.get_attribute("playsinline") is not None
    assert video.get_attribute("muted") is not None
    with page.expect_download() as download:
        page.locator("#files a[download='photo-swing.mp4']").click()
    assert iio.imread(download.value.path(), extension=".mp4").shape == (30, 48, 64, 3)
    kinds = page.locator("#files .kind").all_inner_texts()
    assert sorted(kinds[:5]) == ["GIF", "HTML", "MP4", "MPI", "PNG"]
    page.locator("#gif").uncheck()


def test_earlier_videos_stay_in_the_list_and_shapes_are_kept(desk: Tab) -> None:
    page = desk.page
    page.get_by_role("radio", name="Push in").check(force=True)
    page.get_by_role("radio", name="1:1").check(force=True)
    page.locator("#make").click()
    page.locator("#files a[download='photo-zoom.mp4']").wait_for()
    assert page.locator("#files a[download='photo-swing.mp4']").count() == 1
    for name, shape in [("photo-zoom.mp4", (48, 48)), ("photo-swing.mp4", (48, 64))]:
        with page.expect_download() as download:
            page.locator(f"#files a[download='{name}']").click()
        assert iio.imread(download.value.path(), extension=".mp4").shape[1:3] == shape
    page.get_by_role("radio", name="As the photo").check(force=True)


def test_a_video_has_the_length_and_size_that_were_asked_for_and_loops(desk: Tab, tmp_path: Path) -> None:
    page = desk.page
    waves = 127 + 100 * np.sin(np.arange(600) / 15)  # broad, so that the farther the camera, the larger the difference
    Image.fromarray(np.tile(waves.astype(np.uint8)[:, None], (240, 1, 3))).save(tmp_path / "large.png")
    desk.bring(tmp_path / "large.png")
    page.get_by_role("radio", name="Side to side").check(force=True)
    desk.settings(speed="2")
    page.locator("#webp").check()
    page.locator("#make").click()
    for name in ("large-swing.mp4", "large-swing.webp"):
        with page.expect_download() as download:
            page.locator(f"#files a[download='{name}']").click()
        if name.endswith("webp"):
            with Image.open(download.value.path()) as loop:
                assert 10 <= loop.n_frames <= 15  # equal ones are one
            continue
        frames = iio.imread(download.value.path(), extension=".mp4").astype(float)
        assert frames.shape == (30, 192, 480, 3)
        first_step, quarter, back = (np.abs(frames[i] - frames[0]).mean() for i in (1, 6, -1))
        assert back < 1.5 * first_step < 1.5 * quarter
    page.locator("#webp").uncheck()
    desk.settings(speed="1")
    desk.bring(make_photo(tmp_path / "photo.png"))  # what the next tests look at


def test_every_file_says_what_it_is_for(desk: Tab) -> None:
    rows = desk.page.locator("#files li").all()
    assert rows
    assert all(len(row.locator(".for").inner_text()) > 10 for row in rows)


def test_motions_strength_and_speed_act_in_the_3d_view(desk: Tab) -> None:
    page = desk.page
    page.locator("#tab-3d").click()
    page.get_by_role("radio", name="Circle").check(force=True)
    desk.view.locator("body.ready").wait_for()
    frame = desk.viewer
    radius = "Math.hypot(mineViewer.view().T[3], mineViewer.view().T[7])"  # the same all along a circle
    assert wait_until(lambda: frame.evaluate(radius) > 0.001)
    assert page.locator("#play").inner_text() == "Pause"
    normal = frame.evaluate(radius)
    desk.settings(amount="3", speed="3")
    assert wait_until(lambda: frame.evaluate(radius) == pytest.approx(3 * normal, rel=0.01))
    desk.settings(amount="0.2")
    assert wait_until(lambda: frame.evaluate(radius) == pytest.approx(0.2 * normal, rel=0.01))
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play"
    desk.settings(amount="1", speed="1")


def test_tabs_show_depth_and_photo_beside_depth(desk: Tab) -> None:
    page = desk.page
    page.locator("#tab-3d").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#tab-depth").get_attribute("aria-selected") == "true"
    assert wait_until(lambda: desk.viewer.evaluate("getComputedStyle(document.getElementById('range')).opacity") == "1")
    page.keyboard.press("ArrowRight")
    page.locator("#compare").wait_for()
    slider = page.get_by_label("Photo on the left, depth on the right")
    slider.focus()
    before = page.locator("#compare-depth").screenshot()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert page.locator("#compare-depth").screenshot() != before
    assert image_size(page, "#compare-depth") == 64
    page.locator("#tab-3d").click()


def test_depth_and_lens_make_another_scene(desk: Tab, app: tuple[str, JobRunner], tmp_path: Path) -> None:
    """With a field of view, near and far swapped, and a depth map of the visitor's own: near at its right."""
    page = desk.page
    desk.bring(make_photo(tmp_path / "lens.png"))
    iio.imwrite(tmp_path / "map.png", np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1)))
    page.locator("#depth-settings summary").click()
    page.set_input_files("#map", tmp_path / "map.png")
    page.get_by_text("map.png is used when you make the scene again").wait_for()
    desk.settings(fov="40", strength="2")
    assert page.locator("label:has(#fov) output").inner_text() == "40°"

    def made_again() -> MPI:
        """The scene as it is after a click."""
        before = set(app[1].scenes.root.glob("*/lens.mpi"))
        page.evaluate("delete document.getElementById('viewer').dataset.ready")
        page.locator("#again").click()
        page.locator("#viewer[data-ready='lens']").wait_for()
        (made,) = set(app[1].scenes.root.glob("*/lens.mpi")) - before
        return MPI.open(made)

    def sides(scene: MPI) -> tuple[float, float]:
        depth = scene.render(torch.eye(4), size=(12, 16)).depth[0, 0]
        return float(depth[:, :4].mean()), float(depth[:, 12:].mean())

    scene = made_again()
    focal = scene.plane_size[1] / 2 / np.tan(np.radians(20))
    assert float(scene.K[0, 0]) == pytest.approx(focal, rel=0.02)
    left, right = sides(scene)
    assert left > 2 * right
    page.locator("#invert").check()
    left, right = sides(made_again())
    assert right > 2 * left
    page.locator("#no-map").click()
    assert page.locator("#map-name").is_hidden()
    page.locator("#invert").uncheck()
    desk.settings(fov="0", strength="1")
    page.locator("#depth-settings summary").click()
    desk.bring(make_photo(tmp_path / "photo.png"))  # what the next tests look at


def test_stereo_pictures_and_models_join_the_list(desk: Tab) -> None:
    page = desk.page
    for form, name in [("stereo:side-by-side", "photo-side-by-side.jpg"), ("model", "photo-model.glb")]:
        page.select_option("#form", form)
        page.locator("#make-form").click()
        with page.expect_download() as download:
            page.locator(f"#files a[download='{name}']").click()
        if name.endswith("jpg"):
            assert iio.imread(download.value.path()).shape == (48, 128, 3)
        else:
            assert Path(download.value.path()).read_bytes()[:4] == b"glTF"


def test_a_video_is_shared_as_a_file(desk: Tab) -> None:
    page = desk.page
    button = page.get_by_role("button", name="Share photo-swing.mp4")
    button.click()
    page.wait_for_function("shared.length === 1")
    title, (name, kind, size) = page.evaluate("shared[0]")
    assert (title, name, kind, size > 1000) == ("photo-swing.mp4", "photo-swing.mp4", "video/mp4", True)
    before = len(desk.requests)
    page.evaluate("window.refusal = 'NotAllowedError'")  # the tap is long ago
    button.click()
    page.get_by_text("tap Share once more").wait_for()
    assert desk.requests[before:] == [], "the file is at hand"
    page.evaluate("window.refusal = 'AbortError'")  # the visitor thought better of it
    button.click()
    page.wait_for_function("shared.length === 3")
    page.evaluate("window.unshared = 'video/mp4'")
    button.click()
    page.get_by_text("cannot share such files").wait_for()
    assert page.evaluate("shared.length") == 3


def test_a_file_that_the_server_removed_leaves_the_list(desk: Tab, app: tuple[str, JobRunner]) -> None:
    page = desk.page
    for action, name in (("Share", "photo-zoom.mp4"), ("Download", "photo-model.glb")):
        (file,) = app[1].scenes.root.glob(f"*/*/{name}")
        file.unlink()
        page.locator(f"[aria-label='{action} {name}']").click()
        page.locator("#said").get_by_text("no longer here: make it again").wait_for()
        assert page.locator(f"#files a[download='{name}']").count() == 0
        page.evaluate("document.getElementById('said').textContent = ''")
    assert page.locator("#files a[download='photo-swing.mp4']").count() == 1


def test_the_link_of_a_scene_opens_it_shut_off_from_this_site(desk: Tab, browser: Browser) -> None:
    page = desk.page
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the link of photo.html").click()
    page.get_by_text("Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = new_page(browser)
    answer = other.goto(link)
    assert "sandbox" in answer.headers["content-security-policy"]
    other.locator("body.ready").wait_for()
    assert other.evaluate("origin") == "null"
    other.close()
    page.get_by_role("button", name="Copy the embed code of photo.html").click()
    assert wait_until(lambda: page.evaluate("navigator.clipboard.readText()").startswith('<iframe src="photo.html"'))


# --- visits


def test_files_can_be_dropped_and_pasted(desk: Tab, tmp_path: Path) -> None:
    """On the page, and on the 3D view, which is a page of its own."""
    send = """([kind, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
      const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
        : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    }"""
    reached = "getComputedStyle(document.getElementById('viewer')).pointerEvents"
    desk.page.evaluate(send, ["dragenter", "a.png", []])
    assert desk.page.evaluate(reached) == "none"
    for kind in ("drop", "paste"):
        photo = make_photo(tmp_path / f"{kind}.png", (50, 60, 20 if kind == "drop" else 200))
        desk.page.evaluate(send, [kind, photo.name, list(photo.read_bytes())])
        desk.page.locator(f"#files a[download='{kind}.html']").wait_for()
        assert desk.page.evaluate(reached) == "auto"
    desk.viewer.evaluate(send, ["drop", "notes.png", [1, 2, 3]])
    desk.page.locator("#problem").get_by_text("notes.png is not an image").wait_for()


def test_a_closed_page_leaves_nothing(browser: Browser, app: tuple[str, JobRunner], tmp_path: Path) -> None:
    tab = Tab(browser, app[0], **DESKTOP)
    tab.settings(planes="4", detail="Draft")
    tab.bring(make_photo(tmp_path / "leaving.png", (7, 7, 99)))
    assert list(app[1].scenes.root.glob("*/leaving.mpi"))
    tab.context.close()
    assert wait_until(lambda: files_left(app[1].scenes.root, "*/leaving*") == [], 30)
