"""Decoding of image files: one file for each kind of format that needs care; `decode.py` is the entry."""
