"""What is to be told, and webhooks that come twice, on both databases."""

from __future__ import annotations

from campana.core.exchange import HookRow
from campana.core.ids import new_id
from campana.store import accounts, inbox, outbox
from tests.store.conftest import NOW, Begin


def test_what_is_to_be_told_goes_with_its_transaction_and_is_told_in_order(begin: Begin) -> None:
    with begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        for word in (b"one", b"two", b"three"):
            outbox.add(c, workspace_id, "events", word, NOW)
    try:
        with begin() as c:
            outbox.add(c, workspace_id, "events", b"never", NOW)
            raise KeyError
    except KeyError:
        pass
    with begin() as c:
        first, second = outbox.take(c, 2)
        assert (first.stream, first.key, bytes(first.body)) == ("events", first.id.hex(), b"one")
        assert bytes(second.body) == b"two"
        outbox.done(c, [first.id, second.id])
    with begin() as c:
        assert [bytes(row.body) for row in outbox.take(c, 10)] == [b"three"]


def test_a_webhook_that_the_bus_brings_twice_is_kept_once(begin: Begin) -> None:
    rows = [HookRow(new_id(NOW), "sms", "POST", "http://here/hooks/sms", {"a": "b"}, b"\0\xff", NOW) for _ in range(3)]
    with begin() as c:
        inbox.put(c, rows[:2])
    with begin() as c:
        inbox.put(c, [rows[1], rows[2], rows[2]])
    with begin() as c:
        assert [row.id for row in inbox.take(c, 10)] == [row.id for row in rows]
        assert bytes(inbox.take(c, 1)[0].body) == b"\0\xff"
