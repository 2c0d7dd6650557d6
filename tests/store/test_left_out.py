"""Whom a file offered and who was left out, told without counting its rows."""

from __future__ import annotations

from sqlalchemy import update

from campana.store import audiences, campaigns, progress
from campana.store.schema import run as run_table
from tests.store.conftest import NOW, Begin, a_run


def test_rows_that_were_left_out_are_told_by_the_summary_of_the_audience(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, [("+525511223344", None)])
        row = campaigns.get_run(c, run.id)
        assert row is not None
        c.execute(update(run_table).where(run_table.c.id == run.id).values(plan='{"steps": []}'))
        audiences.finish(c, row.audience_id, 3, 1, '{"left_out": {"too_short": 2}}')
        found = progress.progress(c, run.workspace_id, run.campaign_id, NOW)
    assert found is not None
    assert found.left_out == {"too few digits": 2}
