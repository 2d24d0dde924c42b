"""The published network: an image encoder, and a decoder that predicts one plane for each disparity.

`reference` is its plain form. `cpu` and `recompute` compute the same faster and in less memory: a reader may skip them.
"""
