"""One's own account: name and language, password, second factor, and where one is signed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.core.throttling import PER_CODE, Wait
from campana.store import sessions, throttle, users
from campana.store.users import Account
from campana.vault import WrongKey
from campana.web import passwords, second_factor
from campana.web.access import hash_of, new_token, session_cookie
from campana.web.agents import browser_of
from campana.web.console import i18n
from campana.web.console.links import replace_password
from campana.web.console.once import held_for, show_once, shown
from campana.web.console.page import AnyRequest, Desk, draw, kept_language, preference, typed
from campana.web.console.signin import note_everywhere, try_code
from campana.web.hosts import address_of
from campana.web.visitor import Visitor

HERE = "/account"


@get(HERE, needs=Permission.VIEW, include_in_schema=False)
async def account_page(request: AnyRequest) -> Response[Any]:
    """What one may change about oneself."""
    if answer := preference(request):
        return answer
    codes = held_for(request).get("codes", "").split()
    return shown(request, await _page(request, {}, request.query_params.get("said", ""), codes=codes))


async def _page(
    request: AnyRequest,
    errors: dict[str, str],
    said: str = "",
    secret: str = "",
    wait: Wait | None = None,
    codes: Sequence[str] = (),
) -> Response[Any]:
    console, visitor = Desk.of(request).console, Visitor.of(request)
    now = console.clock.now()

    def look(c: Connection) -> tuple[Account | None, list[sessions.Session], int]:
        user_id = visitor.user_id
        return users.get(c, user_id), sessions.of_user(c, user_id, now), users.recovery_codes_left(c, user_id)

    account, opened, left = await console.read(look)
    return draw(
        request,
        "account.html",
        status=422 if errors else 200,
        account=account,
        sessions=[(one, *browser_of(one.agent)) for one in opened],
        errors=errors,
        said=said,
        secret=secret,
        wait=wait,
        codes=codes,
        codes_left=left,
        picture=second_factor.picture(secret, visitor.email) if secret else "",
        sealed=second_factor.sealed(console.doors.vault, f"{visitor.user_id.hex()} {secret}").decode() if secret else "",
    )


def _done(said: str) -> Response[Any]:
    return Redirect(f"/account?said={said}", status_code=303)


@post("/account", needs=Permission.VIEW, include_in_schema=False)
async def describe(request: AnyRequest) -> Response[Any]:
    """Changes name and language."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    language = given.get("language", "")
    if not given.get("name"):
        return await _page(request, {"name": "name_wanted"})
    chosen = language if language in i18n.LANGUAGES else None
    await console.write(users.describe, visitor.user_id, given["name"][:100], chosen)
    answer = _done("saved")
    answer.set_cookie(kept_language(chosen))
    return answer


@post("/account/password", needs=Permission.VIEW, include_in_schema=False)
async def change_password(request: AnyRequest) -> Response[Any]:
    """Changes the password; every session but this one is over, and this one goes on under a new token."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    refused, wait = await _try_password(request, given.get("current_password", ""))
    if refused:
        return await _page(request, {"current_password": refused}, wait=wait)
    if wrong := passwords.trouble(given.get("password", ""), visitor.email):
        return await _page(request, {"password": wrong})
    password, token, now = await passwords.hashed(given["password"]), new_token(), console.clock.now()

    def change(c: Connection) -> None:
        replace_password(c, visitor.user_id, visitor.email, password, now)
        sessions.end_all(c, visitor.user_id)
        agent, address = request.headers.get("user-agent", ""), address_of(request.scope)
        sessions.begin(c, hash_of(token), visitor.user_id, visitor.workspace_id, agent, address, now)

    await console.write(change)
    answer = _done("password")
    answer.set_cookie(session_cookie(request.scope, console.public_url(), token))
    return answer


async def _try_password(request: AnyRequest, password: str) -> tuple[str, Wait | None]:
    """What is wrong with the visitor's password, as a word for the page; somebody who found an open browser does not get to
    guess for long."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    key, now = f"password of {visitor.user_id.hex()}", console.clock.now()
    if wait := Wait.read(await console.write(throttle.attempt, key, PER_CODE, now), now):
        return "wait", wait
    account: Account | None = await console.read(users.get, visitor.user_id)
    if not await passwords.is_right(password, account.password if account else None):
        return "current_wrong", None
    await console.write(throttle.forgive, key)
    return "", None


async def _prove(request: AnyRequest, account: Account, given: dict[str, str], form: str) -> tuple[dict[str, str], Wait | None]:
    """What is wrong with the proof that a form of the second factor asks for: the password, or a code of who has none."""
    if account.password:
        wrong, wait = await _try_password(request, given.get(f"{form}_password", ""))
        return {f"{form}_password": wrong} if wrong else {}, wait
    code = given.get(f"{form}_code", "")
    wrong, wait = await try_code(request, account, code, recovers=not "".join(code.split()).isdecimal())
    return {f"{form}_code": wrong} if wrong else {}, wait


