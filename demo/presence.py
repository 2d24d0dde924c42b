"""Who is there, and what they brought: each page tells by a session, a name that nobody else knows."""

import json
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mine.demo.uploads import UPLOAD, upload_path

HEARTBEAT = "/gradio_api/heartbeat/"

NAME = 64
"""Most characters of a session's name that uploads are remembered by: the page's have 24, those of clients 36."""

ANSWER = 1 << 16
"""Most bytes of the answer to an upload that are looked at: it is a list of paths."""


class Visits(Protocol):
    """What is told of visitors."""

    def arrive(self, session: str) -> None:
        """A page of a session holds a connection open."""

    def leave(self, session: str, returns: bool) -> None:
        """Such a connection ended: for good, or it returns, for its page says when it is closed."""

    def end(self, session: str) -> None:
        """The page of a session was closed."""

    def bring(self, session: str, folder: Path) -> None:
        """An upload of a session lies in a folder."""


class Presence:
    """ASGI middleware that counts each session's open pages, by the connections that they hold open.

    Pages whose address ends in ?farewell send a last request to the same address when they are closed, which ends the
    session: where none came, the connection was lost. Only the page knows its session, which is in no answer to others.

    Args:
        app: The application behind it.
        visits: What is told of it.
    """

    def __init__(self, app: ASGIApp, visits: Visits) -> None:
        self.app, self.visits = app, visits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts a heartbeat while it is open, and answers the last one."""
        if scope["type"] != "http" or not scope["path"].startswith(HEARTBEAT):
            return await self.app(scope, receive, send)
        session = scope["path"].removeprefix(HEARTBEAT)
        if scope["method"] == "POST":
            self.visits.end(session)
            return await Response(status_code=204)(scope, receive, send)
        returns = "farewell" in parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        self.visits.arrive(session)
        try:
            await self.app(scope, receive, send)
        finally:
            self.visits.leave(session, returns)


class Belongings:
    """ASGI middleware that tells whose an upload is, where its address names a session.

    Args:
        app: The application behind it.
        folder: Folder of the uploads.
        visits: What is told of it.
    """

    def __init__(self, app: ASGIApp, folder: Path, visits: Visits) -> None:
        self.app, self.folder, self.visits = app, folder, visits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes requests on, and reads what is answered to uploads before their visitor does."""
        if scope["type"] != "http" or scope["path"].rstrip("/") != UPLOAD:
            return await self.app(scope, receive, send)
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session", [""])[0]
        if not 0 < len(session) <= NAME:
            return await self.app(scope, receive, send)
        body = bytearray()

        async def send_read(message: Message) -> None:
            if message["type"] == "http.response.body" and len(body) <= ANSWER:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    self._tell(session, bytes(body))
            await send(message)

        await self.app(scope, receive, send_read)

    def _tell(self, session: str, body: bytes) -> None:
        """Tells of the folders of uploads in an answer: a JSON list of paths, or words that say why there are none."""
        try:
            paths = json.loads(body)
        except ValueError:
            return
        for name in paths if isinstance(paths, list) else []:
            path = upload_path(name, self.folder) if isinstance(name, str) else None
            if path is not None:
                self.visits.bring(session, path.parent)
