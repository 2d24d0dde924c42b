"""The web page of a scene: writing it, and opening it in a browser."""

from mine.output.web.html import export_html, view, write_page

__all__ = ["export_html", "view", "write_page"]