@post("/account/second-factor/new", needs=Permission.VIEW, include_in_schema=False)
async def new_second_factor(request: AnyRequest) -> Response[Any]:
    """Shows a secret for an app. Nothing is asked for before a code of it was given."""
    return await _page(request, {}, secret="" if await _has_factor(request) else second_factor.new_secret())


async def _has_factor(request: AnyRequest) -> bool:
    """Whether there is one, which is taken off before another is set: that asks for the password."""
    account: Account | None = await Desk.of(request).console.read(users.get, Visitor.of(request).user_id)
    return account is not None and account.totp is not None


@post("/account/second-factor", needs=Permission.VIEW, include_in_schema=False)
async def set_second_factor(request: AnyRequest) -> Response[Any]:
    """From now on the sign-in asks for a code of the app that showed one. Whoever has a password gives it."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    now, vault = console.clock.now(), console.doors.vault
    try:
        owner, _, secret = second_factor.opened(vault, given.get("sealed", "").encode()).partition(" ")
    except WrongKey:
        owner = secret = ""
    if owner != visitor.user_id.hex():
        return _done("late")
    account: Account | None = await console.read(users.get, visitor.user_id)
    if account is None or account.totp is not None:
        return _done("late")
    if account.password:
        refused, wait = await _try_password(request, given.get("factor_password", ""))
        if refused:
            return await _page(request, {"factor_password": refused}, secret=secret, wait=wait)
    step = second_factor.step_of(secret, given.get("code", ""), now)
    if step is None:
        return await _page(request, {"code": "code_wrong"}, secret=secret)
    sealed, codes = second_factor.sealed(vault, secret), second_factor.new_recovery_codes()

    def turn_on(c: Connection) -> None:
        users.set_second_factor(c, account.id, sealed, step)
        _keep_codes(c, account, codes)
        note_everywhere(c, request, account, "user.second_factor_set", now)

    await console.write(turn_on)
    return show_once(request, HERE, "factor", {"codes": " ".join(codes)})


def _keep_codes(c: Connection, account: Account, codes: Sequence[str]) -> None:
    users.set_recovery_codes(c, account.id, [second_factor.recovery_hash(account.id, code) for code in codes])


@post("/account/second-factor/codes", needs=Permission.VIEW, include_in_schema=False)
async def new_recovery_codes(request: AnyRequest) -> Response[Any]:
    """Ten new codes for who loses the app; those of before work no more."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    account: Account | None = await console.read(users.get, visitor.user_id)
    if account is None or account.totp is None:
        return _done("late")
    errors, wait = await _prove(request, account, given, "codes")
    if errors:
        return await _page(request, errors, wait=wait)
    codes, now = second_factor.new_recovery_codes(), console.clock.now()

    def renew(c: Connection) -> None:
        _keep_codes(c, account, codes)
        note_everywhere(c, request, account, "user.recovery_codes_made", now)

    await console.write(renew)
    return show_once(request, HERE, "codes", {"codes": " ".join(codes)})


@post("/account/second-factor/off", needs=Permission.VIEW, include_in_schema=False)
async def drop_second_factor(request: AnyRequest) -> Response[Any]:
    """The sign-in asks for no code any more; whoever wants that gives the password, or a code if there is none."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    account: Account | None = await console.read(users.get, visitor.user_id)
    if account is None or account.totp is None:
        return _done("no_factor")
    errors, wait = await _prove(request, account, given, "off")
    if errors:
        return await _page(request, errors, wait=wait)
    now = console.clock.now()

    def turn_off(c: Connection) -> None:
        users.set_second_factor(c, account.id, None)
        note_everywhere(c, request, account, "user.second_factor_removed", now)

    await console.write(turn_off)
    return _done("no_factor")


@post("/account/sessions/{session:str}/end", needs=Permission.VIEW, include_in_schema=False)
async def end_session(request: AnyRequest, session: FromPath[str]) -> Response[Any]:
    """Signs one browser out."""
    session_id: Id = id_of(session) or b""
    await Desk.of(request).console.write(sessions.end, Visitor.of(request).user_id, session_id)
    return _done("ended")


@post("/account/sessions/end", needs=Permission.VIEW, include_in_schema=False)
async def end_others(request: AnyRequest) -> Response[Any]:
    """Signs every other browser out."""
    visitor = Visitor.of(request)
    await Desk.of(request).console.write(sessions.end_all, visitor.user_id, visitor.session_id)
    return _done("ended")
