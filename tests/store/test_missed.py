"""People to be copied, and lines to be written into a file, are found without reading a big table."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import Connection, select

from bench.backlog import backlog
from bench.people import installation
from campana.core.campaign import Plan
from campana.core.journey import OUTCOMES, Outcome
from campana.core.message import Reach
from campana.core.missed import NEVER, Choice, barred
from campana.engine.missed import Wish, make
from campana.store import exports, missed
from campana.store.drafts import Author
from campana.store.schema import audience, audience_row, recipient, run
from tests.conftest import NewStore
from tests.store.test_plans import big_tables, flaws_on_postgresql, flaws_on_sqlite, heard

PEOPLE = 40_000
PHONE, EMAIL = "+525511223344", "ana@example.com"
EVERYBODY = Choice(tuple(str(one) for one in OUTCOMES if one not in NEVER))
FAILED = Choice(("unreached",), ("permanent",), ("failure twilio_sms 30005 ",))


def _rows(c: Connection, run_id: bytes) -> None:
    """The rows of the file that the people were."""
    r, a = recipient.c, audience_row.c
    audience_id = c.scalar(select(run.c.audience_id).where(run.c.id == run_id))
    names = [one.name for one in (a.audience_id, a.number, a.cells, a.phone)]
    rows = select(select(run.c.audience_id).where(run.c.id == run_id).scalar_subquery(), r.number, r.cells, r.phone)
    c.execute(audience_row.delete().where(a.audience_id == audience_id))
    c.execute(audience_row.insert().from_select(names, rows.where(r.run_id == run_id)))


async def test_no_statement_reads_a_big_table(tmp_path: Path, new_store: NewStore) -> None:
    async with installation(new_store(tmp_path), tmp_path) as campana:
        db, workspace_id = campana.house.db, campana.workspace_id
        runs = [await backlog(campana, PEOPLE, "sent", written_to=True), await backlog(campana, PEOPLE, "waiting")]
        for run_id in runs:
            await db.run(_rows, run_id)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("VACUUM ANALYZE" if c.dialect.name == "postgresql" else "ANALYZE")
        media = [("sms", Reach.PHONE)]
        with heard() as said:
            for run_id in reversed(runs):
                campaign_id = await db.read(lambda c: c.scalar(select(run.c.campaign_id).where(run.c.id == run_id)))  # noqa: B023
                of = await db.read(missed.source, workspace_id, campaign_id)
                assert of is not None
                assert Plan.model_validate_json(of.run.plan).steps
                for choice in (EVERYBODY, FAILED):
                    for after in (0, 20_000):
                        await db.read(missed.fitting, run_id, choice, media, after)
                for outcomes in ((), (OUTCOMES.index(Outcome.DELIVERED),)):
                    await db.read(exports.page, run_id, of.run.audience_id, 20_000, 5_000, outcomes)
            made = Wish("Copied", True, Choice(("delivered",)))
            assert await db.read(exports.rows_of, of.run.audience_id) == PEOPLE
            await make(campana.readings, of, made, ME, lambda c, made: None)
            await asyncio.gather(*campana.readings._tasks)
            copied = await db.read(lambda c: c.scalar(select(audience.c.offered).where(audience.c.origin.is_not(None))))
            assert copied == PEOPLE
            with db.engine.connect() as c:
                big = big_tables(c)
                look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
                flaws = {one: found for one, values in said.statements.items() if (found := look(c, one, values, big))}
    assert {"recipient", "audience_row"} <= big
    assert len(said.statements) > 10
    assert not flaws, "\n\n".join(f"{'; '.join(found)}\n  {one[-1500:]}" for one, found in flaws.items())


ME = Author(None, "ana@example.com")


def test_whoever_opted_out_of_all_that_the_campaign_uses_is_barred() -> None:
    sms, whatsapp, email = ("sms", Reach.PHONE), ("whatsapp", Reach.PHONE), ("email", Reach.EMAIL)
    for told, media, expected in (
        (set(), [sms], False),
        ({(PHONE, "sms")}, [sms], True),
        ({(PHONE, "all")}, [sms, whatsapp], True),
        ({(PHONE, "sms")}, [sms, whatsapp], False),
        ({(PHONE, "sms"), (PHONE, "whatsapp")}, [sms, whatsapp], True),
        ({(PHONE, "sms")}, [sms, email], False),
        ({("+1", "sms")}, [sms], False),
        ({(PHONE, "sms")}, [], True),
        ({("+1", "sms")}, [], False),
    ):
        assert barred(PHONE, EMAIL, told, media) is expected, (told, media)
    assert barred(PHONE, None, {(PHONE, "sms")}, [sms, email]), "the other address is not there"
    assert not barred(None, None, {(PHONE, "sms")}, [sms])
