"""People, timelines and messages as they are looked up: in pages, as far as one request looks, and in one workspace alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, update

from bench.backlog import backlog
from bench.people import installation
from campana.core.campaign import Plan, Step
from campana.core.ids import Id, new_id, numbered_id
from campana.core.journey import Decision, Outcome
from campana.core.message import Status
from campana.store import accounts, log, messages, people, recipients, timeline
from campana.store.people import Head
from campana.store.recipients import OUTCOME_NUMBER
from campana.store.schema import address, message, recipient, run
from tests.conftest import NewStore
from tests.store.conftest import NOW, Begin, a_run, a_sender
from tests.store.test_plans import big_tables, flaws_on_postgresql, flaws_on_sqlite, heard

PEOPLE = 30
PHONES = [f"+55119{at:05d}" for at in range(1, PEOPLE + 1)]
SECOND = 1_000_000
PLAN = Plan(
    steps=(
        Step(kind="primary", sender="00", channel="sms", text="Hi", deadline=None),
        Step(kind="fallback", sender="00", channel="sms", text="Hi", deadline=None),
    )
)
OVER = {Outcome.DELIVERED: range(1, 11), Outcome.UNREACHED: range(11, 13)}  # of others the journey goes on


def a_campaign(c: Connection, through: int = 20) -> Head:
    """Twenty of thirty people are enrolled; each got a message a second, those unreached two."""
    made = a_run(c, [(phone, None) for phone in PHONES], left_out={25: "duplicate"})
    recipients.enrol(c, made, through, NOW)
    c.execute(
        update(run)
        .where(run.c.id == made.id)
        .values(plan=PLAN.model_dump_json(), enrolled_through=through, started_at=NOW, status="sending")
    )
    for outcome, numbers in OVER.items():
        ids = [numbered_id(made.id, at) for at in numbers]
        values = {"stage": 4, "outcome": OUTCOME_NUMBER[outcome], "step": 0 if outcome is Outcome.DELIVERED else 1}
        c.execute(update(recipient).where(recipient.c.id.in_(ids)).values(**values))
    c.execute(update(recipient).where(recipient.c.id == numbered_id(made.id, 20)).values(outcome=1, stage=1))
    sender_id = a_sender(c)
    for number in range(1, through + 1):
        sent(c, made, sender_id, number, number in OVER[Outcome.UNREACHED])
    found = people.head(c, made.workspace_id, made.campaign_id)
    assert found is not None
    return found


def sent(c: Connection, made: Any, sender_id: Id, number: int, fails: bool) -> None:
    """Their messages of second `number`."""
    at = NOW + number * SECOND
    row = {"workspace_id": made.workspace_id, "run_id": made.id, "recipient_id": numbered_id(made.id, number)}
    row |= {"sender_id": sender_id, "to": PHONES[number - 1], "channel": "sms", "content": "{}", "text": "Hi", "weight": 1}
    status = {"status": int(Status.FAILED), "code": "30005", "words": "no such number", "failed_at": at + 5}
    told = status if fails else {"status": int(Status.DELIVERED), "delivered_at": at + 5}
    for step in range(1 + fails):
        more = {"id": new_id(at), "step": step, "attempt": 1, "started_at": at, "queued_at": at + 2}
        messages.add(c, [{**row, **more, **told}])
    c.execute(update(recipient).where(recipient.c.id == row["recipient_id"]).values(message_id=more["id"]))


def walked(c: Connection, head: Head, wanted: people.Wanted, limit: int = 7) -> tuple[list[int], int]:
    """The rows of all pages one after the other, and how many pages that were."""
    found: list[int] = []
    after, pages = "", 0
    while True:
        page = people.page(c, head, wanted, after, limit)
        assert len(page.lines) <= limit
        found += [line.number for line in page.lines]
        pages += 1
        if not page.after:
            return found, pages
        assert page.after != after
        after = page.after


WANTED = [
    (people.Wanted(), [*range(1, 25), *range(26, 31)]),
    (people.Wanted(Outcome.DELIVERED), [*range(1, 11)]),
    (people.Wanted(Outcome.UNREACHED), [11, 12]),
    (people.Wanted(Outcome.SENDING), [20]),
    (people.Wanted(Outcome.WAITING), [*range(13, 20), *range(21, 25), *range(26, 31)]),
    (people.Wanted(step=1), [11, 12]),
    (people.Wanted(Outcome.DELIVERED, step=1), []),
    (people.Wanted(words="1"), [1, *range(10, 20), 21]),
    (people.Wanted(Outcome.UNREACHED, words="12"), [12]),
    (people.Wanted(number=11), [11]),
    (people.Wanted(number=22), [22]),
    (people.Wanted(number=25), []),
    (people.Wanted(Outcome.DELIVERED, number=11), []),
    (people.Wanted(address=("phone", "+551190001")), [*range(10, 20)]),
    (people.Wanted(Outcome.UNREACHED, address=("phone", "+55119")), [11, 12]),
    (people.Wanted(address=("email", "x")), []),
]


@pytest.fixture(params=["far", "near"])
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One request looks at everything, or at so little that pages end in the middle."""
    if request.param == "near":
        for module in (people, log):
            monkeypatch.setattr(module, "LOOKED", 6)
        monkeypatch.setattr(people, "AT_ONCE", 4)
    return str(request.param)


