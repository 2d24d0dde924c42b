"""The benchmark: what it times is the same work, and its ratios are to the reference."""

import json

import pytest

from mine.cli import bench
from mine.cli.bench import Row, as_dict, table


def test_ratios_are_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(
        [0, 9, 9, 10, 10, 14, 14, 15, 15, 19, 19, 21, 21, 25, 25, 26]
    )  # each function's start and end, in turns
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    reference, ours = bench._compare({"reference": lambda: None, "ours": lambda: None})
    assert reference == Row("reference", 4, 1)  # the first turn, of 9, warmed up
    assert ours == Row("ours", 1, 4)


def test_work_without_a_reference_has_no_ratio() -> None:
    (row,) = bench._compare({"alone": lambda: None})
    assert row.ratio is None and row.seconds >= 0


def test_rows_are_written_as_text_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row("reference", 1.5, 1.0), Row("ours", 0.25, 6.0), Row("alone", 2.0, None)]
    text = table(rows).splitlines()
    assert text[1].split() == ["ours", "250.0", "ms", "6.0x"]
    assert text[2].split() == ["alone", "2000.0", "ms"]
    tree = json.loads(json.dumps(as_dict(rows)))
    assert tree["rows"][1] == {"name": "ours", "seconds": 0.25, "ratio": 6.0}
    assert tree["threads"] >= 1 and tree["peak_memory_gb"] > 0.05
    monkeypatch.setattr(bench, "peak_memory", lambda: None)
    assert as_dict(rows)["peak_memory_gb"] is None and "memory not known" in table(rows)


def test_the_renderers_render_the_same_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small scene, through the function that times the large one."""
    for name, value in (("SIZE", (64, 64)), ("PLANES", 3), ("REPETITIONS", 1)):
        monkeypatch.setattr(bench, name, value)
    results = {}
    monkeypatch.setattr(bench, "_compare", lambda works: results.update({k: f() for k, f in works.items()}) or [])
    bench._rendering()
    published, *ours = results.values()
    assert all((published.rgb - view.rgb).abs().max() < 1e-3 for view in ours)
