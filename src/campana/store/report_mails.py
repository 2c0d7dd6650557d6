"""Reports that go out by e-mail again and again: each is a row with its next due time, taken by one pump at a time.

A pump takes a due row by a token and a lease. Right before the mail server is handed the letter, the row says that this begins
(`HANDED`); what is found like that after its lease was perhaps sent. See engine.report_mail for what follows.

What became of a letter so far is its `Trouble`: a letter that some have goes on to those alone whom the server put off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, case, delete, func, insert, or_, select, update

from campana.core.access import email_key
from campana.core.durations import DAY
from campana.core.ids import Id, new_id
from campana.core.periods import Every, next_due
from campana.store.dialect import in_turn, lease_clock, locked
from campana.store.schema import report_mail, throttle

MOST = 50  # of one workspace
LETTERS_A_DAY = 100  # of one workspace, one to each address; the day is that of UTC
HANDED, UNKNOWN, PARTLY, BROKEN, ENOUGH = "handed", "unknown", "partly", "broken", "enough"
REFUSED, REJECTED, GIVEN_UP = "refused", "rejected", "given_up"  # for now; for good; for as long as it was tried


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with the mail that was due at `due`, and what is known of it: `words` are the server's own."""

    kind: str
    due: int
    words: str = ""
    since: int = 0  # when it was not taken for the first time
    sent: bool = False  # some have it
    left: tuple[str, ...] = ()  # whom it still has to go to; empty: everybody
    refused: dict[str, str] = {}  # who does not get it: address -> the server's words


class TooMany(Exception):
    """A workspace has as many reports by e-mail as it may have. Delete one that nobody reads."""


class EnoughToday(Exception):
    """The workspace has sent its letters of the day. The others go out after `until`."""

    def __init__(self, until: int) -> None:
        super().__init__(self.__doc__)
        self.until = until


@dataclass(frozen=True, slots=True)
class ReportMail:
    """One of them. Times are UTC microseconds."""

    id: Id
    workspace_id: Id
    name: str
    query: str
    every: Every
    at: str
    zone: str
    language: str
    addresses: tuple[str, ...]
    active: bool
    next_at: int
    token: Id | None
    sent_at: int | None
    trouble: Trouble | None

    @property
    def handed_over(self) -> bool:
        """Whether the letter that is due now was perhaps taken by the server already."""
        return self.trouble is not None and self.trouble.kind == HANDED and self.trouble.due == self.next_at

    def so_far(self, due: int) -> Trouble:
        """What is known of the letter of `due`."""
        return self.trouble if self.trouble is not None and self.trouble.due == due else Trouble(REFUSED, due)

    def readers(self, due: int) -> tuple[str, ...]:
        """Whom the letter of `due` still has to go to."""
        left = self.so_far(due).left
        return tuple(one for one in self.addresses if one in left) if left else self.addresses


M = report_mail.c
ROW = select(
    M.id, M.workspace_id, M.name, M.query, M.every, M.at, M.zone, M.language, M.addresses, M.active, M.next_at, M.token,
    M.sent_at, M.trouble,
)  # fmt: skip


def _of(row: Any) -> ReportMail:
    facts = {name: row._mapping[name] for name in ReportMail.__slots__}
    facts["every"] = Every(row.every)
    facts["addresses"] = tuple(msgspec.json.decode(row.addresses, type=list[str]))
    facts["trouble"] = msgspec.json.decode(row.trouble, type=Trouble) if row.trouble else None
    return ReportMail(**facts)


def of_workspace(c: Connection, workspace_id: Id) -> list[ReportMail]:
    """All of a workspace, by name."""
    rows = c.execute(ROW.where(M.workspace_id == workspace_id).order_by(func.lower(M.name), M.id))
    return [_of(row) for row in rows]


def get(c: Connection, workspace_id: Id, mail_id: Id) -> ReportMail | None:
    """One of a workspace."""
    row = c.execute(ROW.where(M.id == mail_id, M.workspace_id == workspace_id)).first()
    return _of(row) if row else None


