"""One line a campaign: its latest run, its owner, its figures; what is being sent; and what was put away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select

from campana.core.draft import Draft
from campana.core.ids import Id, new_id
from campana.store import accounts, audit, campaign_list, campaigns, counters, drafts, users
from campana.store.drafts import Author
from campana.store.schema import campaign, counter
from tests.store.conftest import NOW, Begin
from tests.store.test_plans import flaws_on_postgresql, flaws_on_sqlite, heard

OLGA = Author(None, "olga@example.com", "127.0.0.1")


def a_campaign(c: Connection, name: str, status: str | None = "sent", counts: dict[str, int] | None = None, **more: Any) -> Id:
    """A campaign with a run in that state, or a draft; once more, it has one more run."""
    workspace_id = accounts.ensure_workspace(c, "default", NOW)
    known = campaigns.find_by_name(c, workspace_id, name)
    made = known.id if known else campaigns.create(c, workspace_id, name, "one_time", "{}", ["december"], NOW)
    assert made is not None
    if status is None:
        return made
    plan = json.dumps({"steps": [{"channel": one, "text": "Hi"} for one in ("chat", "sms", "chat")], "zone": "America/Lima"})
    run_id = new_id(NOW)
    row = {"id": run_id, "workspace_id": workspace_id, "campaign_id": made, "status": status, "plan": plan, "columns": "[]"}
    campaigns.add_run(c, row | {"offered": 100, "starts_at": NOW, "started_at": NOW, "created_at": NOW} | more)
    tally = counters.Tally()
    for key, n in (counts or {}).items():
        tally.add(run_id, key, n)
    tally.write(c)
    return made


def of(c: Connection, **named: Any) -> list[campaign_list.CampaignLine]:
    return campaign_list.campaigns(c, accounts.ensure_workspace(c, "default", NOW), **named)


@pytest.mark.parametrize("folded", [False, True])
def test_a_line_tells_the_latest_run_and_not_the_minutes(begin: Begin, folded: bool) -> None:
    with begin() as c:
        a_campaign(c, "Visits", "ended", {"people:sent": 9, "outcome:replied": 9})
        counts = {"people:sent": 40, "people:delivered": 30, "outcome:replied": 5, "outcome:unreached": 3, "minute:29000000": 7}
        made = a_campaign(c, "Visits", "sending", counts)
        while folded and counters.fold(c):
            pass
        (line,) = of(c)
    assert (line.campaign_id, line.status, line.people, line.zone) == (made, "sending", 100, "America/Lima")
    assert (line.sent, line.delivered, line.replied, line.failed) == (40, 30, 5, 3)
    assert (list(line.channels), list(line.tags)) == (["chat", "sms"], ["visits", "december"])


def test_many_runs_of_one_campaign_leave_room_for_the_others(begin: Begin) -> None:
    with begin() as c:
        a_campaign(c, "Offer")
        for _ in range(3):
            a_campaign(c, "Reminders")
        assert [line.name for line in of(c, limit=2)] == ["Reminders", "Offer"]


def test_whoever_makes_a_draft_or_a_copy_owns_it(begin: Begin) -> None:
    with begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        ana = users.create(c, "ana@example.com", "Ana", None, NOW)
        berta = users.create(c, "berta@example.com", "", None, NOW)
        first = drafts.create(c, workspace_id, "Visits", Draft(), Author(ana, "ana@example.com"), NOW)
        drafts.copy(c, workspace_id, first, "Copy of {}".format, Author(berta, "berta@example.com"), NOW)
        a_campaign(c, "From a file")
        owners = {line.name: (line.owner_id, line.owner, line.status) for line in of(c)}
    assert owners == {
        "Visits": (ana, "Ana", "draft"),
        "Copy of Visits": (berta, "berta@example.com", "draft"),
        "From a file": (None, "", "sent"),
    }


def test_only_what_is_over_is_put_away_and_comes_back(begin: Begin) -> None:
    with begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        made = {
            status: a_campaign(c, str(status), status) for status in (None, "scheduled", "sending", "paused", "sent", "ended")
        }
        done = {status for status, one in made.items() if campaign_list.archive(c, workspace_id, one, OLGA, NOW)}
        assert done == {"sent", "ended"}
        assert not campaign_list.archive(c, workspace_id, made["sent"], OLGA, NOW), "a second time it does nothing"
        assert not campaign_list.archive(c, new_id(NOW), made["paused"], OLGA, NOW)
        assert {line.status for line in of(c)} == {"draft", "scheduled", "sending", "paused"}
        assert [line.status for line in of(c, archived=True)][-2:] == ["ended", "sent"]
        assert not campaign_list.restore(c, new_id(NOW), made["sent"], OLGA, NOW), "of another workspace"
        assert campaign_list.restore(c, workspace_id, made["sent"], OLGA, NOW)
        assert not campaign_list.restore(c, workspace_id, made["sent"], OLGA, NOW)
        assert {line.status for line in of(c)} == {"draft", "scheduled", "sending", "paused", "sent"}
        told = [(entry.what, entry.about) for entry in audit.entries(c, workspace_id)]
    assert told.count(("campaign.archived", "sent")) == 1
    assert told.count(("campaign.restored", "sent")) == 1


def test_what_is_sending_is_summed(begin: Begin) -> None:
    with begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        assert campaign_list.sending(c, workspace_id) == campaign_list.Sending(0, 0, 0, None)
        first = a_campaign(c, "Visits", "sending", {"people:sent": 40})
        a_campaign(c, "Paused", "paused", {"people:sent": 7})
        assert campaign_list.sending(c, workspace_id) == campaign_list.Sending(1, 40, 100, first)
        a_campaign(c, "Offer", "sending", {"people:sent": 2})
        assert campaign_list.sending(c, workspace_id) == campaign_list.Sending(2, 42, 200, None)
        assert campaign_list.sending(c, new_id(NOW)).campaigns == 0


def test_the_thousands_of_minutes_of_a_run_are_not_read(engine: Engine) -> None:
    with engine.begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        made = [a_campaign(c, f"Offer {at}", "sending" if at < 3 else "sent") for at in range(40)]
        runs = list(c.scalars(select(campaigns.run.c.id)))
        minutes = [{"run_id": run_id, "key": f"minute:{at}", "n": 1} for run_id in runs for at in range(1500)]
        c.execute(insert(counter), minutes)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.exec_driver_sql("VACUUM ANALYZE" if c.dialect.name == "postgresql" else "ANALYZE")
        with heard() as said:
            campaign_list.campaigns(c, workspace_id, 2000, archived=True)
            campaign_list.sending(c, workspace_id)
            campaign_list.archive(c, workspace_id, made[-1], OLGA, NOW)
        look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
        flaws = {one: found for one, values in said.statements.items() if (found := look(c, one, values, {"counter"}))}
        assert len(said.statements) >= 5
        assert not flaws
        put_away = c.scalar(select(campaign.c.archived_at).where(campaign.c.id == made[-1]))
    assert put_away == NOW
