"""The messages that wait for visitors, when strangers come in thousands."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gradio.queueing import Queue

from mine.demo.app import build
from mine.demo.jobs import JobRunner
from mine.demo.mailboxes import Mailboxes
from mine.demo.worker import Workers


def boxes(kept: int, busy: tuple[str, ...] = ()) -> tuple[Mailboxes, dict[str, set[str]]]:
    """Mailboxes of a queue in which these sessions have jobs, and the events that it knows of each session."""
    events: dict[str, set[str]] = {}
    jobs = {name: SimpleNamespace(session_hash=name) for name in busy}
    queue = SimpleNamespace(event_ids_to_events=jobs, pending_event_ids_session=events)
    return Mailboxes(cast(Queue, queue), kept), events


def test_strangers_push_out_nobody_who_has_a_job() -> None:
    mail, events = boxes(10, busy=("visitor",))
    own = mail["visitor"] = asyncio.Queue()
    for number in range(100):
        events[f"stranger {number}"] = {"event"}
        mail[f"stranger {number}"] = asyncio.Queue()
    assert mail["visitor"] is own
    assert len(mail) == 10
    assert list(mail)[1:] == list(events) == [f"stranger {number}" for number in range(91, 100)]


def test_a_session_that_is_there_pushes_out_none() -> None:
    mail, _ = boxes(2)
    mail["a"] = mail["b"] = asyncio.Queue()
    again = mail["a"] = asyncio.Queue()
    assert set(mail) == {"a", "b"} and mail["a"] is again


def test_messages_for_nobody_are_no_error() -> None:
    mail, _ = boxes(2)
    mail["gone"].put_nowait("result")
    assert "gone" not in mail and len(mail) == 0


def test_the_page_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page: Any = build(JobRunner(cast(Workers, SimpleNamespace(count=1)), tmp_path))
    assert isinstance(page._queue.pending_messages_per_session, Mailboxes)
