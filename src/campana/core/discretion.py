"""What in a text looks like a person's address or a credential, and is struck out before anybody writes it into a log.

A last line of defence: whoever logs something takes care not to log people in the first place. What is no address keeps its
shape: ids in hex, dates and times, network addresses and numbers that are too long or too short for a phone.
"""

from __future__ import annotations

import re

STRUCK = "***"

LEFT_ALONE = (
    r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?",  # a date, or a moment
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])",  # a network address
    r"\b[0-9a-fA-F]{32,}\b",  # an id of ours
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b",  # the same, as others write it
)
PERSONAL = (
    r"(?<=://)[^/@\s]+(?=@)",  # the credentials of a URL
    r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+",  # an e-mail address
    r"(?:\+|%2[Bb])\(?\d(?:[ ().\-]{0,2}\d){6,14}(?!\d)",  # a phone number with its plus
    r"(?<!\w)(?<!\d[.,-])\d(?:[ ().\-]{0,2}\d){8,14}(?![\w])",  # one without it, in groups or in one
    r"(?<!\w)(?<!\d[.,-])\d{8}(?![\w])",  # a short one
    r"(?<=DETAIL:)[^\n]+",  # the database names values of the row here, and here
    r"(?<=CONTEXT:)[^\n]+",
)
LOOKED_FOR = re.compile(rf"(?P<left>{'|'.join(LEFT_ALONE)})|(?:{'|'.join(PERSONAL)})")


def discreet(text: str) -> str:
    """The text with everything struck out that looks like a phone number, an e-mail address or a credential in a URL."""
    return LOOKED_FOR.sub(lambda found: found["left"] or STRUCK, text)