@pytest.mark.parametrize(("wanted", "found"), WANTED, ids=[str(at) for at in range(len(WANTED))])
def test_all_people_wanted_come_once_in_their_order(begin: Begin, looking: str, wanted: people.Wanted, found: list[int]) -> None:
    with begin() as c:
        assert walked(c, a_campaign(c), wanted)[0] == found


def test_whoever_has_several_addresses_that_begin_so_comes_once(begin: Begin, looking: str) -> None:
    with begin() as c:
        head, low = a_campaign(c), people.Wanted(address=("phone", "+55119"))
        expected = walked(c, head, low, 3)[0]
        wanted = select(recipient.c.contact_id).where(recipient.c.id == numbered_id(head.run.id, 1))
        mine = {"workspace_id": head.run.workspace_id, "kind": "phone", "contact_id": c.scalar(wanted)}
        more = ("+5511800001", "+5511900001x", "+5511900009x", "+5511999999", "+5512000001")
        c.execute(insert(address), [{**mine, "value": value} for value in more])
        assert expected == list(range(1, 21))
        for limit in (3, 50):
            assert walked(c, head, low, limit)[0] == expected


@pytest.mark.parametrize(("limit", "wanted"), [("LOOKED", people.Wanted(step=1)), ("COMPARED", people.Wanted(words="nobody"))])
def test_one_request_looks_no_further_than_it_may_and_says_how_far(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, limit: str, wanted: people.Wanted
) -> None:
    monkeypatch.setattr(people, limit, 6)
    with begin() as c:
        page = people.page(c, a_campaign(c), wanted, "", 7)
    assert ([line.number for line in page.lines], page.after, page.looked_to) == ([], "6", 6)


def in_the_log(c: Connection, workspace_id: Id, wanted: log.Wanted, limit: int = 5) -> list[str]:
    """Whom the messages of all pages went to, one page after the other."""
    found: list[str] = []
    place, last = log.Place(), b"\xff" * 16
    while True:
        page = log.page(c, workspace_id, wanted, place, limit)
        assert len(page.lines) <= limit
        ids = [line.message.id for line in page.lines]
        assert ids == sorted(ids, reverse=True)
        assert all(one < last for one in ids)
        found += [line.message.to for line in page.lines]
        if page.next is None:
            return found
        assert log.Place.read(str(page.next)) == page.next != place
        last = (page.next.below or last) if page.next.run == place.run else b"\xff" * 16
        place = page.next


FAILED = [PHONES[11], PHONES[11], PHONES[10], PHONES[10]]
EVERYBODY = sorted([*PHONES[:20], *PHONES[10:12]], reverse=True)
LOG = [
    ({}, EVERYBODY),
    ({"code": "30005"}, FAILED),
    ({"code": "30005", "step": 1}, FAILED[::2]),
    ({"code": "1"}, []),
    ({"statuses": frozenset({Status.FAILED, Status.ERROR})}, FAILED),
    ({"statuses": frozenset({Status.FAILED}), "step": 0}, FAILED[::2]),
    ({"statuses": frozenset({Status.UNKNOWN})}, []),
    ({"statuses": frozenset({Status.DELIVERED}), "channel": "sms"}, [one for one in EVERYBODY if one not in FAILED]),
    ({"channel": "pigeon"}, []),
    ({"since": NOW + 19 * SECOND}, [PHONES[19], PHONES[18]]),
    ({"until": NOW + 2 * SECOND}, [PHONES[0]]),
    ({"since": NOW + 11 * SECOND, "until": NOW + 12 * SECOND, "code": "30005"}, FAILED[2:]),
    ({"address": PHONES[10]}, FAILED[2:]),
    ({"address": PHONES[10], "step": 1}, FAILED[3:]),
    ({"address": "+1"}, []),
]


