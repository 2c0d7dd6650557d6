"""Figures follow what is told of a message, whatever is told after what: each message counts once, as what it is at last."""

from __future__ import annotations

import pytest

from campana.core.message import Status
from campana.engine.changes import Changes
from campana.store import messages
from campana.store.messages import News
from tests.store.conftest import NOW, Begin
from tests.store.conftest import begin as begin
from tests.store.conftest import engine as engine
from tests.store.conftest import url as url
from tests.store.test_messages import begun

RUN = b"x" * 16
QUEUED, FAILED, UNDELIVERED, DELIVERED = (
    (Status.QUEUED, None),
    (Status.FAILED, "1"),
    (Status.UNDELIVERED, "2"),
    (Status.DELIVERED, None),
)
UNSENT = (Status.FAILED, "unsent")

TOLD = [
    ("delivered", [QUEUED, DELIVERED], {"sent": 1, "delivered": 1}),
    ("failed, then delivered", [QUEUED, FAILED, DELIVERED], {"sent": 1, "delivered": 1}),
    ("failed, then undelivered", [QUEUED, FAILED, UNDELIVERED], {"sent": 1, "failed": 1}),
    ("failed, undelivered, then delivered", [QUEUED, FAILED, UNDELIVERED, DELIVERED], {"sent": 1, "delivered": 1}),
    ("unsent", [UNSENT], {}),
    ("unsent, then delivered", [UNSENT, DELIVERED], {"sent": 1, "delivered": 1}),
    ("unsent, then undelivered", [UNSENT, UNDELIVERED], {"failed": 1}),
    ("unsent, undelivered, then delivered", [UNSENT, UNDELIVERED, DELIVERED], {"delivered": 1}),
    ("all of it twice", [QUEUED, QUEUED, FAILED, FAILED, DELIVERED, DELIVERED], {"sent": 1, "delivered": 1}),
]


@pytest.mark.parametrize(("told", "figures"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_a_message_counts_once_as_what_it_is_at_last(
    begin: Begin, told: list[tuple[Status, str | None]], figures: dict[str, int]
) -> None:
    with begin() as c:
        message_id = begun(c)
        counts: dict[str, int] = {}
        for status, code in told:
            changes = Changes(NOW)
            row = messages.load(c, [message_id])[message_id]
            changes.tell(row, News(message_id, status, NOW, code=code), RUN, 0, "sms")
            changes.write(c)
            for (_, key), n in changes.tally.counts.items():
                counts[key] = counts.get(key, 0) + n
        assert {key.removeprefix("step:0:"): n for key, n in counts.items() if n and key.startswith("step:")} == figures
