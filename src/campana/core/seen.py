"""Which row a value came from first, for values by the million."""

from __future__ import annotations

from array import array


class Seen:
    """Remembers in which row a value came first, in 24 to 48 bytes a value: an open table of 64-bit hashes, which two
    values of a million share once in 30 million audiences."""

    def __init__(self, size: int = 1024) -> None:
        self._hashes = array("q", bytes(8 * size))
        self._rows = array("I", bytes(4 * size))
        self._mask = size - 1
        self._free = size // 2

    def row_of(self, value: str) -> int:
        """The row where the value came first; 0 when it is new."""
        code = hash(value) or 1
        hashes, at = self._hashes, code & self._mask
        while known := hashes[at]:
            if known == code:
                return self._rows[at]
            at = (at + 1) & self._mask
        return 0

    def add(self, value: str, row: int) -> None:
        """From now on the value, which was new, is known from that row."""
        code = hash(value) or 1
        hashes, at = self._hashes, code & self._mask
        while hashes[at]:
            at = (at + 1) & self._mask
        hashes[at] = code
        self._rows[at] = row
        self._free -= 1
        if not self._free:
            self._grow()

    def _grow(self) -> None:
        hashes, rows = self._hashes, self._rows
        size = 2 * len(hashes)
        self._hashes, self._rows = array("q", bytes(8 * size)), array("I", bytes(4 * size))
        self._mask, self._free = size - 1, size // 4
        new_hashes, new_rows, mask = self._hashes, self._rows, self._mask
        for code, row in zip(hashes, rows, strict=True):
            if code:
                at = code & mask
                while new_hashes[at]:
                    at = (at + 1) & mask
                new_hashes[at], new_rows[at] = code, row
