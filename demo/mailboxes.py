"""The messages that wait for visitors. Gradio keeps those of 2000 sessions, which a stranger can name in a minute."""

import asyncio
from typing import Any

from gradio.queueing import Queue
from gradio.utils import LRUCache

KEPT = 2000
"""Sessions whose messages are kept, as many as Gradio does."""


class Mailboxes(LRUCache[str, "asyncio.Queue[Any]"]):
    """The messages of each session; of too many, the oldest goes that has no job waiting or running.

    Gradio's own would drop the oldest of all, whose visitor then gets no result.

    Args:
        queue: Gradio's queue of jobs.
        kept: Most sessions.
    """

    def __init__(self, queue: Queue, kept: int = KEPT) -> None:
        super().__init__(kept)
        self._jobs = queue

    def __setitem__(self, session: str, messages: "asyncio.Queue[Any]") -> None:
        """Adds a session's messages."""
        if session not in self and len(self) >= self.max_size:
            busy = {event.session_hash for event in self._jobs.event_ids_to_events.values()}
            idle = next((other for other in self if other not in busy), session)
            self.pop(idle, None)
            self._jobs.pending_event_ids_session.pop(idle, None)
        super().__setitem__(session, messages)

    def __missing__(self, session: str) -> "asyncio.Queue[Any]":
        """Messages that nobody will read."""
        return asyncio.Queue()
