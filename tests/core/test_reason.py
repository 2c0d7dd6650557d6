"""Reasons as they are kept, and as they are told."""

from __future__ import annotations

import pytest

from campana.core import reason
from campana.core.reason import KNOWN, because, english, read

CASES = [
    (because(reason.NO_RECEIPT), "no receipt in time", {}),
    (because(reason.NO_ADDRESS, "phone"), "no phone", {"reaches": "phone"}),
    (because(reason.OPTED_OUT, "sms"), "opted out of sms", {"medium": "sms"}),
    (because(reason.PROBLEM, "The text is empty."), "The text is empty.", {"words": "The text is empty."}),
    (
        because(reason.TOO_HEAVY, 12, 10),
        "it counts as 12 messages, and the sender may send 10 a day",
        {"weight": "12", "limit": "10"},
    ),
    (
        because(reason.FAILURE, "acme", "http 4", "No  such number"),
        "No  such number (http_4)",
        {"channel": "acme", "code": "http_4", "words": "No  such number"},
    ),
    (because(reason.FAILURE, "acme", "", ""), " ()", {"channel": "acme", "code": "", "words": ""}),
    (because(reason.WROTE_STOP, "stop it"), "words of the person: stop it", {"proof": "stop it"}),
]


@pytest.mark.parametrize(("kept", "told", "facts"), CASES)
def test_a_reason_is_taken_apart_as_it_was_put_together(kept, told, facts):
    assert (english(kept), read(kept).facts) == (told, facts)


@pytest.mark.parametrize(
    "text",
    ["", "no receipt in time", "the person replied", "replied by mail", "failure", "failure acme", "problem", "Gone"],
)
def test_a_text_that_is_none_of_ours_is_told_as_it_is(text):
    assert (english(text), read(text).code) == (text, "")


def test_a_reason_has_all_its_arguments():
    with pytest.raises(TypeError):
        because(reason.NO_ADDRESS)


def test_every_reason_has_a_place_in_the_table():
    names = {value for name, value in vars(reason).items() if name.isupper() and isinstance(value, str)} - {reason.NOTHING}
    assert names == set(KNOWN)
