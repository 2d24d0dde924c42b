"""The web demo: `mine demo`."""