@pytest.mark.parametrize("of_campaign", [True, False], ids=["campaign", "all"])
@pytest.mark.parametrize(("wanted", "found"), LOG, ids=[str(at) for at in range(len(LOG))])
def test_all_messages_wanted_come_once_the_newest_first(
    begin: Begin, looking: str, of_campaign: bool, wanted: dict[str, Any], found: list[str]
) -> None:
    with begin() as c:
        head = a_campaign(c)
        only = {"campaign_id": head.campaign_id} if of_campaign else {}
        assert in_the_log(c, head.run.workspace_id, log.Wanted(**only, **wanted)) == found


def test_messages_of_several_campaigns_come_in_one_order(begin: Begin, looking: str) -> None:
    with begin() as c:
        head = a_campaign(c)
        a_campaign(c)
        assert in_the_log(c, head.run.workspace_id, log.Wanted(code="30005")) == [FAILED[0]] * 4 + [FAILED[2]] * 4


def test_a_search_goes_on_among_older_campaigns_until_it_has_seen_them_all(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "RUNS", 2)
    with begin() as c:
        heads = [a_campaign(c) for _ in range(5)]  # two of which began at the same moment
        for hours, head in zip((3, 2, 2, 1, 0), heads, strict=True):
            c.execute(update(run).where(run.c.id == head.run.id).values(started_at=NOW - hours * 3_600 * SECOND))
        for wanted in (log.Wanted(code="30005"), log.Wanted(statuses=frozenset({Status.FAILED}))):
            assert sorted(in_the_log(c, heads[0].run.workspace_id, wanted)) == sorted(FAILED * 5)
        page = log.page(c, heads[0].run.workspace_id, log.Wanted(code="1"), log.Place(), 50)
        assert (page.lines, page.looked_to, page.began_since) == ([], None, NOW - 3_600 * SECOND)
        soon = log.Wanted(code="1", since=NOW + 10 * 3_600 * SECOND)
        c.execute(update(run).where(run.c.id != heads[0].run.id).values(finished_at=NOW + 3_600 * SECOND))
        assert log.page(c, heads[0].run.workspace_id, soon, log.Place(), 50).next is None, "four were over by then"


def elsewhere(c: Connection, head: Head) -> None:
    """That campaign belongs to another workspace."""
    other = accounts.ensure_workspace(c, "other", NOW)
    for table, key in ((run, run.c.id), (message, message.c.run_id)):
        c.execute(update(table).where(key == head.run.id).values(workspace_id=other))


