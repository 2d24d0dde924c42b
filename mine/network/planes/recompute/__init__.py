"""Activation checkpointing for training the plane decoder: what the forward pass does not keep is computed again.

It returns what `reference.py` here, and so `mine.network.planes.reference`, returns, up to rounding: a reader may skip
this package.
"""
