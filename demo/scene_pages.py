"""Scene pages: Gradio serves HTML as a download; this shows it, shut off from the page around and from other sites.

The viewer without a scene is such a page as well: the page around sends it one scene after another.
"""

import re
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mine.output.web.html import viewer_page

ROUTE = "/scene/"
VIEWER = "/scene/viewer.html"
PAGE = re.compile(r"/scene/scenes/[\w-]+/[^/]+\.html")

POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors {ancestors}"
)
"""The page is a visitor's: it runs as if from another site, and reaches nothing of this one."""


class ScenePages:
    """ASGI middleware that answers /scene/scenes/TOKEN/NAME.html with that page, and /scene/viewer.html.

    The request goes on as Gradio's request for the file, so that Gradio checks whether the visitor may have it.

    Args:
        app: The application behind it.
        folder: Folder that the demo serves.
        ancestors: Sites that may show such a page in a frame, which all frames around it must be of.
    """

    def __init__(self, app: ASGIApp, folder: Path, ancestors: str = "'self'") -> None:
        self.app, self.folder, self.policy = app, folder, POLICY.format(ancestors=ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Shows such a page, passes other requests on."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path == VIEWER:
            answer = HTMLResponse(viewer_page(), headers={"Content-Security-Policy": self.policy})
            return await answer(scope, receive, send)
        if scope["type"] != "http" or not PAGE.fullmatch(path):
            return await self.app(scope, receive, send)
        inner = f"/gradio_api/file={self.folder}/{path.removeprefix(ROUTE)}"
        scope = {**scope, "path": inner, "raw_path": inner.encode()}

        async def send_shown(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 206, 304):
                headers = MutableHeaders(scope=message)
                del headers["content-disposition"]
                headers["content-type"] = "text/html; charset=utf-8"
                headers["content-security-policy"] = self.policy
            await send(message)

        await self.app(scope, receive, send_shown)
