"""How many SMS a text takes, as a vendor counts them in its answers."""

from __future__ import annotations

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")


def segments(text: str) -> int:
    """The number of parts; a character that takes two units is never split over a boundary."""
    if set(text) <= BASIC:  # most texts
        return _parts([1] * len(text), 160, 153)
    if set(text) <= BASIC | EXTENDED:
        return _parts([2 if sign in EXTENDED else 1 for sign in text], 160, 153)
    return _parts([2 if ord(sign) > 0xFFFF else 1 for sign in text], 70, 67)


def _parts(units: list[int], single: int, several: int) -> int:
    if sum(units) <= single:
        return 1
    parts, left = 0, 0
    for width in units:
        if width > left:
            parts, left = parts + 1, several
        left -= width
    return parts
