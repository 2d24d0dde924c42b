"""Evaluation of checkpoints: protocols, metrics of views and of depth, baselines, and the report."""
