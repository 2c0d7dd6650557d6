"""Signing in at an identity provider: the way there, and who comes back."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.durations import MINUTE
from campana.core.emails import parse_email
from campana.store import audit, links, sessions, users, workspaces
from campana.store.links import Kind
from campana.store.users import Account
from campana.vault import WrongKey
from campana.web.access import base_of, hash_of, new_token
from campana.web.console.page import AnyRequest, Desk
from campana.web.console.signin import admit, ask_for_code
from campana.web.oidc import Identity, Journey, Provider, ProviderTrouble

log = structlog.get_logger(__name__)
COOKIE = "campana-provider"
LASTS = 10 * MINUTE
FAILED = "/sign-in?said=provider"
BACK = "/sign-in/provider/back"


def _provider(request: AnyRequest) -> Provider:
    provider: Provider | None = Desk.of(request).console.doors.provider
    if provider is None:
        raise NotFoundException
    return provider


def _back(request: AnyRequest) -> str:
    return base_of(request.scope, Desk.of(request).console.public_url()) + BACK


def _cookie(value: str) -> Cookie:
    lasts = LASTS // 1_000_000 if value else 0
    return Cookie(key=COOKIE, value=value, path="/sign-in/provider", max_age=lasts, httponly=True, samesite="lax")


@get("/sign-in/provider", needs=None, include_in_schema=False)
async def go_there(request: AnyRequest) -> Response[Any]:
    """Sends the browser to the provider."""
    console, provider = Desk.of(request).console, _provider(request)
    journey = Journey.begin(request.query_params.get("next", ""), console.clock.now())
    try:
        address = await provider.address(journey, _back(request))
    except ProviderTrouble as trouble:
        log.error(str(trouble))
        return Redirect(FAILED, status_code=303)
    answer: Response[Any] = Redirect(address, status_code=303)
    answer.set_cookie(_cookie(console.doors.vault.seal(msgspec.json.encode(journey)).decode()))
    return answer


@get(BACK, needs=None, include_in_schema=False)
async def come_back(request: AnyRequest) -> Response[Any]:
    """Signs in whom the provider vouches for, if they have an account or an invitation here."""
    try:
        answer = await _arrive(request)
    except ProviderTrouble as trouble:
        log.warning(str(trouble))
        answer = Redirect(FAILED, status_code=303)
    answer.set_cookie(_cookie(""))
    return answer


async def _arrive(request: AnyRequest) -> Response[Any]:
    console, provider, asked = Desk.of(request).console, _provider(request), request.query_params
    now = console.clock.now()
    try:
        sealed = request.cookies.get(COOKIE, "").encode()
        journey = msgspec.json.decode(console.doors.vault.open(sealed), type=Journey)
    except (WrongKey, msgspec.DecodeError) as error:
        raise ProviderTrouble("Somebody came back from the provider who did not set out here.") from error
    if asked.get("state") != journey.state or journey.begun < now - LASTS:
        raise ProviderTrouble("Somebody came back from the provider too late, or from another sign-in.")
    if asked.get("error") or not asked.get("code"):
        raise ProviderTrouble(f"The provider refused a sign-in: {asked.get('error', 'no code')[:100]}")
    identity = await provider.who(asked["code"], journey, _back(request))
    account: Account | None = await console.write(account_of, identity, now)
    if account is None or account.disabled_at is not None:
        raise ProviderTrouble("Somebody signed in at the provider who has neither an account nor an invitation here.")
    if account.totp is not None:
        ticket = new_token()
        await console.write(links.make, Kind.CODE, hash_of(ticket), now, user_id=account.id)
        return ask_for_code(request, ticket, journey.goes_to)
    return await admit(request, account, journey.goes_to)


def account_of(c: Connection, identity: Identity, now: int) -> Account | None:
    """The account that the provider's user opens. The first time a verified address opens its account, or its invitations."""
    known = users.known_as(c, identity.issuer, identity.subject)
    email = parse_email(identity.email)
    if known is not None or not identity.verified or not isinstance(email, str):
        return known
    account, invited = users.find(c, email), links.invited(c, email, now)
    if account is None and invited:
        user_id = users.create(c, email, identity.name[:100], None, now)
        account = users.get(c, user_id) if user_id else None
    if account is None:
        return None
    users.know_as(c, identity.issuer, identity.subject, account.id)
    account = _handed_over(c, account, now)
    for link in invited:
        if link.workspace_id and link.role and links.use(c, link.id, now):
            workspaces.join(c, link.workspace_id, account.id, link.role, now)
            details = {"role": link.role.value}
            audit.note(c, link.workspace_id, account.id, account.email, "person.joined", account.email, now, account.id, details)
    return account


def _handed_over(c: Connection, account: Account, now: int) -> Account:
    """The account is its owner's alone: whoever made it may have chosen a password without owning the address."""
    if account.password is None:
        return account
    users.forget_secrets(c, account.id)
    sessions.end_all(c, account.id)
    links.void(c, account.id)
    for workspace_id, _, _ in workspaces.of_user(c, account.id):
        audit.note(c, workspace_id, account.id, account.email, "user.password_changed", account.email, now, account.id)
    return users.get(c, account.id) or account
