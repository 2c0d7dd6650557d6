"""Who is in the workspace, as what; invitations, links for new passwords, and leaving."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import MOST, Permission, Role, may_give
from campana.core.ids import Id, id_of
from campana.mail import MailTrouble
from campana.store import links, report_mails, sessions, users, workspaces
from campana.store.links import Kind
from campana.store.users import Account
from campana.store.workspaces import LastOwner
from campana.web.access import NotAllowed, hash_of, new_token, noting
from campana.web.console.email_field import read_email
from campana.web.console.once import held_for, show_once, shown
from campana.web.console.page import AnyRequest, Desk, draw, preference, typed
from campana.web.console.signin import link_url, send_link
from campana.web.visitor import Visitor

HERE = "/settings/people"


@get(HERE, needs=Permission.ADMIN, include_in_schema=False)
async def people_page(request: AnyRequest) -> Response[Any]:
    """Everybody of the workspace."""
    if answer := preference(request):
        return answer
    return shown(request, await _page(request, said=request.query_params.get("said", ""), once=held_for(request)))


async def _page(
    request: AnyRequest,
    given: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    said: str = "",
    once: dict[str, str] | None = None,
    status: int = 200,
) -> Response[Any]:
    console, visitor = Desk.of(request).console, Visitor.of(request)
    now = console.clock.now()

    def look(c: Connection) -> tuple[list[workspaces.Member], list[links.Link]]:
        return workspaces.members(c, visitor.workspace_id), links.invitations(c, visitor.workspace_id, now)

    members, invited = await console.read(look)
    return draw(
        request,
        "people.html",
        status=422 if errors and status == 200 else status,
        members=members,
        invited=invited,
        roles=[role for role in Role if may_give(visitor.role, role)],
        may_change={one.user_id for one in members if may_give(visitor.role, one.role)},
        mails=console.doors.mails,
        given=given or {},
        errors=errors or {},
        said=said,
        once={"url": "", "about": "", "trouble": "", **(once or {})},
        ask=request.query_params.get("ask", ""),
    )


def _done(said: str) -> Response[Any]:
    return Redirect(f"{HERE}?said={said}", status_code=303)


@post(HERE + "/invite", needs=Permission.ADMIN, include_in_schema=False)
async def invite(request: AnyRequest) -> Response[Any]:
    """Invites somebody: by mail, else by a link that the page shows once."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    (email, wrong), role = read_email(given.get("email", "")), given.get("role", "")
    errors = {"email": wrong} if wrong else {}
    if role not in list(Role) or not may_give(visitor.role, Role(role)):
        errors["role"] = "role_wrong"
    if errors:
        return await _page(request, given, errors)
    token, now = new_token(), console.clock.now()

    def make(c: Connection) -> bool:
        known = users.find(c, email)
        if known and workspaces.role_of(c, visitor.workspace_id, known.id):
            return False
        workspace_id, by = visitor.workspace_id, visitor.user_id
        link_id = links.make(c, Kind.INVITATION, hash_of(token), now, workspace_id, email=email, role=Role(role), made_by=by)
        noting(request, "person.invited", email, link_id, {"role": role})(c)
        return True

    if not await console.write(make):
        return await _page(request, given, {"email": "member_already"})
    values = {"who": visitor.name or visitor.email, "workspace": visitor.workspace}
    return await _hand_over(request, email, Kind.INVITATION, token, values, may_see=True)


async def _hand_over(
    request: AnyRequest, to: str, kind: Kind, token: str, values: dict[str, str], may_see: bool
) -> Response[Any]:
    """The link goes by mail; where no mail is sent, or the server does not take it, whoever may see it passes it on."""
    url, trouble = link_url(request, token), ""
    if Desk.of(request).console.doors.mails:
        try:
            await send_link(request, to, kind, url, **values)
        except MailTrouble as error:
            trouble = str(error)
        else:
            return show_once(request, HERE, "mailed", {"about": to})
    return show_once(request, HERE, "link", {"about": to, "trouble": trouble, "url": url if may_see else ""})


@post(HERE + "/invitations/{link:str}/revoke", needs=Permission.ADMIN, include_in_schema=False)
async def revoke(request: AnyRequest, link: FromPath[str]) -> Response[Any]:
    """Takes an invitation back."""
    console, visitor, link_id = Desk.of(request).console, Visitor.of(request), id_of(link) or b""

    def take_back(c: Connection) -> bool:
        found = links.revoke(c, visitor.workspace_id, link_id)
        if found:
            noting(request, "person.invitation_revoked", found.email, link_id)(c)
        return found is not None

    if not await console.write(take_back):
        raise NotFoundException
    return _done("revoked")


