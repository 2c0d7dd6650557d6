"""Why something was decided about a person: kept as a short code with its arguments, told to each reader in their language.

A kept reason is one text, "opted_out sms" or "failure sms 30005 Unknown destination handset". The English of each stands here,
for the command line and for files; the console's stands in `_reasons.html`. A text that is no reason of ours is told as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_RECEIPT = "no_receipt"
NO_ADDRESS = "no_address"
OPTED_OUT = "opted_out"
PROBLEM = "problem"
TOO_HEAVY = "too_heavy"
FAILURE = "failure"
NOT_SENT = "not_sent"
LOST = "lost"
STOPPED = "stopped"
NOT_TAKEN = "not_taken"
NO_WORD = "no_word"
PERHAPS_TAKEN = "perhaps_taken"
MOVED = "moved"
ARRIVED = "arrived"
REPLIED = "replied"
WROTE_STOP = "wrote_stop"
VENDOR_STOP = "vendor_stop"
WANTS_NO_MORE = "wants_no_more"
CAMPAIGN_ENDED = "campaign_ended"

# code -> its arguments, of which only the last may have several words, and what is said in English.
KNOWN: Mapping[str, tuple[tuple[str, ...], str]] = {
    NO_RECEIPT: ((), "no receipt in time"),
    NO_ADDRESS: (("reaches",), "no {reaches}"),
    OPTED_OUT: (("medium",), "opted out of {medium}"),
    PROBLEM: (("words",), "{words}"),  # the channel's: what it cannot send to this person
    TOO_HEAVY: (("weight", "limit"), "it counts as {weight} messages, and the sender may send {limit} a day"),
    FAILURE: (("channel", "code", "words"), "{words} ({code})"),
    NOT_SENT: (("words",), "{words}"),
    LOST: (("words",), "{words}"),
    STOPPED: ((), "the process that was sending it stopped"),
    NOT_TAKEN: ((), "the vendor does not have it"),
    NO_WORD: ((), "the answer was lost and no receipt has come"),
    PERHAPS_TAKEN: ((), "the answer was lost, and the vendor holds a message that may be it"),
    MOVED: (
        (),
        "the answer was lost, and the sender or its credentials were changed since: the vendor cannot be asked for it any more",
    ),
    ARRIVED: ((), "an earlier message arrived after all"),
    REPLIED: ((), "the person replied"),
    WROTE_STOP: (("proof",), "words of the person: {proof}"),
    VENDOR_STOP: (("proof",), "told by the vendor: {proof}"),
    WANTS_NO_MORE: ((), "the person opted out"),
    CAMPAIGN_ENDED: ((), "the campaign was ended"),
}
NOTHING = "-"  # stands for an empty argument


@dataclass(frozen=True, slots=True)
class Reason:
    """A kept reason, taken apart. A text that is none of ours has no code, and is all there is to say."""

    code: str
    text: str
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def english(self) -> str:
        """What it says in English."""
        return KNOWN[self.code][1].format(**self.facts) if self.code else self.text


def because(code: str, *arguments: object) -> str:
    """The reason as it is kept. An argument that others follow is one word."""
    names, _ = KNOWN[code]
    if len(arguments) != len(names):
        raise TypeError(f"{code} takes {len(names)} arguments")
    words = [str(one) for one in arguments]
    return " ".join((code, *("_".join(one.split()) or NOTHING for one in words[:-1]), *(one or NOTHING for one in words[-1:])))


def read(text: str) -> Reason:
    """A kept reason, taken apart again."""
    code, _, rest = text.partition(" ")
    names, _ = KNOWN.get(code, ((), ""))
    values = rest.split(" ", len(names) - 1) if names and rest else []
    if code not in KNOWN or len(values) != len(names) or (rest and not names):
        return Reason("", text)
    return Reason(code, text, {name: "" if value == NOTHING else value for name, value in zip(names, values, strict=True)})


def english(text: str) -> str:
    """A kept reason in English."""
    return read(text).english
