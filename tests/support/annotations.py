"""The checker of annotated types and shapes (jaxtyping) that `addopts` in pyproject.toml names."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""beartype, for which an int is a float too, as it is for mypy."""
