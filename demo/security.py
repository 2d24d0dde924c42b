"""What every request must be: for this host, from this page, logged in where that is asked for. And safe to show."""

import asyncio
import ipaddress
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every answer."""

POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors {ancestors}"
)
"""What pages may load: this server's files alone. Gradio's own scripts need inline code and eval."""

NAMED = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII | re.IGNORECASE)
"""A host as requests name it: with a port or without."""

WRONG_DELAY = 1.0
"""Seconds that the answer to a wrong password takes."""

WRONG_LIMIT, WRONG_SECONDS = 8, 60.0
"""Wrong passwords from an address after which it is refused, and for how many seconds."""

REMEMBERED = 1000
"""Addresses whose wrong passwords are remembered."""

LOGIN_PATHS = ("/", "/login", "/logout", "/theme.css", "/gradio_api/theme.css", "/favicon.ico", "/manifest.json")
START = "/gradio_api/startup-events"
LOGIN_FOLDERS = ("/assets/", "/static/", "/svelte/")
"""What the login page needs."""


class CheckHost:
    """ASGI middleware that refuses requests for other hosts, and those that other sites' pages send.

    A page of another site can make its own name point to this machine (DNS rebinding): its requests then come with that
    name as their host. Numbers are no names, so that they are safe.

    Args:
        app: The application behind it.
        hosts: Names that this server goes by, in small letters; a leading dot allows all names below.
    """

    def __init__(self, app: ASGIApp, hosts: set[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 421 for another host and 403 for another site's request, passes others on."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = MutableHeaders(scope=scope)
        host = _named(headers.get("host", ""))
        if not self._known(host):
            answer = PlainTextResponse("This server does not go by that name: see --url", status_code=421)
            return await answer(scope, receive, send)
        origin = headers.get("origin")
        if origin and scope.get("method") not in ("GET", "HEAD", "OPTIONS"):
            sender = _hostname(origin)
            if sender != host and not self._known(sender, numbers=False):
                answer = PlainTextResponse("Other sites may not send this", status_code=403)
                return await answer(scope, receive, send)
        # Gradio believes that these are the page's address, and a call ends without an answer where they are none.
        del headers["x-gradio-server"]
        if not self._known(_named(headers.get("x-forwarded-host", ""))):
            del headers["x-forwarded-host"]
        await self.app(scope, receive, send)

    def _known(self, host: str, numbers: bool = True) -> bool:
        if host in self.hosts or any(name.startswith(".") and host.endswith(name) for name in self.hosts):
            return True
        if not numbers:
            return False
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def own_hosts(url: str | None, share: bool, space: str | None) -> set[str]:
    """The names that the server goes by.

    Args:
        url: Address at which a reverse proxy serves it, or None.
        share: Whether it is shared through gradio.live.
        space: Host of the Hugging Face Space that it runs in, or None.
    """
    machine = socket.gethostname().lower()
    hosts = {"localhost", machine, f"{machine}.local"}
    hosts |= {_hostname(url)} if url else set()
    hosts |= {".gradio.live"} if share else set()
    hosts |= {space.lower(), ".hf.space"} if space else set()
    return hosts


class SafeHeaders:
    """ASGI middleware that adds headers which keep browsers from misusing what this server sends.

    Args:
        app: The application behind it.
        ancestors: Sites that may show the page in a frame.
    """

    def __init__(self, app: ASGIApp, ancestors: str = "'self'") -> None:
        self.app, self.policy = app, POLICY.format(ancestors=ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and adds the headers to its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Gradio lets the pages of all sites read what a server in the local network answers.
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", self.policy)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class Login:
    """ASGI middleware for pages with a password: opens no route but those of the login page, and slows down guessing.

    Args:
        app: The application behind it.
        user: Who is logged in with a cookie of these cookies, or None.
        delay: Seconds that the answer to a wrong password takes.
        starting: Let Gradio's own request pass by which it starts.
    """

    def __init__(
        self,
        app: ASGIApp,
        user: Callable[[dict[str, str]], str | None],
        delay: float = WRONG_DELAY,
        starting: bool = False,
    ) -> None:
        self.app, self.user, self.delay, self.starting = app, user, delay, starting
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401 or 429, or passes the request on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].rstrip("/") or "/"
        if path == "/login" and scope["method"] == "POST":
            return await self._log_in(scope, receive, send)
        if path == START and self.starting:
            return await self.app(scope, receive, send)
        if path in LOGIN_PATHS or path.startswith(LOGIN_FOLDERS):
            return await self.app(scope, receive, send)
        if self.user(cookie_parser(Headers(scope=scope).get("cookie", ""))) is None:
            answer = PlainTextResponse("Not authenticated", status_code=401)
            return await answer(scope, receive, send)
        await self.app(scope, receive, send)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an attempt on, unless its address has made too many; the answer to a wrong one takes a second."""
        address = (scope.get("client") or ("",))[0]
        now = time.monotonic()
        wrong = [when for when in self._wrong.get(address, []) if when > now - WRONG_SECONDS]
        if len(wrong) >= WRONG_LIMIT:
            answer = PlainTextResponse(
                "Too many wrong passwords: wait a minute", 429, {"Retry-After": str(round(WRONG_SECONDS))}
            )
            return await answer(scope, receive, send)
        # Counted before the answer, so that many attempts at once are many; a right one takes itself back.
        self._wrong[address] = [*wrong, now]
        self._wrong.move_to_end(address)
        while len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)

        async def send_slowly(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] < 400:
                    self._wrong.pop(address, None)
                else:
                    await asyncio.sleep(self.delay)
            await send(message)

        await self.app(scope, receive, send_slowly)


def _named(host: str) -> str:
    """The name in a header that tells a host; "" where it tells none."""
    return _hostname(f"//{host}") if NAMED.fullmatch(host) else ""


def _hostname(url: str) -> str:
    """The host of an address in small letters, without its port; "" when there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
