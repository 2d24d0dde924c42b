"""Limits on uploads, and broken uploads."""

import os
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD = "/gradio_api/upload"

OVERHEAD = 1 << 20
"""Bytes that a request may have beyond the largest file: names and boundaries."""

BODY = 1 << 20
"""Bytes that any other request may have: the page's calls have some hundred."""

LOGIN, LOGIN_BODY = "/login", 1 << 14
"""Bytes that a request to log in may have, which whoever knows no password sends."""

CLIENT_BYTES, CLIENT_SECONDS = 400 << 20, 600.0
"""Bytes that an address may upload within so many seconds."""

LEAST = 1 << 17
"""Bytes that an upload counts at least: a folder is more work than its bytes, and they are all walked through."""

PARTS = 8
"""Delimiters of parts in an upload, of which a photo has two: Gradio would hold a file open for each of 1000."""

ALL_BYTES = 2 << 30
"""Bytes of uploads and results that may lie in the demo's folder; more uploads are refused until some are removed."""

REMEMBERED = 10_000
"""Addresses whose uploads are counted."""


class LimitBodies:
    """ASGI middleware that refuses requests with a body, other than uploads, that is long or does not tell its length.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 411 or 413 to such a request, passes others on."""
        path = scope.get("path", "").rstrip("/")
        if scope["type"] != "http" or path == UPLOAD:
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        limit = LOGIN_BODY if path == LOGIN else BODY
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers:
            return await PlainTextResponse("A request must tell its length", 411)(scope, receive, send)
        if not length.isdecimal() or len(length) > 20 or int(length) > limit:
            return await PlainTextResponse(f"This may have {limit} bytes", 413)(scope, receive, send)
        # The server reads no more of a body than the length that it tells.
        await self.app(scope, receive, send)


class LimitUploads:
    """ASGI middleware that refuses uploads that are too large, too many, or find no room.

    Args:
        app: The application behind it.
        folder: Folder of the uploads.
        largest: Bytes of the largest file.
        client_bytes: Bytes that an address may upload within CLIENT_SECONDS.
        all_bytes: Bytes that may lie in the folder.
    """

    def __init__(
        self,
        app: ASGIApp,
        folder: Path,
        largest: int,
        client_bytes: int = CLIENT_BYTES,
        all_bytes: int = ALL_BYTES,
    ) -> None:
        self.app, self.folder, self.largest = app, folder, largest
        self.client_bytes, self.all_bytes = client_bytes, all_bytes
        self._sent: OrderedDict[str, list[tuple[float, int]]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413, 429 or 507 to such an upload, passes others on."""
        if scope["type"] != "http" or scope["path"].rstrip("/") != UPLOAD or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() and len(length) < 20 else None
        refusal = self._refusal((scope.get("client") or ("",))[0], size)
        if refusal is not None:
            return await refusal(scope, receive, send)
        # The server reads no more of a body than the length that it tells.
        await self.app(scope, _few_parts(receive, headers.get("content-type", "")), send)

    def _refusal(self, address: str, size: int | None) -> PlainTextResponse | None:
        """Why an upload is refused; else it is counted and None."""
        if size is None:
            return PlainTextResponse("An upload must tell its length", 411)
        if size > self.largest + OVERHEAD:
            return PlainTextResponse(f"Photos may have {self.largest >> 20} MB: this exceeds the maximum", 413)
        now, size = time.monotonic(), max(size, LEAST)
        sent = [(when, bytes_) for when, bytes_ in self._sent.get(address, []) if when > now - CLIENT_SECONDS]
        if sum(bytes_ for _, bytes_ in sent) + size > self.client_bytes:
            return PlainTextResponse("That is a lot of photos: wait ten minutes", 429, {"Retry-After": "600"})
        if folder_bytes(self.folder) + size > self.all_bytes:
            return PlainTextResponse("There is no room for more photos now: try again in a minute", 507)
        self._sent[address] = [*sent, (now, size)]
        self._sent.move_to_end(address)
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return None


def _few_parts(receive: Receive, content_type: str) -> Receive:
    """The messages of an upload; of too many parts, MultiPartException, which Gradio answers with its text."""
    _, options = parse_options_header(content_type)
    delimiter = b"--" + options.get(b"boundary", b"")
    left, tail = PARTS, b""

    async def next_message() -> Message:
        nonlocal left, tail
        message = await receive()
        seen = tail + message.get("body", b"")
        left -= seen.count(delimiter)
        tail = seen[1 - len(delimiter) :]
        if left < 0:
            raise MultiPartException("Send one photo at a time")
        return message

    return next_message


def upload_path(name: str, folder: Path) -> Path | None:
    """The file of a name, None unless it lies in a folder of `folder`, as uploads do; it need not be there any more."""
    try:
        path = Path(name).resolve()
    except ValueError:  # characters that no name has
        return None
    return path if path.parent.parent == folder.resolve() else None


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder and below."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed meanwhile
                total += os.stat(os.path.join(root, name)).st_size
    return total