def test_how_far_was_looked_tells_nothing_of_other_workspaces(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin() as c:
        mine, theirs = a_campaign(c), a_campaign(c)
        elsewhere(c, theirs)
        monkeypatch.setattr(log, "LOOKED", 30)  # all that I have, and not all that there is
        page = log.page(c, mine.run.workspace_id, log.Wanted(channel="pigeon"), log.Place(), 50)
        assert (page.lines, page.next) == ([], None)
        assert in_the_log(c, mine.run.workspace_id, log.Wanted(channel="sms")) == EVERYBODY
        monkeypatch.setattr(log, "LOOKED", 6)
        foreign = {row.id for row in c.execute(select(message.c.id).where(message.c.run_id == theirs.run.id))}
        place: log.Place | None = log.Place()
        told = []
        while place is not None:
            page = log.page(c, mine.run.workspace_id, log.Wanted(channel="pigeon"), place, 50)
            told.append(page.looked_to)
            place = page.next
            assert place is None or place.below not in foreign
        assert len(told) > 2
        assert told[0]
        assert told[0] % (60 * SECOND) == 0


def test_no_other_workspace_is_read(begin: Begin) -> None:
    with begin() as c:
        head = a_campaign(c)
        other = accounts.ensure_workspace(c, "other", NOW)
        someone = numbered_id(head.run.id, 11)
        one = log.page(c, head.run.workspace_id, log.Wanted(), log.Place(), 1).lines[0].message.id
        assert people.head(c, head.run.workspace_id, head.campaign_id)
        assert people.head(c, other, head.campaign_id) is None
        assert people.head_of_run(c, other, head.run.id) is None
        assert timeline.timeline(c, head.run.workspace_id, head.campaign_id, someone)
        assert timeline.timeline(c, other, head.campaign_id, someone) is None
        assert timeline.timeline(c, head.run.workspace_id, other, someone) is None
        assert log.detail(c, head.run.workspace_id, one)
        assert log.detail(c, other, one) is None
        assert log.campaigns(c, other) == []
        for wanted in ({}, {"campaign_id": head.campaign_id}, {"code": "30005"}, {"address": PHONES[10]}):
            assert in_the_log(c, other, log.Wanted(**wanted)) == [], wanted


def test_a_timeline_holds_what_was_kept_and_a_message_its_history_and_exchanges(begin: Begin) -> None:
    with begin() as c:
        head = a_campaign(c)
        someone = numbered_id(head.run.id, 11)
        messages.record_decisions(c, [(head.run.workspace_id, head.run.id, someone, Decision("fallback", 1, "x"))], NOW)
        found = timeline.timeline(c, head.run.workspace_id, head.campaign_id, someone)
        assert found is not None
        assert (found.number, found.cells, [one["step"] for one in found.messages]) == (11, ["11"], [0, 1])
        assert [one["kind"] for one in found.decisions] == ["fallback"]
        one = found.messages[0]
        assert [status for status, _ in one["history"]] == [Status.SENDING, Status.QUEUED, Status.FAILED]
        messages.record_exchanges(c, [(head.run.workspace_id, one["id"], "POST /", "400 no")], NOW)
        detail = log.detail(c, head.run.workspace_id, one["id"])
        assert detail is not None
        assert ([said.answer for said in detail.exchanges], detail.sender) == (["400 no"], "sms")


def test_addresses_are_compared_sign_by_sign_in_whatever_language_the_server_sorts(engine: Engine) -> None:
    """A language takes no notice of "+" and dots, nor of the sign that ends what begins so. The servers that tests run on may
    know none, so what the columns say is looked at."""
    if engine.dialect.name != "postgresql":
        return
    asked = "SELECT table_name, collation_name FROM information_schema.columns WHERE column_name = 'value'"
    with engine.connect() as c:
        assert {("address", "C"), ("suppression", "C")} <= {tuple(row) for row in c.exec_driver_sql(asked)}


async def test_no_page_reads_a_big_table(tmp_path: Path, new_store: NewStore) -> None:
    async with installation(new_store(tmp_path), tmp_path) as campana:
        db, workspace_id = campana.house.db, campana.workspace_id
        runs = [await backlog(campana, 40_000, "sent", written_to=True), await backlog(campana, 40_000, "waiting")]
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("VACUUM ANALYZE" if c.dialect.name == "postgresql" else "ANALYZE")
        with heard() as said:
            for run_id in runs:
                head = await db.read(people.head_of_run, workspace_id, run_id)
                for wanted, _ in WANTED:
                    await db.read(people.page, head, wanted, "", 50)
                    await db.read(people.page, head, wanted, "100", 50)
                for only in ({"campaign_id": head.campaign_id}, {}):
                    for words, _ in LOG:
                        page = await db.read(log.page, workspace_id, log.Wanted(**only, **words), log.Place(), 50)
                        if page.lines:
                            await db.read(log.detail, workspace_id, page.lines[0].message.id)
                await db.read(timeline.timeline, workspace_id, head.campaign_id, numbered_id(run_id, 5))
            await db.read(log.campaigns, workspace_id)
            with db.engine.connect() as c:
                big = big_tables(c)
                look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
                flaws = {one: found for one, values in said.statements.items() if (found := look(c, one, values, big))}
    assert len(said.statements) > 30
    assert not flaws, "\n\n".join(f"{'; '.join(found)}\n  {one[-1500:]}" for one, found in flaws.items())
