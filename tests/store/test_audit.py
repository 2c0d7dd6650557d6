"""The audit log: the newest first, filtered, and of one workspace only."""

from __future__ import annotations

from sqlalchemy import Connection

from campana.core.ids import new_id
from campana.store import accounts, audit, schema
from campana.store.database import Database
from campana.store.dialect import insert_many
from tests.store.conftest import NOW, Begin
from tests.store.test_plans import flaws_on_postgresql, flaws_on_sqlite, heard


def test_the_log_tells_who_did_what_the_newest_first(begin: Begin) -> None:
    with begin() as c:
        ours, theirs = (accounts.ensure_workspace(c, name, NOW) for name in ("default", "other"))
        ana = new_id(NOW)
        audit.note(
            c, ours, ana, "ana@example.com", "campaign.launched", "Spring", NOW, object_id=new_id(NOW), details={"people": 7}
        )
        audit.note(c, ours, None, "campana", "integration.changed", "sms", NOW + 1, address="127.0.0.1")
        audit.note(c, theirs, ana, "ana@example.com", "campaign.launched", "Theirs", NOW + 2)
        assert [(one.what, one.about, one.details) for one in audit.entries(c, ours)] == [
            ("integration.changed", "sms", {}),
            ("campaign.launched", "Spring", {"people": 7}),
        ]
        assert [one.about for one in audit.entries(c, ours, who="ana@example.com")] == ["Spring"]
        assert [one.about for one in audit.entries(c, ours, what="integration.changed")] == ["sms"]
        assert audit.people(c, ours) == ["ana@example.com", "campana"]
        assert audit.people(c, theirs) == ["ana@example.com"]
        assert audit.people(c, new_id(NOW)) == []


def test_a_page_of_the_log_begins_at_an_entry_whatever_is_added_above(begin: Begin) -> None:
    with begin() as c:
        ours = accounts.ensure_workspace(c, "default", NOW)
        for number in range(7):
            audit.note(c, ours, None, f"p{number % 2}@example.com", "campaign.paused", str(number), NOW + number)
        first = audit.entries(c, ours, limit=3)
        audit.note(c, ours, None, "p0@example.com", "campaign.paused", "7", NOW + 7)
        second = audit.entries(c, ours, before=first[-1].id, limit=3)
        assert ([one.about for one in first], [one.about for one in second]) == (["6", "5", "4"], ["3", "2", "1"])
        above = audit.entries(c, ours, after=second[0].id, limit=3)  # those next to it, not the newest of all
        assert [one.about for one in above] == ["6", "5", "4"]
        assert [one.about for one in audit.entries(c, ours, who="p1@example.com", before=first[1].id)] == ["3", "1"]


PEOPLE, DEEDS = 12, 20


def fill(c: Connection, workspace_id: bytes, rows: int) -> None:
    """A log that has grown for years."""
    facts = {"workspace_id": workspace_id, "about": "", "details": "{}", "address": ""}
    insert_many(c, schema.audit, [
        {"id": new_id(NOW + at), "at": NOW + at, "who": f"p{at % PEOPLE}@example.com", "what": f"deed.d{at % DEEDS}", **facts}
        for at in range(rows)
    ])  # fmt: skip


async def test_the_log_is_read_by_its_indexes_however_long_it_is(db: Database) -> None:
    ours, theirs = [await db.run(accounts.ensure_workspace, name, NOW) for name in ("default", "other")]
    for workspace_id in (ours, theirs):
        await db.run(fill, workspace_id, 20_000)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.exec_driver_sql("ANALYZE")
    whom, deed = "p1@example.com", "deed.d1"
    with heard() as said:
        newest = await db.read(audit.entries, ours)
        for who, what in (("", ""), (whom, ""), ("", deed), (whom, deed)):
            await db.read(audit.entries, ours, who, what)
            await db.read(audit.entries, ours, who, what, before=newest[-1].id)
            await db.read(audit.entries, ours, who, what, after=newest[-1].id)
        assert len(await db.read(audit.people, ours)) == PEOPLE
    with db.engine.connect() as c:
        look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
        flaws = {
            statement: found for statement, values in said.statements.items() if (found := look(c, statement, values, {"audit"}))
        }
    assert len(said.statements) == 13
    assert flaws == {}
