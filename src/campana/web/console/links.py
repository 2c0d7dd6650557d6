"""Addresses that work once: the first owner's, invitations, new passwords. Showing one changes nothing; its form does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Role, email_key
from campana.core.ids import Id
from campana.store import audit, links, sessions, users, workspaces
from campana.store.links import Kind, Link
from campana.store.users import Account
from campana.web import passwords
from campana.web.access import hash_of
from campana.web.console.email_field import read_email
from campana.web.console.page import AnyRequest, Desk, draw, preference, typed
from campana.web.console.signin import admit
from campana.web.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that still works, and what its page asks for: an account, a password, a sign_in, or nothing (open, join, other)."""

    link: Link
    step: str
    email: str
    workspace_id: Id | None
    workspace: str
    account: Account | None


def _open(c: Connection, token_hash: bytes, default: Id, visitor: Id | None, now: int) -> Opened | None:
    """What a link leads to for whoever looks at it; None when it works no more."""
    link = links.find(c, token_hash, now)
    if link is None or link.kind is Kind.CODE:
        return None
    account = users.get(c, link.user_id) if link.user_id else users.find(c, link.email) if link.email else None
    workspace_id = link.workspace_id or (default if link.kind is Kind.OWNER else None)
    workspace = workspaces.get(c, workspace_id).name if workspace_id else ""
    email = account.email if account else link.email
    if link.kind is Kind.OWNER:
        if link.user_id is None and users.any_at_all(c):
            return None  # somebody else was first
        return Opened(link, "open" if account else "account", email, workspace_id, workspace, account)
    if link.kind is Kind.RESET:
        return Opened(link, "password", email, None, "", account) if account else None
    step = "account" if account is None else "sign_in" if visitor is None else "join" if visitor == account.id else "other"
    return Opened(link, step, email, workspace_id, workspace, account)


async def _opened(request: AnyRequest, token: str) -> Opened | None:
    console, visitor = Desk.of(request).console, Visitor.or_none(request)
    seen_by = visitor.user_id if visitor else None
    found: Opened | None = await console.read(_open, hash_of(token), console.workspace_id, seen_by, console.clock.now())
    return found


def _over(request: AnyRequest) -> Response[Any]:
    return draw(request, "link_over.html", status=410)


def _page(request: AnyRequest, o: Opened, given: dict[str, str], errors: dict[str, str]) -> Response[Any]:
    return draw(
        request,
        "link.html",
        status=422 if errors else 200,
        kind=o.link.kind.value,
        step=o.step,
        email=o.email,
        workspace=o.workspace,
        role=(o.link.role or Role.OWNER).value,
        given=given,
        errors=errors,
    )


@get("/links/{token:str}", needs=None, include_in_schema=False)
async def link_page(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """What a link is for, and the form that uses it."""
    if answer := preference(request):
        return answer
    opened = await _opened(request, token)
    return _page(request, opened, {}, {}) if opened else _over(request)


@post("/links/{token:str}", needs=None, include_in_schema=False)
async def use_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """Uses the link, once."""
    given, o = await typed(request), await _opened(request, token)
    if o is None or o.step in ("sign_in", "other"):
        return _over(request) if o is None else _page(request, o, {}, {})
    errors = _errors(o, given)
    if errors:
        return _page(request, o, given, errors)
    return await DOES[o.step](request, o, given)


def _errors(o: Opened, given: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    email, wrong = read_email(given.get("email", "")) if o.link.kind is Kind.OWNER else (o.email, "")
    if o.step == "account":
        found |= {} if given.get("name") else {"name": "name_wanted"}
        found |= {"email": wrong} if wrong else {}
    if o.step in ("account", "password") and (weak := passwords.trouble(given.get("password", ""), email)):
        found["password"] = weak
    return found


async def _make_account(request: AnyRequest, o: Opened, given: dict[str, str]) -> Response[Any]:
    """Makes the account of the first owner, or of somebody invited, and signs them in."""
    console = Desk.of(request).console
    email = read_email(given["email"])[0] if o.link.kind is Kind.OWNER else o.email
    password, now = await passwords.hashed(given["password"]), console.clock.now()

    def make(c: Connection) -> Account | None:
        if not links.use(c, o.link.id, now) or (o.link.kind is Kind.OWNER and not users.first_may_come(c)):
            return None
        user_id = users.create(c, email, given["name"][:100], password, now)
        if user_id is None:
            return None
        _join(c, o, user_id, email, now)
        return users.get(c, user_id)

    made: Account | None = await console.write(make)
    return await admit(request, made) if made else _over(request)


def _join(c: Connection, o: Opened, user_id: Id, email: str, now: int) -> None:
    if o.workspace_id is None:
        return
    role = o.link.role or Role.OWNER
    if workspaces.join(c, o.workspace_id, user_id, role, now):
        audit.note(c, o.workspace_id, user_id, email, "person.joined", email, now, user_id, {"role": role.value})


async def _join_workspace(request: AnyRequest, o: Opened, given: dict[str, str]) -> Response[Any]:
    """Somebody who is signed in belongs to one more workspace, and looks at it."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    now = console.clock.now()

    def join(c: Connection) -> bool:
        if email_key(visitor.email) != email_key(o.email) or o.workspace_id is None or not links.use(c, o.link.id, now):
            return False
        _join(c, o, visitor.user_id, visitor.email, now)
        sessions.look_at(c, visitor.session_id, o.workspace_id)
        return True

    return Redirect("/campaigns", status_code=303) if await console.write(join) else _over(request)


async def _change_password(request: AnyRequest, o: Opened, given: dict[str, str]) -> Response[Any]:
    """A new password; every session of the account is over, and no other link opens it."""
    console, account = Desk.of(request).console, o.account
    if account is None:
        return _over(request)
    password, now = await passwords.hashed(given["password"]), console.clock.now()

    def change(c: Connection) -> bool:
        if not links.use(c, o.link.id, now):
            return False
        replace_password(c, account.id, account.email, password, now)
        sessions.end_all(c, account.id)
        return True

    return Redirect("/sign-in?said=password", status_code=303) if await console.write(change) else _over(request)


def replace_password(c: Connection, user_id: Id, email: str, password: str, now: int) -> None:
    """The account has a new password, which every workspace of it is told."""
    users.set_password(c, user_id, password)
    links.void(c, user_id)
    for workspace_id, _, _ in workspaces.of_user(c, user_id):
        audit.note(c, workspace_id, user_id, email, "user.password_changed", email, now, user_id)


async def _sign_in(request: AnyRequest, o: Opened, given: dict[str, str]) -> Response[Any]:
    """Signs in without a password: whoever made the link runs the server."""
    console = Desk.of(request).console
    used = await console.write(links.use, o.link.id, console.clock.now())
    return await admit(request, o.account) if used and o.account else _over(request)


DOES = {"account": _make_account, "join": _join_workspace, "password": _change_password, "open": _sign_in}
