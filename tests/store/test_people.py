"""Enrolment, contacts and names that are taken: what the database itself holds to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, func, select

from campana.core.ids import Id, new_id
from campana.store import accounts, campaigns, contacts, recipients, suppressions, workspaces
from campana.store.campaigns import RunRow
from campana.store.database import Database
from campana.store.schema import contact, recipient
from tests.store.conftest import NOW, Begin, a_run

People = Sequence[tuple[str | None, str | None]]
THREE: People = [("+12125550101", None), ("+12125550102", "b@example.com"), (None, "c@example.com")]


def enrol_all(c: Connection, run: RunRow, limit: int = 2) -> int:
    """Batch after batch, each noted as the engine does."""
    total = 0
    while True:
        current = campaigns.get_run(c, run.id)
        assert current is not None
        last, n = recipients.enrol(c, current, limit, NOW)
        total += n
        if last == current.enrolled_through:
            return total
        campaigns.note_enrolled(c, run.id, last, False)


def everybody(c: Connection, run: RunRow) -> list[tuple[int, str | None, str | None, Id]]:
    low, high = recipients.id_range(run.id)
    r = recipient.c
    return [
        tuple(row)
        for row in c.execute(select(r.number, r.phone, r.email, r.contact_id).where(r.id.between(low, high)).order_by(r.id))
    ]


def test_enrolment_takes_everybody_once_in_the_order_of_the_rows(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE)
        assert enrol_all(c, run) == 3
        assert [row[:3] for row in everybody(c, run)] == [(number, *one) for number, one in enumerate(THREE, 1)]


def test_enrolling_again_enrols_nobody_and_changes_nobody(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE)
        enrol_all(c, run)
        before = everybody(c, run)
        campaigns.note_enrolled(c, run.id, 0, False)  # as if a crash had taken the note
        assert enrol_all(c, run) == 0
        assert everybody(c, run) == before


def test_rows_that_are_left_out_are_passed_over(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE, left_out={2: "duplicate"})
        assert enrol_all(c, run, limit=1) == 2
        assert [row[0] for row in everybody(c, run)] == [1, 3]


def test_the_same_phone_or_address_in_another_campaign_is_the_same_person(begin: Begin) -> None:
    with begin() as c:
        first, second = a_run(c, THREE), a_run(c, [(None, "b@example.com"), ("+12125550101", "new@example.com")])
        enrol_all(c, first)
        enrol_all(c, second)
        ana, bruno, _ = (row[3] for row in everybody(c, first))
        assert [row[3] for row in everybody(c, second)] == [bruno, ana]
        assert c.scalar(select(func.count()).select_from(contact)) == 3
        assert dict(contacts.addresses_of(c, ana)) == {"phone": "+12125550101", "email": "new@example.com"}


def test_a_person_known_by_writing_first_is_the_one_enrolled(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE)
        known = contacts.find_or_make(c, run.workspace_id, ["wa_id:12125550101", "phone:+12125550101"], NOW)
        enrol_all(c, run)
        assert everybody(c, run)[0][3] == known
        assert [person.id for person in recipients.of_contact(c, known)] == [run.id[:8] + (1).to_bytes(8, "big")]


def test_a_name_that_belongs_to_somebody_else_stays_theirs(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE)
        enrol_all(c, run)
        ana, bruno, _ = (row[3] for row in everybody(c, run))
        contacts.add_aliases(c, [(run.workspace_id, bruno, alias) for alias in ("phone:+12125550101", "wa_id:1")])
        assert contacts.find(c, run.workspace_id, ["phone:+12125550101"]) == ana
        assert contacts.find(c, run.workspace_id, ["user_id:none", "wa_id:1"]) == bruno


def test_the_first_reason_of_an_opt_out_is_kept_as_proof(begin: Begin) -> None:
    with begin() as c:
        workspace_id = a_run(c, THREE).workspace_id
        suppressions.suppress(c, workspace_id, ["+1"], "sms", NOW, "words of the person", "STOP")
        suppressions.suppress(c, workspace_id, ["+1"], "sms", NOW + 1, "told by the vendor", "21610")
        suppressions.suppress(c, workspace_id, ["+1", "+2"], suppressions.ALL, NOW, "by hand", "letter")
        assert suppressions.among(c, workspace_id, ["+1", "+2", "+3"]) == {("+1", "sms"), ("+1", "all"), ("+2", "all")}
        assert c.exec_driver_sql("SELECT proof FROM suppression WHERE medium = 'sms'").scalars().all() == ["STOP"]
        assert suppressions.lift(c, workspace_id, ["+1"], "whatsapp", NOW) == 1
        assert suppressions.among(c, workspace_id, ["+1"]) == {("+1", "sms")}
        assert suppressions.among(c, new_id(NOW), ["+1"]) == set()


def test_a_wish_for_messages_lifts_only_what_was_told_before_it(begin: Begin) -> None:
    with begin() as c:
        workspace_id = a_run(c, THREE).workspace_id
        suppressions.suppress(c, workspace_id, ["+1"], "sms", NOW, "words of the person", "STOP")
        suppressions.suppress(c, workspace_id, ["+1"], "sms", NOW + 9, "words of the person", "STOP")
        suppressions.suppress(c, workspace_id, ["+1"], "sms", NOW + 3, "words of the person", "STOP")
        assert suppressions.lift(c, workspace_id, ["+1"], "sms", NOW + 5) == 0
        assert suppressions.among(c, workspace_id, ["+1"]) == {("+1", "sms")}
        assert suppressions.lift(c, workspace_id, ["+1"], "sms", NOW + 10) == 1


NAMES = [("Visit reminders", "  visit   REMINDERS "), ("Straße", "STRASSE"), ("Café", "Cafe\u0301")]


@pytest.mark.parametrize(("first", "second"), NAMES)
def test_a_name_is_taken_once_in_a_workspace(begin: Begin, first: str, second: str) -> None:
    workspace_id, other = new_id(NOW), new_id(NOW)
    with begin() as c:
        assert campaigns.create(c, workspace_id, first, "one_time", "{}", [], NOW)
        assert campaigns.create(c, other, second, "one_time", "{}", [], NOW)
        assert campaigns.create(c, workspace_id, second, "triggered", "{}", [], NOW) is None


async def test_of_two_who_take_a_name_at_once_one_gets_it(url: str) -> None:
    workspace_id = new_id(NOW)
    stores = [Database(url), Database(url)]
    asked = [store.run(campaigns.create, workspace_id, "Reminders", "one_time", "{}", [], NOW) for store in stores]
    results = await asyncio.gather(*asked)
    assert sorted(type(one).__name__ for one in results) == ["NoneType", "bytes"]
    for store in stores:
        store.close()


def test_tags_are_made_from_the_name_and_numbered_when_taken(begin: Begin) -> None:
    with begin() as c:
        workspace_id = new_id(NOW)
        names = ("Visita médica", "Visita medica!")
        made = [campaigns.create(c, workspace_id, name, "one_time", "{}", ["vip"], NOW) for name in names]
        assert list(campaigns.tags_of(c, made).values()) == [["visita-medica", "vip"], ["visita-medica-2", "vip"]]


def test_only_one_of_two_changes_to_a_run_takes_effect(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE)
        assert campaigns.change_run(c, run.id, ["sending"], status="paused")
        assert not campaigns.change_run(c, run.id, ["sending"], status="ended")
        assert campaigns.get_run(c, run.id).status == "paused"  # type: ignore[union-attr]


def test_cells_are_kept_as_they_stood(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, THREE)
        enrol_all(c, run)
        page = recipients.after(c, run.id, 1, 10)
        assert [(row.number, json.loads(row.cells)) for row in page] == [(2, ["2"]), (3, ["3"])]


def test_a_workspace_that_was_renamed_is_still_the_one_of_the_settings(begin: Begin) -> None:
    with begin() as c:
        first = accounts.ensure_workspace(c, "default", NOW)
        assert workspaces.change(c, first, "Clinic", "UTC", None, False)
        assert accounts.ensure_workspace(c, "default", NOW) == first
        made = workspaces.create(c, "Branch", "UTC", NOW)
        assert made not in {None, first}
        assert accounts.ensure_workspace(c, "Branch", NOW) == made
