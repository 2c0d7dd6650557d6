"""Connected vendor accounts: their sealed credentials, and what the console shows of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from campana.core.durations import MINUTE
from campana.core.ids import Id, derived_id, new_id
from campana.store.campaigns import LIVE
from campana.store.dialect import in_turn
from campana.store.schema import campaign, flow, integration, run, seal, sender, template, user
from campana.vault import Vault

HOOK_BYTES = 12  # of an address under /hooks/ that nobody guesses
NOTHING = b""  # instead of credentials: somebody must enter them
HEARD_AGAIN = 5 * MINUTE  # how often it is written down that webhooks still come
HEARD_WELL: dict[str, Any] = {"refused": 0, "refused_since": None, "refused_at": None}


def trouble(word: str, words: str = "") -> str:
    """What is wrong with an account, as it is kept: a word that pages have a sentence for, and what was said to us."""
    return f"{word}\n{words}"


class NameTaken(ValueError):
    """Another one of the workspace has that name; the sentence says which."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A vendor account as a process needs it."""

    id: Id
    workspace_id: Id
    name: str
    kind: str
    hook: str
    credentials: bytes  # sealed
    active: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A vendor account as people see it."""

    id: Id
    name: str
    kind: str
    hook: str
    from_file: bool
    active: bool
    known: bool  # its credentials are here
    checked_at: int | None
    last_error: str | None
    refused: int = 0  # webhooks, since the last good one
    refused_since: int | None = None
    heard_at: int | None = None  # about when a good webhook last came

    @property
    def trouble(self) -> tuple[str, str]:
        """What is wrong: a word of ours, "" for what the vendor told by itself, and what was said to us."""
        word, _, words = (self.last_error or "").rpartition("\n")
        return word, words


@dataclass(frozen=True, slots=True)
class Heard:
    """What came to an account's address in a few seconds: whether any webhook was good, and those refused after that."""

    hook: str
    good: bool
    refused: int = 0
    first: int | None = None  # when, of those refused
    last: int | None = None


class InUse(ValueError):
    """An account that cannot be removed: it is on, or campaigns that are not over need it."""


@dataclass(frozen=True, slots=True)
class Affected:
    """A campaign that is scheduled or sending over an account."""

    campaign_id: Id
    name: str
    status: str


def accounts(c: Connection) -> list[AccountRow]:
    """All accounts whose credentials are here, of every workspace."""
    i = integration.c
    rows = c.execute(
        select(i.id, i.workspace_id, i.name, i.kind, i.hook, i.credentials, i.active).where(i.credentials != NOTHING)
    )
    return [AccountRow(*row) for row in rows]


def version(c: Connection) -> tuple[int, int]:
    """Another pair of numbers whenever an account was added, changed or removed."""
    row = c.execute(select(func.coalesce(func.max(integration.c.changed_at), 0), func.count()).select_from(integration)).one()
    return int(row[0]), int(row[1])


def _moment(c: Connection, now: int) -> int:
    """A moment after all changes there are, whatever the order in which they are committed: nobody overlooks this one."""
    in_turn(c, "integrations")
    return max(now, version(c)[0] + 1)


def credentials(c: Connection, workspace_id: Id, integration_id: Id) -> bytes:
    """The sealed credentials of an account; empty when there are none."""
    i = integration.c
    found = c.scalar(select(i.credentials).where(i.workspace_id == workspace_id, i.id == integration_id))
    return bytes(found or NOTHING)


def add(c: Connection, workspace_id: Id, name: str, kind: str, sealed: bytes, now: int) -> Id:
    """A new account, at an address of its own. Raises NameTaken."""
    at, made = _moment(c, now), new_id(now)
    _require_free(c, workspace_id, name, made)
    row: dict[str, Any] = {"id": made, "workspace_id": workspace_id, "name": name, "kind": kind, "credentials": sealed}
    c.execute(insert(integration).values(row | _born(c, token_urlsafe(HOOK_BYTES), at)))
    return made


def change(c: Connection, workspace_id: Id, integration_id: Id, now: int, **values: Any) -> bool:
    """Changes name, credentials or `active` of an account of the console; False when there is none. Raises NameTaken.

    Credentials are to be given only when they are others: what the vendor does not show to them says nothing of earlier messages.
    """
    at = _moment(c, now)
    values |= {"moved_at": at, **HEARD_WELL} if "credentials" in values else {}
    if "name" in values:
        _require_free(c, workspace_id, values["name"], integration_id)
    i = integration.c
    mine = (i.workspace_id == workspace_id, i.id == integration_id, i.from_file.is_(False), i.removed_at.is_(None))
    return c.execute(update(integration).where(*mine).values(changed_at=at, **values)).rowcount > 0


