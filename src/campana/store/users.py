"""People who sign in: each has one account, found by e-mail address, whatever the number of workspaces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from campana.core.access import email_key
from campana.core.ids import Id, new_id
from campana.store.dialect import counted, in_turn, insert_many, upsert
from campana.store.schema import identity, recovery_code, user

COLUMNS = (user.c.id, user.c.email, user.c.name, user.c.password, user.c.totp, user.c.language, user.c.disabled_at)


@dataclass(frozen=True, slots=True)
class Account:
    """A user as they sign in. `password` is a hash, `totp` the sealed secret of the second factor."""

    id: Id
    email: str
    name: str
    password: str | None
    totp: bytes | None
    language: str | None
    disabled_at: int | None


def create(c: Connection, email: str, name: str, password: str | None, now: int) -> Id | None:
    """A new account; None when the address has one already."""
    made = new_id(now)
    row = {"id": made, "email": email.strip(), "email_key": email_key(email), "name": name.strip(), "password": password}
    done = counted(c, upsert(c, user).values(**row, created_at=now).on_conflict_do_nothing())
    return made if done else None


def find(c: Connection, email: str) -> Account | None:
    """The account of an address, however it is written."""
    return _account(c.execute(select(*COLUMNS).where(user.c.email_key == email_key(email))).first())


def get(c: Connection, user_id: Id) -> Account | None:
    """The account of that id."""
    return _account(c.execute(select(*COLUMNS).where(user.c.id == user_id)).first())


def _account(row: Any) -> Account | None:
    return Account(*row) if row else None


def any_at_all(c: Connection) -> bool:
    """Whether anybody has an account: before that, a link makes the first one."""
    return bool(c.scalar(select(func.count()).select_from(select(user.c.id).limit(1).subquery())))


def first_may_come(c: Connection) -> bool:
    """Whether this transaction may make the first account: no other one does at the same time."""
    in_turn(c, "first account")
    return not any_at_all(c)


def set_password(c: Connection, user_id: Id, password: str) -> None:
    """From now on that password opens the account."""
    c.execute(update(user).where(user.c.id == user_id).values(password=password))


def describe(c: Connection, user_id: Id, name: str, language: str | None) -> None:
    """The account has that name and language; None leaves the language to the browser."""
    c.execute(update(user).where(user.c.id == user_id).values(name=name.strip(), language=language))


def set_second_factor(c: Connection, user_id: Id, totp: bytes | None, step: int = 0) -> None:
    """Codes of that sealed secret are asked for from now on, all later than `step`; None asks for none. No recovery code of
    before works any more."""
    c.execute(update(user).where(user.c.id == user_id).values(totp=totp, totp_step=step))
    c.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))


def use_code(c: Connection, user_id: Id, step: int) -> bool:
    """Takes the code of a moment. False when it, or a later one, was taken before: no code counts twice."""
    fresh = (user.c.id == user_id, user.c.totp_step < step)
    return counted(c, update(user).where(*fresh).values(totp_step=step)) == 1


def set_recovery_codes(c: Connection, user_id: Id, hashes: Iterable[bytes]) -> None:
    """Each of these opens the account once in place of a code, and none of those before does."""
    in_turn(c, f"recovery codes {user_id.hex()}")  # two who make them at once: those of the last one count, all ten
    c.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    insert_many(c, recovery_code, [{"user_id": user_id, "code_hash": one} for one in hashes])


def use_recovery_code(c: Connection, user_id: Id, code_hash: bytes) -> bool:
    """Takes a recovery code. False when there is no such one, or it was taken before."""
    r = recovery_code.c
    return counted(c, delete(recovery_code).where(r.user_id == user_id, r.code_hash == code_hash)) == 1


def recovery_codes_left(c: Connection, user_id: Id) -> int:
    """How many recovery codes still work."""
    of_user = recovery_code.c.user_id == user_id
    return c.scalar(select(func.count()).select_from(recovery_code).where(of_user)) or 0


def known_as(c: Connection, issuer: str, subject: str) -> Account | None:
    """The account that an identity provider's user has here."""
    joined = select(*COLUMNS).join(identity, identity.c.user_id == user.c.id)
    return _account(c.execute(joined.where(identity.c.issuer == issuer, identity.c.subject == subject)).first())


def forget_secrets(c: Connection, user_id: Id) -> None:
    """Neither password nor second factor opens the account any more."""
    c.execute(update(user).where(user.c.id == user_id).values(password=None))
    set_second_factor(c, user_id, None)


def know_as(c: Connection, issuer: str, subject: str, user_id: Id) -> None:
    """The identity provider's user opens that account from now on."""
    c.execute(insert(identity).values(issuer=issuer, subject=subject, user_id=user_id))
