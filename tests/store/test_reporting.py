"""What a period came to: sums over its runs, by figures alone, whether they are folded or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, update

from campana.core.ids import Id, new_id, numbered_id
from campana.core.periods import Period, midnight
from campana.store import accounts, campaigns, counters, reporting
from campana.store.reporting import Chosen, report
from campana.store.schema import campaign_tag, counter, run
from tests.store.conftest import Begin
from tests.store.test_plans import flaws_on_postgresql, flaws_on_sqlite, heard

ZONE = "America/Mexico_City"
NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))
MINUTE = 60_000_000


def at(day: int, hour: int = 9, month: int = 11) -> int:
    """A moment in Mexico City."""
    return midnight(date(2026, month, day), ZONE) + hour * 60 * MINUTE


def started(
    c: Connection,
    name: str,
    moment: int | None,
    people: int,
    figures: dict[str, int],
    channels: Sequence[str] = ("sms",),
    tags: Sequence[str] = (),
    **more: Any,
) -> Id:
    """A run of a campaign that is made when there is none of the name."""
    workspace_id = accounts.ensure_workspace(c, "default", at(1))
    known = campaigns.find_by_name(c, workspace_id, name)
    campaign_id = known.id if known else campaigns.create(c, workspace_id, name, "one_time", "{}", tags, at(1))
    plan = json.dumps({"steps": [{"kind": "primary", "channel": one} for one in channels], "canary": None})
    run_id = new_id(at(1))
    row = {
        "id": run_id,
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "status": "sent",
        "plan": plan,
        "columns": "[]",
    }
    row |= {"offered": people, "starts_at": at(1), "started_at": moment, "created_at": at(1)}
    campaigns.add_run(c, row | more)
    tally = counters.Tally()
    for key, n in figures.items():
        tally.add(run_id, key, n)
    tally.write(c)
    return run_id


def some_runs(c: Connection) -> Id:
    """Three campaigns in November, and others that are not to be counted."""
    first = {"outcome:waiting": 0, "outcome:replied": 4, "outcome:delivered": 5, "outcome:unreached": 1, "people:sent": 10}
    first |= {"people:delivered": 9, "people:read": 3, f"minute:{at(2) // MINUTE}": 10, f"minute:{at(2, 23) // MINUTE + 59}": 2}
    first |= {"step:0:sent": 10, "step:0:delivered": 8, "step:0:read": 3, "step:0:failed": 2, "fail:chat:131026": 2}
    first |= {"step:1:sent": 2, "step:1:delivered": 1, "step:1:failed": 1, "fail:sms:30005": 1}
    started(c, "Reminders", at(2), 12, first, ("chat", "sms"), ["clinic"])
    started(c, "Reminders", at(9), 3, {"outcome:replied": 1, "people:sent": 1, f"minute:{at(1, 8, 12) // MINUTE}": 3}, ("chat",))
    started(c, "Offer", at(30, 23), 2, {"outcome:skipped": 2, "step:0:skipped": 2, "fail:sms:30005": 4})
    started(c, "October", at(31, 23, 10), 10, {"outcome:unreached": 4, "people:sent": 10, "people:delivered": 6})
    started(c, "December", at(1, 0, 12), 50, {"outcome:replied": 50})
    started(c, "Waiting", None, 50, {})
    started(c, "Tried", at(3), 50, {"outcome:replied": 50}, mode="test")
    return accounts.ensure_workspace(c, "default", at(1))


@pytest.mark.parametrize("folded", [False, True])
def test_a_period_is_the_sum_of_the_runs_that_started_in_it(begin: Begin, folded: bool) -> None:
    with begin() as c:
        workspace_id = some_runs(c)
        while folded and counters.fold(c):
            pass
        found = report(c, workspace_id, NOVEMBER, ZONE)
    total = found.total
    assert (total.runs, total.people, total.sent, total.delivered, total.read) == (3, 17, 11, 9, 3)
    assert (total.replied, total.failed, sum(total.outcomes.values())) == (5, 1, 17)
    assert {name: n for name, n in total.outcomes.items() if n} == {
        "waiting": 4,
        "replied": 5,
        "delivered": 5,
        "unreached": 1,
        "skipped": 2,
    }
    assert (found.before.people, found.before.sent, found.before.failed) == (10, 10, 4)
    assert [(one.channel, one.sent, one.delivered, one.failed, one.skipped) for one in found.channels] == [
        ("chat", 10, 8, 2, 0),
        ("sms", 2, 1, 1, 2),
    ]
    assert [(one.name, one.runs, one.people, one.sent, one.replied) for one in found.campaigns] == [
        ("Offer", 1, 2, 0, 0),
        ("Reminders", 2, 15, 11, 5),
    ]
    assert [(one.channel, one.code, one.count) for one in found.failures] == [("sms", "30005", 5), ("chat", "131026", 2)]
    assert [(day.day, n) for day, n in found.days if n] == [(2, 12)]
    assert (len(found.days), found.later) == (30, 3)
    assert [name for _, name in found.known_campaigns] == ["Offer", "Reminders"]
    assert list(found.known_channels) == ["chat", "sms"]


def test_a_report_can_look_at_one_campaign_one_channel_or_one_tag(begin: Begin) -> None:
    with begin() as c:
        workspace_id = some_runs(c)
        offer = campaigns.find_by_name(c, workspace_id, "Offer").id
        assert c.scalar(select(campaign_tag.c.tag).where(campaign_tag.c.tag == "clinic")) == "clinic"
        sums = {
            chosen: report(c, workspace_id, NOVEMBER, ZONE, chosen)
            for chosen in (Chosen(offer), Chosen(channel="chat"), Chosen(channel="sms"), Chosen(tag="clinic"), Chosen(tag="no"))
        }
        strange = report(c, new_id(at(1)), NOVEMBER, ZONE)
    assert [one.total.people for one in sums.values()] == [2, 15, 14, 15, 0]
    assert [one.channel for one in sums[Chosen(channel="chat")].channels] == ["chat"]
    assert [one.code for one in sums[Chosen(channel="chat")].failures] == ["131026"]
    assert len(sums[Chosen(offer)].known_campaigns) == 2, "another one can still be chosen"
    assert (strange.total.people, strange.campaigns, strange.failures) == (0, [], [])


def test_more_runs_than_a_page_looks_at_are_said_to_be_more(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MOST_RUNS", 2)
    with begin() as c:
        workspace_id = some_runs(c)
        found = report(c, workspace_id, NOVEMBER, ZONE)
    assert (found.partial, found.total.runs) == (True, 2)
    assert [one.name for one in found.campaigns] == ["Offer", "Reminders"]


RUNS, MINUTES = 400, 200


def many_runs(c: Connection) -> Id:
    """Runs that were sending for hours: most of their figures are minutes."""
    workspace_id = accounts.ensure_workspace(c, "default", at(1))
    campaign_id = campaigns.create(c, workspace_id, "Many", "recurring", "{}", [], at(1))
    base: dict[str, Any] = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "status": "sent",
        "plan": '{"steps":[{"channel":"sms"}]}',
    }
    base |= {"columns": "[]", "offered": 100, "starts_at": at(1), "created_at": at(1)}
    ids = [numbered_id(new_id(at(1)), number) for number in range(RUNS)]
    c.execute(
        insert(run),
        [{**base, "id": each, "started_at": at(1) - 20 * 60 * MINUTE * (number % 2)} for number, each in enumerate(ids)],
    )
    first = at(1) // MINUTE
    keys = ["outcome:replied", "outcome:waiting", "people:sent", "people:read", "step:0:sent", "fail:sms:1"]
    keys += [f"minute:{first + number}" for number in range(MINUTES)] + [
        f"quarter:{first // 15 + number}" for number in range(14)
    ]
    for each in ids:
        c.execute(insert(counter), [{"run_id": each, "key": key, "n": 1} for key in keys])
    c.execute(update(counter).where(counter.c.key == "outcome:waiting").values(n=99))
    return workspace_id


def test_no_statement_of_a_report_reads_all_figures(engine: Engine, begin: Begin) -> None:
    with begin() as c:
        workspace_id = many_runs(c)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.exec_driver_sql("VACUUM ANALYZE" if c.dialect.name == "postgresql" else "ANALYZE")
    with engine.connect() as c, heard() as said:
        campaign_id = report(c, workspace_id, Period(date(2026, 11, 1), date(2026, 11, 1)), ZONE).campaigns[0].campaign_id
        c.execute(
            update(run).where(run.c.id > c.scalar(select(run.c.id).order_by(run.c.id).offset(9).limit(1))).values(mode="test")
        )
        few = report(c, workspace_id, Period(date(2026, 11, 1), date(2026, 11, 1)), ZONE, Chosen(campaign_id))
        assert (few.total.runs, few.total.replied, sum(n for _, n in few.days)) == (5, 5, 5 * 14)
        c.rollback()
    with engine.connect() as c:
        look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
        asked = {statement: values for statement, values in said.statements.items() if "counter" in statement}
        flaws = {statement: found for statement, values in asked.items() if (found := look(c, statement, values, {"counter"}))}
    assert len(asked) >= 4, "sums, those before, those of each, days"
    assert not flaws, flaws