def remove(c: Connection, workspace_id: Id, integration_id: Id, now: int) -> bool:
    """The account is in no list any more, its credentials are forgotten, and its name and address are free; its senders are
    for `senders.remove_all`. What was sent over it stays known. False when there is none. Raises InUse."""
    at, i = _moment(c, now), integration.c
    mine = (i.workspace_id == workspace_id, i.id == integration_id, i.from_file.is_(False), i.removed_at.is_(None))
    active = c.scalar(select(i.active).where(*mine))
    if active is None:
        return False
    if active or affected(c, workspace_id, integration_id):
        raise InUse
    gone = {"removed_at": at, "changed_at": at, "credentials": NOTHING, "hook": f"removed-{integration_id.hex()}"}
    c.execute(update(integration).where(*mine).values(**gone, **HEARD_WELL, last_error=None))
    c.execute(delete(template).where(template.c.workspace_id == workspace_id, template.c.integration_id == integration_id))
    return True


def listening(c: Connection, now: int) -> set[str]:
    """The addresses of which a good webhook is worth writing down: it is the first one, the first after some that were refused,
    or the last is long ago."""
    i = integration.c
    return set(c.scalars(select(i.hook).where(or_(i.refused > 0, i.heard_at.is_(None), i.heard_at <= now - HEARD_AGAIN))))


def heard(c: Connection, told: Iterable[Heard], now: int) -> None:
    """The accounts' cards tell what came to their addresses. What was refused before credentials became others says nothing."""
    i = integration.c
    for one in told:
        values: dict[str, Any]
        if one.good:
            values = {"refused": one.refused, "refused_since": one.first, "refused_at": one.last, "heard_at": now}
        else:
            since = func.coalesce(i.refused_since, one.first)
            values = {"refused": i.refused + one.refused, "refused_since": since, "refused_at": one.last}
        current = [or_(i.moved_at.is_(None), i.moved_at < one.first)] if one.first else []
        c.execute(update(integration).where(i.hook == one.hook, *current).values(values))


def checked(c: Connection, integration_id: Id, now: int, trouble: str | None) -> None:
    """The vendor was asked whether the credentials are good: it took them, or there is a sentence that says why not."""
    values: dict[str, Any] = {"last_error": trouble} if trouble else {"last_error": None, "checked_at": now}
    c.execute(update(integration).where(integration.c.id == integration_id).values(values))


def note(c: Connection, integration_id: Id, words: str) -> None:
    """What the vendor told of the account, for people, or a `trouble`."""
    c.execute(update(integration).where(integration.c.id == integration_id).values(last_error=words))


def _require_free(c: Connection, workspace_id: Id, name: str, owner: Id) -> None:
    i = integration.c
    others = (i.workspace_id == workspace_id, i.name == name, i.id != owner, i.removed_at.is_(None))
    if c.scalar(select(i.id).where(*others)) is not None:
        raise NameTaken(f"There is already an integration named {name}. Choose another name.")


# --- those of the settings --------------------------------------------------------------------------------------------------


def put_from_file(c: Connection, workspace_id: Id, name: str, kind: str, plain: bytes, vault: Vault, now: int) -> Id:
    """The account that the settings name is in use with these credentials; nothing changes when it was. Raises NameTaken."""
    found = derived_id(workspace_id, "integration", name)
    at = _moment(c, now)
    _require_free(c, workspace_id, name, found)
    i = integration.c
    known = c.execute(select(i.kind, i.credentials, i.active).where(i.id == found)).first()
    if known is None:
        row: dict[str, Any] = {"id": found, "workspace_id": workspace_id, "name": name, "kind": kind, "from_file": True}
        c.execute(insert(integration).values(row | {"credentials": vault.seal(plain)} | _born(c, name, at)))
    elif known.kind != kind or not known.active or not vault.holds(bytes(known.credentials), plain):
        values: dict[str, Any] = {"kind": kind, "credentials": vault.seal(plain), "active": True}
        values |= {"last_error": None, "changed_at": at}
        if known.kind != kind or not vault.holds(bytes(known.credentials), plain):
            values |= {"moved_at": at, **HEARD_WELL}
        if known.kind != kind:
            values |= {"heard_at": None}
        c.execute(update(integration).where(i.id == found).values(values))
    return found


