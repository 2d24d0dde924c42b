"""One module for each data set. `docs/datasets` says how to obtain them."""
