"""The page behind nginx, which takes a prefix off, as docs/web-page.md configures it: a visit in a browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import new_page
from demo_server import make_photo, running_demo, wait_until
from playwright.sync_api import Browser
from ports import free_port

from mine.model import load

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")

DOCS = Path(__file__).parents[2] / "docs" / "web-page.md"
FRAME = """daemon off; pid %s/pid; error_log %s/error.log; worker_processes 1;
events {}
http {
  access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/f;
  uwsgi_temp_path %s/u; scgi_temp_path %s/s;
  server { listen 127.0.0.1:%d; %s }
}
"""


def test_a_visit_behind_nginx_with_a_prefix(browser: Browser, tiny_checkpoint: Path, tmp_path: Path) -> None:
    location = re.search(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert location is not None
    port = free_port()
    outer = f"http://127.0.0.1:{port}/photos"
    with running_demo(load(tiny_checkpoint, device="cpu"), url=outer) as (inner, _):
        block = location[1].replace("http://127.0.0.1:7860/", inner)
        config = tmp_path / "nginx.conf"
        config.write_text(FRAME % (*[tmp_path] * 7, port, block))
        proxy = subprocess.Popen([str(NGINX), "-p", str(tmp_path), "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            assert wait_until(lambda: (tmp_path / "pid").is_file())
            page = new_page(browser)
            requests: list[str] = []
            page.on("request", lambda request: requests.append(request.url))
            page.goto(f"{outer}/")
            page.locator("#studio[data-state=scene]").wait_for()
            page.evaluate("document.getElementById('planes').value = 4")
            page.evaluate("document.getElementById('detail').value = 'Draft'")
            page.set_input_files("#photo input[type=file]", make_photo(tmp_path / "photo.png"))
            page.locator("#viewer[data-ready='photo']").wait_for()
            page.context.close()
            assert [url for url in requests if not url.startswith((outer, "data:", "blob:"))] == []
        finally:
            proxy.terminate()
            proxy.wait()
