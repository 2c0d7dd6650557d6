"""All that happened to one person in one campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from campana.core.ids import Id
from campana.store import messages, recipients, suppressions
from campana.store.log import history
from campana.store.people import CELLS, Head, head_of_run
from campana.store.recipients import Person
from campana.store.schema import inbound, message, sender, suppression

MOST = 500  # of each kind


@dataclass(frozen=True, slots=True)
class Timeline:
    """One person of a campaign, with everything that was kept about them, oldest first."""

    head: Head
    person: Person
    number: int
    cells: Sequence[str]
    messages: Sequence[Mapping[str, Any]]  # whole rows, with `history` and the name of the sender as `sender`
    decisions: Sequence[Mapping[str, Any]]
    replies: Sequence[Any]  # at, medium, kind, text
    optouts: Sequence[suppressions.Entry]


def timeline(c: Connection, workspace_id: Id, campaign_id: Id, recipient_id: Id) -> Timeline | None:
    """The person, when they are one of that campaign's and the campaign is the workspace's."""
    person = next(iter(recipients.load(c, [recipient_id])), None)
    head = head_of_run(c, workspace_id, person.run_id) if person else None
    if person is None or head is None or head.campaign_id != campaign_id:
        return None
    number = int.from_bytes(person.id[8:], "big")
    told = messages.decisions_of(c, recipient_id)
    return Timeline(head, person, number, CELLS.decode(person.cells), _messages(c, recipient_id), told, *_heard(c, person))


def _messages(c: Connection, recipient_id: Id) -> list[dict[str, Any]]:
    rows = c.execute(select(message).where(message.c.recipient_id == recipient_id).order_by(message.c.id).limit(MOST))
    found = [dict(row._mapping) for row in rows]
    wanted = {one["sender_id"] for one in found}
    names = select(sender.c.id, sender.c.name).where(sender.c.id.in_(wanted))
    known = {row.id: row.name for row in c.execute(names)} if wanted else {}
    return [one | {"sender": known.get(one["sender_id"], ""), "history": history(one)} for one in found]


def _heard(c: Connection, person: Person) -> tuple[Sequence[Any], Sequence[suppressions.Entry]]:
    """What they wrote in this journey, and the channels they want nothing on."""
    i, s = inbound.c, suppression.c
    replies = select(i.at, i.medium, i.kind, i.text).where(i.contact_id == person.contact_id, i.recipient_id == person.id)
    values = [value for value in (person.phone, person.email) if value]
    where = (s.workspace_id == person.workspace_id, s.value.in_(values))
    known = c.execute(select(s.value, s.medium, s.at, s.rule, s.proof).where(*where).order_by(s.at))
    return c.execute(replies.order_by(i.id).limit(MOST)).all(), [suppressions.Entry(*row) for row in known]
