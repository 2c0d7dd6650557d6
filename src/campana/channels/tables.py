"""Reads the error tables beside this file."""

from __future__ import annotations

from importlib import resources

from campana.core.failure import Table


def error_table(name: str, bad_address: frozenset[str] = frozenset()) -> Table:
    """The table `errors/<name>.csv`; codes in `bad_address` say that the address itself is not usable."""
    text = resources.files("campana.channels").joinpath(f"errors/{name}.csv").read_text(encoding="utf-8")
    return Table.read(text, bad_address)