async def _member(request: AnyRequest, person: str) -> tuple[Id, Account, Role]:
    """Somebody of the workspace whom the visitor may change."""
    console, visitor, user_id = Desk.of(request).console, Visitor.of(request), id_of(person) or b""

    def look(c: Connection) -> tuple[Account | None, Role | None]:
        return users.get(c, user_id), workspaces.role_of(c, visitor.workspace_id, user_id)

    account, role = await console.read(look)
    if account is None or role is None:
        raise NotFoundException
    if not may_give(visitor.role, role):
        raise NotAllowed
    return user_id, account, role


@post(HERE + "/{person:str}/role", needs=Permission.ADMIN, include_in_schema=False)
async def set_role(request: AnyRequest, person: FromPath[str]) -> Response[Any]:
    """Gives somebody another role."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    user_id, account, before = await _member(request, person)
    wanted = given.get("role", "")
    if wanted not in list(Role) or not may_give(visitor.role, Role(wanted)):
        raise NotAllowed

    def change(c: Connection) -> None:
        workspaces.set_role(c, visitor.workspace_id, user_id, Role(wanted))
        if MOST[Role(wanted)] < MOST[before]:
            links.revoke_of(c, visitor.workspace_id, user_id)
        noting(request, "person.role_changed", account.email, user_id, {"from": before.value, "to": wanted})(c)

    try:
        await console.write(change)
    except LastOwner:
        return await _kept_an_owner(request, user_id, wanted)
    return _done("saved")


async def _kept_an_owner(request: AnyRequest, user_id: Id, wanted: str = "") -> Response[Any]:
    """Why nothing was done, said where it was asked for; what was chosen there stands as it was."""
    name = f"role-{user_id.hex()}"
    return await _page(request, {name: wanted} if wanted else {}, {name: "last_owner"}, status=409)


@post(HERE + "/{person:str}/remove", needs=Permission.ADMIN, include_in_schema=False)
async def remove(request: AnyRequest, person: FromPath[str]) -> Response[Any]:
    """Somebody belongs to the workspace no more, and gets no reports of it."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    user_id, account, _ = await _member(request, person)

    def change(c: Connection) -> None:
        workspaces.leave(c, visitor.workspace_id, user_id)
        links.revoke_of(c, visitor.workspace_id, user_id)
        noting(request, "person.removed", account.email, user_id)(c)
        for mail in report_mails.forget_reader(c, visitor.workspace_id, account.email):
            details = {"recipients": ", ".join(mail.addresses)} if mail.addresses else {}
            noting(request, "report.reader_removed", mail.name, mail.id, details)(c)

    try:
        await console.write(change)
    except LastOwner:
        return await _kept_an_owner(request, user_id)
    return _done("removed")


@post(HERE + "/{person:str}/reset", needs=Permission.ADMIN, include_in_schema=False)
async def reset(request: AnyRequest, person: FromPath[str]) -> Response[Any]:
    """A link with which somebody chooses a new password: by mail, else for an admin of all their workspaces to pass on."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    user_id, account, _ = await _member(request, person)
    token, now = new_token(), console.clock.now()
    may_see = await console.read(_is_above, visitor.user_id, user_id)
    if not (may_see or console.doors.mails):
        raise NotAllowed

    def make(c: Connection) -> None:
        links.make(c, Kind.RESET, hash_of(token), now, user_id=user_id, made_by=visitor.user_id)
        noting(request, "person.reset_link_made", account.email, user_id)(c)

    await console.write(make)
    return await _hand_over(request, account.email, Kind.RESET, token, {}, may_see)


def _is_above(c: Connection, admin: Id, user_id: Id) -> bool:
    """Whether an admin could give each of somebody's roles in every workspace: else their account is not the admin's to open."""
    for workspace_id, _, role in workspaces.of_user(c, user_id):
        theirs = workspaces.role_of(c, workspace_id, admin)
        if theirs is None or not may_give(theirs, role):
            return False
    return True


@post(HERE + "/{person:str}/second-factor", needs=Permission.ADMIN, include_in_schema=False)
async def drop_second_factor(request: AnyRequest, person: FromPath[str]) -> Response[Any]:
    """Takes the second factor of somebody away who lost it; they are signed out everywhere."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    user_id, account, _ = await _member(request, person)
    if not await console.read(_is_above, visitor.user_id, user_id):
        raise NotAllowed

    def change(c: Connection) -> None:
        users.set_second_factor(c, user_id, None)
        sessions.end_all(c, user_id)
        noting(request, "person.second_factor_removed", account.email, user_id)(c)

    await console.write(change)
    return _done("factor")
