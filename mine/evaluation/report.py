"""The metrics of an evaluation by scene and method, their means, and how they are written as a table or as JSON."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from mine.errors import InputError
from mine.files import replacing

Metrics = dict[str, float]
"""Values by the names of their metrics; NaN where a metric is undefined."""


@dataclass
class Report:
    """Metrics of single views, kept by scene and method. Means leave out NaN.

    Attributes:
        notes: Remarks that belong below the table.
        views: The metrics of each view, by scene and method.
    """

    notes: list[str] = field(default_factory=list)
    views: dict[str, dict[str, list[Metrics]]] = field(default_factory=dict)

    def add(self, scene: str, method: str, metrics: Metrics) -> None:
        """Adds the metrics of one view."""
        self.views.setdefault(scene, {}).setdefault(method, []).append(metrics)

    def scenes(self) -> dict[str, dict[str, Metrics]]:
        """Means over the views of each scene, by scene and method."""
        return {
            scene: {method: _mean(views) for method, views in methods.items()} for scene, methods in self.views.items()
        }

    def mean(self) -> dict[str, Metrics]:
        """Means over the scenes, by method: every scene has the same weight, however many views it has."""
        by_method: dict[str, list[Metrics]] = {}
        for methods in self.scenes().values():
            for method, metrics in methods.items():
                by_method.setdefault(method, []).append(metrics)
        return {method: _mean(metrics) for method, metrics in by_method.items()}

    def markdown(self) -> str:
        """A table with one row per scene and method; the means are the last rows, the notes stand below."""
        names = list(dict.fromkeys(name for metrics in self.mean().values() for name in metrics))
        lines = ["| scene | method | views | " + " | ".join(names) + " |", "|---|---|--:|" + "--:|" * len(names)]
        for scene, methods in [*self.scenes().items(), ("mean", self.mean())]:
            for method, metrics in methods.items():
                count = sum(len(self.views[s].get(method, [])) for s in self.views if scene in (s, "mean"))
                cells = [_cell(name, metrics.get(name, math.nan)) for name in names]
                lines.append(f"| {scene} | {method} | {count} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n" + "".join(f"\n{note}\n" for note in self.notes)


def write_report(report: Report, path: str | Path) -> None:
    """Writes a report as JSON (`.json`) or as a Markdown table (`.md`).

    Raises:
        InputError: The suffix is another one, or the folder cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".json", ".md"):
        raise InputError(f"report {path} ends in {suffix!r}: give a name ending in .json or .md")
    tree = {"mean": report.mean(), "scenes": report.scenes(), "notes": report.notes}
    text = report.markdown() if suffix == ".md" else json.dumps(_without_nan(tree), indent=2) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _mean(rows: list[Metrics]) -> Metrics:
    """Mean of each metric over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _finite_mean([row[name] for row in rows if name in row]) for name in names}


def _finite_mean(values: list[float]) -> float:
    """Mean without NaN; NaN when nothing is left."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _cell(name: str, value: float) -> str:
    """A metric as a cell of the table: decibels with two digits, all others with three."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if name.startswith("psnr") else f"{value:.3f}"


def _without_nan(tree: object) -> object:
    """The tree with null in place of NaN and infinity, which JSON lacks."""
    if isinstance(tree, dict):
        return {key: _without_nan(value) for key, value in tree.items()}
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