def add(
    c: Connection,
    workspace_id: Id,
    owner_id: Id | None,
    now: int,
    *,
    name: str,
    query: str,
    every: Every,
    at: str,
    zone: str,
    language: str,
    addresses: Sequence[str],
    next_at: int,
) -> Id:
    """A new one. Raises TooMany."""
    in_turn(c, "reports by e-mail")
    if (c.scalar(select(func.count()).select_from(report_mail).where(M.workspace_id == workspace_id)) or 0) >= MOST:
        raise TooMany
    mail_id = new_id(now)
    facts = {"name": name, "query": query, "every": every, "at": at, "zone": zone, "language": language, "next_at": next_at}
    facts |= {"addresses": _listed(addresses), "owner_id": owner_id, "created_at": now}
    c.execute(insert(report_mail).values(id=mail_id, workspace_id=workspace_id, **facts))
    return mail_id


def edit(c: Connection, mail: ReportMail, now: int, **facts: Any) -> bool:
    """It is called, timed and sent as these facts say (those of `add`); False when it is gone meanwhile.

    What is due already goes out all the same: to its readers of now when nobody has it yet, else to those that are left. One
    that had no readers stays paused.
    """
    row = c.execute(locked(ROW.add_columns(M.lease_until).where(M.id == mail.id), report_mail)).first()
    if row is None:
        return False
    found = _of(row)
    values = facts | {"addresses": _listed(facts["addresses"])}
    if found.next_at > now:
        values["next_at"] = next_due(facts["every"], facts["at"], facts["zone"], now)
    elif found.token is None:
        values["lease_until"] = None  # it is tried at once: perhaps what stood in the way was mended
    if (told := found.trouble) is not None and told.kind not in (HANDED, UNKNOWN):
        kept = {one: words for one, words in told.refused.items() if told.sent and one in facts["addresses"]}
        told = msgspec.structs.replace(told, left=told.left if told.sent else (), refused=kept)
        values["trouble"] = _stored(told if told.left or told.refused or told.words or told.kind == ENOUGH else None)
    c.execute(update(report_mail).where(M.id == mail.id).values(**values))
    return True


def forget_reader(c: Connection, workspace_id: Id, email: str) -> list[ReportMail]:
    """No report of the workspace goes to that address any more. Returns those that did, as they are now: one that nobody reads
    is paused."""
    gone, changed = email_key(email), []
    for row in c.execute(locked(ROW.where(M.workspace_id == workspace_id).order_by(M.id), report_mail)).all():
        mail = _of(row)
        left = tuple(one for one in mail.addresses if email_key(one) != gone)
        if left != mail.addresses:
            mail = replace(mail, addresses=left, active=mail.active and bool(left))
            c.execute(update(report_mail).where(M.id == mail.id).values(addresses=_listed(left), active=mail.active))
            changed.append(mail)
    return changed


def pause(c: Connection, mail: ReportMail) -> None:
    """Nothing more is sent until somebody lets it go on."""
    c.execute(update(report_mail).where(M.id == mail.id).values(active=False))


def resume(c: Connection, mail: ReportMail, next_at: int) -> None:
    """It is sent again, from its next due time on; what nobody reads stays paused. A letter under way goes on by itself."""
    paused = (M.id == mail.id, M.active.is_(False), M.addresses != _listed(()))
    c.execute(update(report_mail).where(*paused).values(active=True, next_at=next_at, trouble=None))


def remove(c: Connection, mail: ReportMail) -> None:
    """It is gone."""
    c.execute(delete(report_mail).where(M.id == mail.id))


# --- how many a day ---------------------------------------------------------------------------------------------------------


def spend(c: Connection, workspace_id: Id, letters: int, now: int) -> None:
    """So many letters of the workspace go out today. Raises EnoughToday when they are more than there may be."""
    key, t = _day_key(workspace_id), throttle.c
    in_turn(c, key)
    row = c.execute(select(t.failures, t.until).where(t.key == key)).first()
    sent = row.failures if row is not None and row.until > now else 0
    until = now - now % DAY + DAY
    if sent + letters > LETTERS_A_DAY:
        raise EnoughToday(until)
    c.execute(delete(throttle).where(t.key == key))
    c.execute(insert(throttle).values(key=key, failures=sent + letters, since=until - DAY, until=until))


def give_back(c: Connection, workspace_id: Id, letters: int) -> None:
    """They did not go out after all."""
    t = throttle.c
    left = case((t.failures > letters, t.failures - letters), else_=0)
    c.execute(update(throttle).where(t.key == _day_key(workspace_id)).values(failures=left))


