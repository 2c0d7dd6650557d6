"""A store for each test, and a run with people in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

sys.path.insert(0, str(Path(__file__).parents[2]))

from campana.core.ids import Id, derived_id, new_id
from campana.store import accounts, audiences, campaigns, flows
from campana.store.campaigns import RunRow
from campana.store.database import Database, create_store_engine
from campana.store.dialect import upsert
from campana.store.schema import integration
from tests.conftest import NewStore

NOW = 1_796_115_600_000_000
Begin = Callable[[], AbstractContextManager[Connection]]


def an_account(c: Connection, workspace_id: Id, name: str = "vendor", kind: str = "twilio_sms") -> Id:
    """An account of the workspace without credentials, made when there is none of the name: nothing is sent over it."""
    found = derived_id(workspace_id, "integration", name)
    row = {"id": found, "workspace_id": workspace_id, "name": name, "kind": kind, "hook": name, "credentials": b""}
    row |= {"from_file": True, "changed_at": NOW, "created_at": NOW}
    c.execute(upsert(c, integration).values(row).on_conflict_do_nothing(index_elements=["id"]))
    return found


def a_sender(c: Connection, name: str = "sms", rate: float = 10) -> Id:
    """A sender of the workspace, made when there is none of the name."""
    workspace_id = accounts.ensure_workspace(c, "default", NOW)
    return accounts.put_sender(c, workspace_id, an_account(c, workspace_id), name, "+15017122661", rate, None, NOW)


def a_run(
    c: Connection,
    people: Sequence[tuple[str | None, str | None]],
    left_out: Mapping[int, str] | None = None,
    senders: Sequence[Id] = (),
    status: str = "sending",
) -> RunRow:
    """A run of a campaign to people given as (phone, e-mail)."""
    workspace_id, audience_id, run_id = accounts.ensure_workspace(c, "default", NOW), new_id(NOW), new_id(NOW)
    audiences.create(c, audience_id, workspace_id, "people.csv", "", '["code"]', NOW)
    rows = [
        {"number": number, "cells": f'["{number}"]', "phone": phone, "email": email, "issues": None, "left_out": None}
        for number, (phone, email) in enumerate(people, 1)
    ]
    audiences.add_rows(c, audience_id, [{**row, "left_out": (left_out or {}).get(row["number"])} for row in rows])
    audiences.finish(c, audience_id, len(rows), len(rows) - len(left_out or {}), "{}")
    row = {"id": run_id, "workspace_id": workspace_id, "status": status, "plan": "{}", "columns": '["code"]'}
    row |= {"campaign_id": campaigns.create(c, workspace_id, run_id.hex(), "one_time", "{}", [], NOW)}
    campaigns.add_run(c, {**row, "audience_id": audience_id, "offered": len(rows), "starts_at": NOW, "created_at": NOW})
    flows.ensure(c, workspace_id, run_id, list(senders) or [a_sender(c)])
    found = campaigns.get_run(c, run_id)
    assert found is not None
    return found


@pytest.fixture
def url(tmp_path: Path, new_store: NewStore) -> str:
    return new_store(tmp_path)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_store_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    db = Database(url)
    yield db
    db.close()


@pytest.fixture
def begin(engine: Engine) -> Begin:
    return engine.begin
