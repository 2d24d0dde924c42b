"""The pages of the documentation."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "data/samples", "checkpoints", "benchmarks", "viewer")
FOUND = [ROOT / "data" / "README.md", *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
PAGES = sorted(page for page in [*ROOT.glob("*.md"), *FOUND] if "node_modules" not in page.parts)