def _day_key(workspace_id: Id) -> str:
    return f"letters of {workspace_id.hex()}"


# --- by the pump ------------------------------------------------------------------------------------------------------------


def claim(c: Connection, token: Id, now: int, lease: int) -> ReportMail | None:
    """The next one that is due and in nobody's hands, from now on in those of `token`; its `token` is whose it was before."""
    free = or_(M.lease_until.is_(None), M.lease_until <= lease_clock(now))
    due = ROW.where(M.active, M.next_at <= now, free).order_by(M.next_at).limit(1)
    row = c.execute(locked(due, report_mail, skip_locked=True)).first()
    if row is None:
        return None
    c.execute(update(report_mail).where(M.id == row.id).values(token=token, lease_until=lease_clock(now) + lease))
    return _of(row)


def hand_over(c: Connection, mail: ReportMail, token: Id, due: int, now: int, lease: int) -> bool:
    """The letter of `due` is handed to the server now. False when the row is not in these hands any more, or is for
    others than this letter: nothing is sent. Raises EnoughToday."""
    values = {"next_at": due, "trouble": _stored(_as(mail, due, HANDED)), "lease_until": lease_clock(now) + lease}
    ours = (M.id == mail.id, M.token == token, M.active, M.addresses == _listed(mail.addresses))
    if c.execute(update(report_mail).where(*ours).values(**values)).rowcount != 1:
        return False
    spend(c, mail.workspace_id, len(mail.readers(due)), now)
    return True


def taken(c: Connection, mail: ReportMail, due: int, now: int, trouble: Trouble | None, refused: int, pause: int) -> None:
    """The server took it for all but `refused` readers; whoever holds the row by now, that is true. Those whom `trouble` leaves
    get their turn after `pause`."""
    give_back(c, mail.workspace_id, refused)
    again = trouble is not None and bool(trouble.left)
    values = _next(c, mail, due, now, pause if again else None) | {"sent_at": now, "trouble": _stored(trouble)}
    told = (_stored(_as(mail, due, HANDED)), _stored(_as(mail, due, UNKNOWN)))
    c.execute(update(report_mail).where(M.id == mail.id, M.trouble.in_(told)).values(**values))


def give_up(c: Connection, mail: ReportMail, token: Id, due: int, now: int, words: str = "") -> None:
    """Nobody knows whether the letter of `due` was taken: it is not sent again, and people are told."""
    values = _next(c, mail, due, now, None) | {"trouble": _stored(_as(mail, due, UNKNOWN, words))}
    c.execute(update(report_mail).where(M.id == mail.id, M.token == token).values(**values))


def not_taken(
    c: Connection, mail: ReportMail, token: Id, now: int, trouble: Trouble, pause: int | None, begun: bool = False
) -> None:
    """The letter was surely not taken. It is tried again after `pause`, or with none never. When it was handed over, it counts
    for nothing."""
    if begun:
        give_back(c, mail.workspace_id, len(mail.readers(trouble.due)))
    values = _next(c, mail, trouble.due, now, pause) | {"trouble": _stored(trouble)}
    c.execute(update(report_mail).where(M.id == mail.id, M.token == token).values(**values))


def _next(c: Connection, mail: ReportMail, due: int, now: int, pause: int | None) -> dict[str, Any]:
    """What a row says of its next turn: the letter of `due` again after `pause`, else the next one by what the row says now."""
    free: dict[str, Any] = {"token": None, "lease_until": None}
    if pause is not None:
        return free | {"next_at": due, "lease_until": lease_clock(now) + pause}
    row = c.execute(select(M.every, M.at, M.zone).where(M.id == mail.id)).first()
    return free | {"next_at": next_due(Every(row.every), row.at, row.zone, max(due, now))} if row else free


def _as(mail: ReportMail, due: int, kind: str, words: str = "") -> Trouble:
    """What is known of the letter of `due`, and that it is of this kind now."""
    return msgspec.structs.replace(mail.so_far(due), kind=kind, words=words)


def _listed(addresses: Sequence[str]) -> str:
    return msgspec.json.encode(list(addresses)).decode()


def _stored(trouble: Trouble | None) -> str | None:
    return msgspec.json.encode(trouble).decode() if trouble else None
