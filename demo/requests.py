"""Requests that Gradio would stumble over: each gets one line for an answer, and leaves nothing on the console."""

import errno
import json
import re

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mine.demo.presence import NAME
from mine.demo.uploads import UPLOAD

CALL = re.compile(r"/gradio_api/(?:(call/v2/.+)|call/.+|run/stop|queue/join|cancel|reset)/?", re.DOTALL)
"""Paths that take JSON; the group is there where the keys are the names of inputs."""

KEYS = ("data", "fn_index", "session_hash", "event_id")
"""What is read of other calls. Gradio has more, for its own pages."""

QUERIES = {UPLOAD: b"", "/gradio_api/info": b"page="}
"""Queries in place of those that are sent: Gradio would remember any upload_id for ever, and show whoever asks for the
description of the API without naming a page the address by which the first one asked."""


class PlainRequests:
    """ASGI middleware that passes on what the page and clients of the API send, and refuses what Gradio fails at.

    Args:
        app: Gradio. What it raises for a request is that request's fault, except where the machine lacks something.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 400 to such a request, passes others on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            # Gradio answers 500 where a function without a queue refuses its inputs.
            await send({**message, "status": 400} if message.get("status") == 500 else message)

        try:
            call = CALL.fullmatch(scope["path"]) if scope["method"] == "POST" else None
            if call:
                receive = _again(_plain(await _body(receive), by_name=call[1] is not None), receive)
            query = QUERIES.get(scope["path"].rstrip("/"), scope["query_string"])
            scope = {**scope, "query_string": query}
            await self.app(scope, receive, send_noted)
        except ClientDisconnect:
            return  # no error, and nobody waits for an answer
        except Exception as error:
            if _is_ours(error):
                raise
            if started:  # the stream of a call that is not there, for example: it has said so
                await send({"type": "http.response.body", "body": b""})
            else:
                refusal = PlainTextResponse("This request makes no sense: see the API page, ?view=api", 400)
                await refusal(scope, receive, send)


def _is_ours(error: Exception) -> bool:
    """Whether an exception tells that the machine lacks something, such as room on the disk."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG)


async def _body(receive: Receive) -> bytes:
    """All of a request's body, whose length is limited before."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _plain(body: bytes, by_name: bool) -> bytes:
    """A call as JSON without what nobody sends: numbers that are none, halves of characters, long names of sessions.

    Raises:
        ValueError: For anything else; TypeError and RecursionError too.
    """
    sent = json.loads(body)
    if not by_name:
        sent = {key: sent[key] for key in KEYS if key in sent}
        if any(len(sent.get(key) or "") > NAME for key in ("session_hash", "event_id")):
            raise ValueError("too long")
    return json.dumps(sent, allow_nan=False, ensure_ascii=False).encode()


def _again(body: bytes, receive: Receive) -> Receive:
    """Messages of a request whose body was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