def keep_from_file(c: Connection, workspace_id: Id, named: Collection[Id], now: int) -> None:
    """What the settings named and name no more is out of use, and its credentials are forgotten."""
    i = integration.c
    gone = (i.workspace_id == workspace_id, i.from_file, i.active | (i.credentials != NOTHING), i.id.not_in(list(named)))
    if c.scalar(select(i.id).where(*gone).limit(1)) is not None:
        at = _moment(c, now)
        c.execute(update(integration).where(*gone).values(active=False, credentials=NOTHING, changed_at=at))


def _born(c: Connection, hook: str, at: int) -> dict[str, Any]:
    """What every new account has. Its address is `hook` when nobody else has that one."""
    taken = c.scalar(select(integration.c.id).where(integration.c.hook == hook)) is not None
    return {"hook": f"{hook}-{token_urlsafe(HOOK_BYTES)}" if taken else hook, "changed_at": at, "created_at": at}


# --- what people see --------------------------------------------------------------------------------------------------------


def cards(c: Connection, workspace_id: Id, only: Id | None = None) -> list[Card]:
    """The accounts of a workspace by name, or one of them."""
    i = integration.c
    first = (i.id, i.name, i.kind, i.hook, i.from_file, i.active, i.credentials != NOTHING)
    shown = (i.checked_at, i.last_error, i.refused, i.refused_since, i.heard_at)
    wanted = [i.workspace_id == workspace_id, i.removed_at.is_(None), *([i.id == only] if only else [])]
    return [Card(*row) for row in c.execute(select(*first, *shown).where(*wanted).order_by(func.lower(i.name), i.id))]


def affected(c: Connection, workspace_id: Id, integration_id: Id, sender_id: Id | None = None) -> list[Affected]:
    """The campaigns that are scheduled, sending or paused and use the account, or one sender of it."""
    rows = c.execute(
        select(campaign.c.id, campaign.c.name, run.c.status)
        .join(run, run.c.campaign_id == campaign.c.id)
        .join(flow, flow.c.run_id == run.c.id)
        .join(sender, sender.c.id == flow.c.sender_id)
        .where(
            campaign.c.workspace_id == workspace_id,
            sender.c.integration_id == integration_id,
            run.c.status.in_(LIVE),
            *([sender.c.id == sender_id] if sender_id else []),
        )
        .distinct()
        .order_by(campaign.c.name)
    )
    return [Affected(*row) for row in rows]


def carried(c: Connection, workspace_id: Id, integration_id: Id) -> int:
    """How many campaigns were sent over the account, or are."""
    used = (
        select(func.count(run.c.campaign_id.distinct()))
        .join(flow, flow.c.run_id == run.c.id)
        .join(sender, sender.c.id == flow.c.sender_id)
        .where(run.c.workspace_id == workspace_id, sender.c.integration_id == integration_id)
    )
    return int(c.scalar(used) or 0)


# --- the key ----------------------------------------------------------------------------------------------------------------


def proof(c: Connection) -> bytes | None:
    """What the key of this installation opens; None before the first start. Nobody else looks meanwhile."""
    in_turn(c, "seal")
    found = c.scalar(select(seal.c.proof))
    return None if found is None else bytes(found)


def put_proof(c: Connection, sealed: bytes) -> None:
    """From now on this is the proof."""
    c.execute(seal.delete())
    c.execute(insert(seal).values(number=1, proof=sealed))


def reseal(c: Connection, vault: Vault, now: int) -> None:
    """Everything that is sealed in the database is sealed with the first key of the vault."""
    at = _moment(c, now)
    for row in _sealed(c):
        c.execute(
            update(integration)
            .where(integration.c.id == row.id)
            .values(credentials=vault.renew(bytes(row.credentials)), changed_at=at)
        )
    for row in c.execute(select(user.c.id, user.c.totp).where(user.c.totp.is_not(None))).all():
        c.execute(update(user).where(user.c.id == row.id).values(totp=vault.renew(bytes(row.totp))))


def forget_sealed(c: Connection, now: int) -> tuple[int, int]:
    """Nothing that is sealed is left, and any key may seal from now on. Returns how many accounts and second factors that was."""
    at, count = _moment(c, now), len(_sealed(c))
    where = or_(integration.c.credentials != NOTHING, integration.c.from_file)
    c.execute(update(integration).where(where).values(credentials=NOTHING, last_error=trouble("key_lost"), changed_at=at))
    factors = c.execute(update(user).where(user.c.totp.is_not(None)).values(totp=None)).rowcount
    c.execute(seal.delete())
    return count, factors


def _sealed(c: Connection) -> Sequence[Any]:
    i = integration.c
    return c.execute(select(i.id, i.credentials).where(i.credentials != NOTHING)).all()
