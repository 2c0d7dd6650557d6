"""Signing in and out: password, code of a second factor, and the page for who forgot the former."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission, email_key
from campana.core.ids import Id
from campana.core.throttling import PER_ADDRESS, PER_CODE, PER_EMAIL, PER_GUESSER, PER_LETTER, Wait
from campana.store import audit, links, sessions, throttle, users, workspaces
from campana.store.links import ASKED_FOR, Kind
from campana.store.users import Account
from campana.web import passwords, second_factor
from campana.web.access import base_of, hash_of, new_token, next_of, session_cookie
from campana.web.console.email_field import read_email
from campana.web.console.page import AnyRequest, Desk, draw, preference, typed
from campana.web.hosts import address_of
from campana.web.visitor import Visitor


@get("/sign-in", needs=None, include_in_schema=False)
async def sign_in_page(request: AnyRequest) -> Response[Any]:
    """Where people say who they are."""
    if answer := preference(request):
        return answer
    asked = request.query_params
    if Visitor.or_none(request):
        return Redirect(next_of(asked.get("next", "")), status_code=303)
    return await _form(request, {"next": asked.get("next", "")}, said=asked.get("said", ""))


async def _form(
    request: AnyRequest,
    given: dict[str, str],
    errors: dict[str, str] | None = None,
    said: str = "",
    wait: Wait | None = None,
) -> Response[Any]:
    console = Desk.of(request).console
    return draw(
        request,
        "sign_in.html",
        status=422 if errors else 200,
        given=given,
        errors=errors or {},
        said=said,
        wait=wait,
        empty=not await console.read(users.any_at_all),
        provider=console.doors.provider_name,
    )


@post("/sign-in", needs=None, include_in_schema=False)
async def sign_in(request: AnyRequest) -> Response[Any]:
    """Opens a session for who knows the password. A wrong one and an unknown address are answered alike."""
    console, given = Desk.of(request).console, await typed(request)
    (email, wrong), password = read_email(given.get("email", "")), given.get("password", "")
    if wrong or not password:
        errors = {"email": wrong} if wrong else {}
        return await _form(request, given, errors if password else {**errors, "password": "password_wanted"})
    if wait := await _must_wait(request, _key(email)):
        return await _form(request, given, {"email": "wait"}, wait=wait)
    account: Account | None = await console.read(users.find, email)
    right = await passwords.is_right(password, account.password if account else None)
    if account is None or not right or account.disabled_at is not None:
        return await _form(request, given, {"email": "wrong"})
    await console.write(_forgive, request, _key(email))
    if account.totp is not None:
        ticket = new_token()
        await console.write(links.make, Kind.CODE, hash_of(ticket), console.clock.now(), user_id=account.id)
        return ask_for_code(request, ticket, given.get("next", ""))
    return await admit(request, account, given.get("next", ""))


def _key(email: str) -> str:
    return f"email {email_key(email)}"


async def _must_wait(request: AnyRequest, key: str) -> Wait | None:
    """Counts the try against its address, `key` from there, and `key`; how long to wait when there were too many."""
    console = Desk.of(request).console
    now = console.clock.now()

    def tried(c: Connection) -> int:
        address = address_of(request.scope)
        wait = throttle.attempt(c, f"address {address}", PER_ADDRESS, now)
        wait = wait or throttle.attempt(c, f"{key} from {address}", PER_GUESSER, now)  # who waits here counts for nobody else
        return wait or throttle.attempt(c, key, PER_EMAIL, now)

    return Wait.read(await console.write(tried), now)


def _forgive(c: Connection, request: AnyRequest, key: str) -> None:
    throttle.forgive(c, key)
    throttle.forgive(c, f"{key} from {address_of(request.scope)}")
    throttle.uncount(c, f"address {address_of(request.scope)}")


def ask_for_code(
    request: AnyRequest, ticket: str, goes_to: str, errors: dict[str, str] | None = None, wait: Wait | None = None
) -> Response[Any]:
    """The page that asks for the code of the second factor, or for a recovery code."""
    values = {"ticket": ticket, "goes_to": goes_to, "errors": errors or {}, "wait": wait}
    return draw(request, "sign_in_code.html", status=422 if errors else 200, **values)


@post("/sign-in/code", needs=None, include_in_schema=False)
async def sign_in_code(request: AnyRequest) -> Response[Any]:
    """Opens the session of who gave the password, and now the code: one of the app, or one that recovers the account."""
    console, given = Desk.of(request).console, await typed(request)
    ticket, now = given.get("ticket", ""), console.clock.now()
    found = await console.read(links.find, hash_of(ticket), now)
    if found is None or found.kind is not Kind.CODE:
        return Redirect("/sign-in?said=late", status_code=303)
    account: Account | None = await console.read(users.get, found.user_id)
    if account is None or account.totp is None or account.disabled_at is not None:
        return Redirect("/sign-in?said=late", status_code=303)
    field = "recovery" if given.get("recovery") else "code"
    wrong, wait = await try_code(request, account, given.get(field, ""), field == "recovery", found.id)
    if wrong:
        return ask_for_code(request, ticket, given.get("next", ""), {field: wrong}, wait)
    return await admit(request, account, given.get("next", ""))


async def try_code(
    request: AnyRequest, account: Account, code: str, recovers: bool, ticket: Id | None = None
) -> tuple[str, Wait | None]:
    """What is wrong with a code, as a word for the page; "" takes the code, and the ticket: neither works again."""
    console = Desk.of(request).console
    key, now = f"code {account.id.hex()}", console.clock.now()
    if wait := Wait.read(await console.write(throttle.attempt, key, PER_CODE, now), now):
        return "wait", wait

    def take(c: Connection) -> bool:
        if not _take(c, request, account, code, recovers, now) or not (ticket is None or links.use(c, ticket, now)):
            return False
        throttle.forgive(c, key)
        return True

    return "" if await console.write(take) else "recovery_wrong" if recovers else "code_wrong", None


def _take(c: Connection, request: AnyRequest, account: Account, code: str, recovers: bool, now: int) -> bool:
    """The code was right, and is no more."""
    if recovers:
        if not users.use_recovery_code(c, account.id, second_factor.recovery_hash(account.id, code)):
            return False
        note_everywhere(c, request, account, "user.recovery_code_used", now, left=users.recovery_codes_left(c, account.id))
        return True
    if account.totp is None:
        return False
    step = second_factor.step_of(second_factor.opened(Desk.of(request).console.doors.vault, account.totp), code, now)
    return step is not None and users.use_code(c, account.id, step)


def note_everywhere(c: Connection, request: AnyRequest, account: Account, what: str, now: int, **details: Any) -> None:
    """Every workspace of an account is told what its owner did to it."""
    address = address_of(request.scope)
    for workspace_id, _, _ in workspaces.of_user(c, account.id):
        audit.note(c, workspace_id, account.id, account.email, what, account.email, now, account.id, details, address)


async def admit(request: AnyRequest, account: Account, goes_to: str = "") -> Response[Any]:
    """Signs the account in and leads to where it wanted to go."""
    console = Desk.of(request).console
    token, now = new_token(), console.clock.now()

    def begin(c: Connection) -> bool:
        return open_session(c, request, account.id, account.email, token, now)

    if not await console.write(begin):
        return await _form(request, {"email": account.email}, {"email": "no_workspace"})
    answer: Response[Any] = Redirect(next_of(goes_to), status_code=303)
    answer.set_cookie(session_cookie(request.scope, console.public_url(), token))
    return answer


def open_session(c: Connection, request: AnyRequest, user_id: Id, email: str, token: str, now: int) -> bool:
    """The token signs its browser in from now on, and the session it had is over. False when the user is in no workspace."""
    theirs, looked_at = workspaces.of_user(c, user_id), sessions.last_workspace(c, user_id)
    if not theirs:
        return False
    if before := Visitor.or_none(request):
        sessions.end(c, before.user_id, before.session_id)
    for tidy in (sessions.tidy, links.tidy, throttle.tidy):
        tidy(c, now)
    agent, address = request.headers.get("user-agent", ""), address_of(request.scope)
    session_id = sessions.begin(c, hash_of(token), user_id, looked_at, agent, address, now)
    for workspace_id, _, _ in theirs:
        audit.note(c, workspace_id, user_id, email, "user.signed_in", email, now, session_id, address=address)
    return True


@post("/sign-out", needs=Permission.VIEW, include_in_schema=False)
async def sign_out(request: AnyRequest) -> Response[Any]:
    """Ends the session."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    await console.write(sessions.end, visitor.user_id, visitor.session_id)
    answer: Response[Any] = Redirect("/sign-in?said=out", status_code=303)
    answer.set_cookie(session_cookie(request.scope, console.public_url(), ""))
    return answer


