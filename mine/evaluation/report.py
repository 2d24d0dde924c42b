"""Figures per scene and method, their means, and how they are written down."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from mine.errors import InputError
from mine.files import replacing

Figures = dict[str, float]


@dataclass
class Report:
    """Figures of single views, kept by scene and method. Means leave out NaN: a figure that does not exist there.

    notes: what a reader must know of the figures.
    """

    notes: list[str] = field(default_factory=list)
    views: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)

    def add(self, scene: str, method: str, figures: Figures) -> None:
        """Adds the figures of one view."""
        self.views.setdefault(scene, {}).setdefault(method, []).append(figures)

    def scenes(self) -> dict[str, dict[str, Figures]]:
        """Mean figures over the views of each scene, by scene and method."""
        return {
            scene: {method: _mean(views) for method, views in methods.items()} for scene, methods in self.views.items()
        }

    def mean(self) -> dict[str, Figures]:
        """Mean over scenes, each counting the same, by method."""
        by_method: dict[str, list[Figures]] = {}
        for methods in self.scenes().values():
            for method, figures in methods.items():
                by_method.setdefault(method, []).append(figures)
        return {method: _mean(figures) for method, figures in by_method.items()}

    def markdown(self) -> str:
        """A table with a row for each scene and method, the mean last."""
        names = list(dict.fromkeys(name for figures in self.mean().values() for name in figures))
        lines = ["| scene | method | views | " + " | ".join(names) + " |", "|---|---|--:|" + "--:|" * len(names)]
        for scene, methods in [*self.scenes().items(), ("mean", self.mean())]:
            for method, figures in methods.items():
                count = sum(len(self.views[s].get(method, [])) for s in self.views if scene in (s, "mean"))
                cells = [_cell(name, figures.get(name, math.nan)) for name in names]
                lines.append(f"| {scene} | {method} | {count} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n" + "".join(f"\n{note}\n" for note in self.notes)


def write_report(report: Report, path: str | Path) -> None:
    """Writes figures as JSON (`.json`) or as a table (`.md`).

    Raises InputError for another suffix or a folder that cannot be written.
    """
    suffix = Path(path).suffix
    if suffix not in (".json", ".md"):
        raise InputError(f"report {path} ends in {suffix!r}: give a name ending in .json or .md")
    tree = {"mean": report.mean(), "scenes": report.scenes(), "notes": report.notes}
    text = report.markdown() if suffix == ".md" else json.dumps(_without_nan(tree), indent=2) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text)


def _mean(rows: list[Figures]) -> Figures:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _finite_mean([row[name] for row in rows if name in row]) for name in names}


def _finite_mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if name.startswith("psnr") else f"{value:.3f}"


def _without_nan(tree: object) -> object:
    """JSON has no NaN: what does not exist is null there."""
    if isinstance(tree, dict):
        return {key: _without_nan(value) for key, value in tree.items()}
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
