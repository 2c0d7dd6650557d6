"""News of a message come late, twice and out of order: the row that is left is the same."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select

from campana.core.ids import Id, new_id
from campana.core.journey import Decision
from campana.core.message import Status
from campana.store import inbox, messages
from campana.store.messages import STAMPS, News
from campana.store.schema import message
from tests.store.conftest import NOW, Begin

FROM_VENDORS = [status for status in Status if status >= Status.QUEUED]
CODES = {Status.ERROR: "21211", Status.FAILED: "131026", Status.UNDELIVERED: "30005"}


def begun(c: Connection, **more: Any) -> Id:
    """An attempt, written down before its call."""
    made = new_id(NOW)
    ids = dict.fromkeys(("workspace_id", "run_id", "recipient_id", "unit_id", "sender_id"), b"x" * 16)
    words = {"channel": "sms", "to": "+1", "content": "{}", "text": "Hi"}
    numbers = {"step": 0, "attempt": 1, "weight": 1, "status": int(Status.SENDING), "started_at": NOW}
    messages.add(c, [{"id": made, **ids, **words, **numbers, **more}])
    return made


def row_of(c: Connection, message_id: Id) -> dict[str, Any]:
    row = c.execute(select(message).where(message.c.id == message_id)).one()
    return {name: value for name, value in row._mapping.items() if name != "id"}


def news(message_id: Id, status: Status) -> News:
    """What is told of a state; its time is the state's own, as receipts tell the same again."""
    code = CODES.get(status)
    return News(message_id, status, NOW + int(status), "SM1", code, code and f"words of {code}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.sampled_from(FROM_VENDORS), min_size=1, max_size=8), chance=st.randoms(use_true_random=False))
def test_news_in_any_order_and_any_number_leave_the_same_row(engine: Engine, told: list[Status], chance: Any) -> None:
    other = [*told, *chance.choices(told, k=3)]
    chance.shuffle(other)
    with engine.begin() as c:
        first, second = begun(c), begun(c)
        for status in sorted(set(told)):
            messages.tell(c, [news(first, status)])
        messages.tell(c, [news(second, status) for status in other])
        left = row_of(c, first)
        assert left == row_of(c, second)
    assert left["status"] == max(told)
    assert {status for status, column in STAMPS.items() if left[column]} == set(told)


@given(told=st.permutations([Status.UNCERTAIN, Status.QUEUED, Status.DELIVERED]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_lost_answer_never_hides_what_a_receipt_told(engine: Engine, told: list[Status]) -> None:
    with engine.begin() as c:
        message_id = begun(c)
        for status in told:
            ask_at = NOW if status is Status.UNCERTAIN else None
            messages.tell(c, [News(message_id, status, NOW, None, None, None, ask_at)])
        left = row_of(c, message_id)
    assert left["status"] == Status.DELIVERED


def test_the_code_of_a_failure_is_kept_when_it_arrives_after_all(begin: Begin) -> None:
    with begin() as c:
        message_id = begun(c)
        for status in (Status.FAILED, Status.DELIVERED):
            messages.tell(c, [news(message_id, status)])
        assert row_of(c, message_id)["failed_at"] == NOW + Status.FAILED


def test_what_is_asked_about_is_asked_by_one_and_not_for_ever(begin: Begin) -> None:
    with begin() as c:
        ours, later = begun(c), begun(c)
        messages.tell(c, [News(ours, Status.UNCERTAIN, NOW, ask_at=NOW), News(later, Status.UNCERTAIN, NOW, ask_at=NOW + 9)])
        assert messages.next_ask(c) == NOW
        assert [row.id for row in messages.take_askable(c, NOW, NOW + 5, 10)] == [ours]
        assert messages.take_askable(c, NOW + 4, NOW + 5, 10) == []
        assert [row.id for row in messages.take_askable(c, NOW + 5, NOW + 7, 10)] == [ours]
        messages.ask_again(c, ours, None, 1)
        assert messages.next_ask(c) == NOW + 9


def test_attempts_left_open_in_a_unit_are_those_nobody_wrote_an_answer_for(begin: Begin) -> None:
    with begin() as c:
        unit_id = new_id(NOW)
        answered, open_one, elsewhere = begun(c, unit_id=unit_id), begun(c, unit_id=unit_id), begun(c)
        messages.tell(c, [news(answered, Status.QUEUED)])
        assert [row.id for row in messages.open_in_unit(c, unit_id)] == [open_one]
        assert elsewhere != open_one


def test_decisions_are_read_in_the_order_in_which_they_were_taken(begin: Begin) -> None:
    with begin() as c:
        kinds = ["skip", "fallback", "retry", "deadline", "cancel", "hold", "end"]
        taken = [(b"w" * 16, b"r" * 16, b"p" * 16, Decision(kind, 0, "why")) for kind in kinds]
        messages.record_decisions(c, taken, NOW)
        messages.record_decisions(c, taken, NOW)
        assert [one["kind"] for one in messages.decisions_of(c, b"p" * 16)] == kinds * 2


def test_what_a_person_wrote_is_kept_once(begin: Begin) -> None:
    words = {"vendor_id": "SM1", "medium": "sms", "kind": "text", "text": "yes", "at": NOW}
    ids = dict.fromkeys(("workspace_id", "integration_id", "contact_id"), b"x" * 16)
    with begin() as c:
        assert inbox.add_inbound(c, {"id": new_id(NOW), **ids, **words})
        assert not inbox.add_inbound(c, {"id": new_id(NOW), **ids, **words})
        assert inbox.add_inbound(c, {"id": new_id(NOW), **ids, **words, "integration_id": b"y" * 16})