@get("/forgotten", needs=None, include_in_schema=False)
async def forgotten_page(request: AnyRequest) -> Response[Any]:
    """Where a new password is asked for."""
    if answer := preference(request):
        return answer
    return draw(request, "forgotten.html", mails=Desk.of(request).console.doors.mails, done=False, given={}, errors={})


@post("/forgotten", needs=None, include_in_schema=False)
async def forgotten(request: AnyRequest) -> Response[Any]:
    """Mails a link, if the address has an account. The answer is the same if not, and comes as quickly."""
    desk, given = Desk.of(request), await typed(request)
    doors, (email, wrong) = desk.console.doors, read_email(given.get("email", ""))
    if wrong:
        values = {"mails": doors.mails, "done": False, "given": given, "errors": {"email": wrong}}
        return draw(request, "forgotten.html", status=422, **values)
    if doors.mails and not await desk.console.write(_count_letter, request, email, desk.console.clock.now()):
        doors.later(_mail_reset(request, email))
    return draw(request, "forgotten.html", mails=doors.mails, done=True, given=given, errors={})


def _count_letter(c: Connection, request: AnyRequest, email: str, now: int) -> int:
    by_address = throttle.attempt(c, f"letters of {address_of(request.scope)}", PER_ADDRESS, now)
    return by_address or throttle.attempt(c, f"letter {email_key(email)}", PER_LETTER, now)


async def _mail_reset(request: AnyRequest, email: str) -> None:
    console = Desk.of(request).console
    account: Account | None = await console.read(users.find, email)
    if account is None or account.disabled_at is not None:
        return
    token = new_token()
    make = {"user_id": account.id, "lasts": ASKED_FOR}
    await console.write(links.make, Kind.RESET, hash_of(token), console.clock.now(), **make)
    await send_link(request, account.email, Kind.RESET, link_url(request, token))


def link_url(request: AnyRequest, token: str) -> str:
    """The address of a one-time link, under the name that people reach us by."""
    public = Desk.of(request).console.public_url()
    return f"{public.rstrip('/') or base_of(request.scope, public)}/links/{token}"


async def send_link(request: AnyRequest, to: str, kind: Kind, url: str, **values: str) -> None:
    """Mails a link, in the reader's language. Raises MailTrouble."""
    template = Desk.of(request).templates(request).get_template("mail.html")
    subject, _, body = template.render(kind=kind.value, url=url, **values).strip().partition("\n")
    await Desk.of(request).console.doors.send(to, subject.strip(), body.strip() + "\n")
