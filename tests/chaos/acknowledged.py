"""Webhooks that were answered with 2xx, in the vendors' ledger, against what the store knows of them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, select

from campana.core.message import NOT_DELIVERED, Status
from campana.standin import ledger as kinds
from campana.standin.ledger import Step, read_lines
from campana.store.messages import STAMPS
from campana.store.schema import inbound, message

# What a vendor tells -> one of the times of our message that must then be known. *queued* says no more than the answer did.
STAMPED = {
    "sent": (Status.SENT,),
    "delivered": (Status.DELIVERED,),
    "read": (Status.READ,),
    "failed": tuple(NOT_DELIVERED),
    "undelivered": tuple(NOT_DELIVERED),
}


def check_acknowledged(c: Connection, ledger: Path) -> tuple[int, list[str]]:
    """How many receipts and words of people were acknowledged, and a sentence for each that the store does not know."""
    plans: dict[str, tuple[str, list[Step]]] = {}
    told: dict[tuple[str, str], str] = {}  # message and status -> its reference
    words: set[str] = set()
    heard: set[str] = set()
    for line in read_lines(ledger):
        if line.kind == kinds.ACCEPTED:
            plans[line.id] = line.ref, line.plan
        elif line.kind == kinds.INBOUND:
            words.add(line.id)
        elif line.kind == kinds.HOOK and 200 <= line.answer < 300:
            if line.step >= 0:
                ref, plan = plans[line.id]
                told[line.id, plan[line.step].status] = ref
            elif line.id in words:
                heard.add(line.id)
    receipts = {key: ref for key, ref in told.items() if key[1] in STAMPED}
    known = _known(c)
    forgotten = [
        f"the status {status} of message {ref} was acknowledged, and is not in the store"
        for (_, status), ref in receipts.items()
        if not known.get(ref, frozenset()) & set(STAMPED[status])
    ]
    stored = set(c.scalars(select(inbound.c.vendor_id)))
    forgotten += [f"what a person wrote ({one}) was acknowledged, and is not in the store" for one in heard - stored]
    return len(receipts) + len(heard), forgotten


def _known(c: Connection) -> dict[str, frozenset[Status]]:
    """Which times of each message are known, by its reference."""
    m = message.c
    rows = c.execute(select(m.id, *(m[name] for name in STAMPS.values())))
    return {row[0].hex(): frozenset(s for s, at in zip(STAMPS, row[1:], strict=True) if at is not None) for row in rows}
