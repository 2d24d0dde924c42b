"""A short run of the fuzzers in `fuzz/`: docs/reliability.md has the figures of long ones."""

import random
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))

from fuzz_readers import fuzz
from mutate import CHANGES, mutate
from seeds import READERS

EXECUTIONS = {"checkpoint": 8, "video": 12, "published": 60, "configuration": 60, "path": 100}
EXECUTIONS |= dict.fromkeys(("ibims", "nyu", "kitti", "dtu", "rgbd", "flowers"), 60)
"""Fewer for slow readers."""


@pytest.mark.parametrize("name", READERS)
def test_changed_files_are_read_or_refused_in_one_line(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        account = fuzz(name, seed=1, executions=EXECUTIONS.get(name, 200), seconds=60)
    assert not account.broken
    assert account.refused > 0


def test_broken_promises_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""

    def read(path: Path) -> None:
        raise KeyError("not an InputError")

    monkeypatch.setitem(READERS, "path", READERS["path"]._replace(read=read))
    account = fuzz("path", seed=1, executions=5, seconds=60)
    assert len(account.broken) == 5 and "KeyError" in account.broken[0]


def test_changes_depend_on_the_seed_alone() -> None:
    content = b"some text, 3.5 and other numbers: 17" * 20
    changed = {mutate(content, random.Random(seed)) for seed in range(50)}
    assert changed == {mutate(content, random.Random(seed)) for seed in range(50)}
    assert len(changed) > 40
    for change in CHANGES:
        assert any(change(content, random.Random(seed)) != content for seed in range(5))
