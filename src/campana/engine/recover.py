"""Recovering: units whose worker is gone are ready again; what it had started is uncertain, or surely was never sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from campana.core.ids import Id
from campana.core.journey import Event, Happening
from campana.core.message import Status
from campana.core.reason import STOPPED, english
from campana.engine.changes import Changes
from campana.engine.house import House
from campana.engine.settle import first_ask
from campana.store import messages, recipients, units
from campana.store.dialect import alone
from campana.store.messages import News
from campana.store.units import Unit

WORDS = english(STOPPED)


def recover(c: Connection, house: House, now: int, everything: bool = False) -> int:
    """Takes over from workers that are gone. Returns how many units it made ready.

    With `everything`, leases do not matter: only for the one process there is, before it starts to work.
    """
    if not alone(c, "recover"):
        return 0
    lost = units.abandoned(c, now, everything)
    for unit in lost:
        _recover_unit(c, house, unit, now, partial(house.begun, unit.token))
    return len(lost)


def leave(c: Connection, house: House, unit: Unit, now: int) -> None:
    """A worker gives its unit back. What it has started and not called, because it never heard of the start, was not sent.

    Nothing is done when the unit is another worker's by now.
    """
    if units.look(c, unit, now) is not None:
        _recover_unit(c, house, unit, now, lambda message_id: False)


def _recover_unit(c: Connection, house: House, unit: Unit, now: int, begun: Callable[[Id], bool | None]) -> None:
    changes = Changes(now)
    people = {person.id: person for person in recipients.lock(c, messages.people_open_in_unit(c, unit.id))}
    for row in messages.open_in_unit(c, unit.id):
        person = people[row.recipient_id]
        shape = house.plan_of_run(c, row.run_id).shape
        current = person.message_id == row.id
        if begun(row.id) is False:
            news = News(row.id, Status.FAILED, now, None, "unsent", f"{WORDS} before the call")
            event = Event(Happening.UNSENT, now, current, again_at=now, reason=STOPPED)
        else:
            ask_at = first_ask(house, house.channels[row.channel], now)
            news = News(row.id, Status.UNCERTAIN, now, None, None, WORDS, ask_at)
            event = Event(Happening.UNCERTAIN, now, current, reason=STOPPED)
        changes.tell(row, news, row.run_id, row.step, row.channel)
        if current:
            changes.advance(person, event, shape)
    changes.write(c)
    units.release(c, unit, now)
