"""Cutting: due people become units, lanes in order, fair among campaigns, never more than a sender sends in a few seconds."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection

from campana.store import flows, units
from campana.store.dialect import alone
from campana.store.flows import OpenFlow

AHEAD_SECONDS = 5
AT_ONCE = 2000  # people a transaction takes, so that nobody waits for the writer


def cut(c: Connection, now: int) -> int:
    """Cuts what is due into units. Returns how many people it put into their hands; 0 when there is nothing to do."""
    if not alone(c, "cut"):
        return 0
    cut_already = units.outstanding(c)
    by_sender: dict[bytes, list[OpenFlow]] = defaultdict(list)
    for one in flows.open_flows(c, now):
        by_sender[one.sender_id].append(one)
    taken = 0
    for sender_id, theirs in by_sender.items():
        room = room_of(theirs[0].rate, cut_already.get(sender_id, 0))
        if theirs[0].tat <= now + AHEAD_SECONDS * 1_000_000 and room > 0:
            taken += _share(c, theirs, min(room, AT_ONCE - taken), now)
        if taken >= AT_ONCE:
            break
    return taken


def room_of(rate: float, cut_already: int) -> int:
    """How many more people a sender may have in units.

    None before half of those it may have are gone: refilled one by one, units would come to hold one person each.
    """
    most = max(1, int(rate * AHEAD_SECONDS))
    room = most - cut_already
    return room if 2 * room >= most else 0


def _share(c: Connection, theirs: list[OpenFlow], room: int, now: int) -> int:
    """Takes turns among a sender's flows of one lane, then goes on to the next lane."""
    taken = 0
    for lane in sorted({one.lane for one in theirs}):
        waiting = [one for one in theirs if one.lane == lane]
        while waiting and taken < room:
            share = min(units.SIZE, max(1, (room - taken) // len(waiting)))
            still = []
            for one in waiting:
                got = units.cut(c, one, min(share, room - taken), now) if taken < room else 0
                taken += got
                if got == share:
                    still.append(one)
            waiting = still
    return taken
