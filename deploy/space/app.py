"""MINE as a Hugging Face Space, which starts this file."""

import os

from mine.demo.app import launch

if __name__ == "__main__":  # worker processes import this file too
    launch(host="0.0.0.0", port=int(os.environ.get("PORT", "7860")))
