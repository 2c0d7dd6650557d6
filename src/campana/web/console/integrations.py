"""Integrations: the vendor accounts of a workspace, how each is doing, and what people do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.channels.contract import N_, Channel, FormField, form_of
from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.engine import accounts
from campana.engine.house import Account, House
from campana.engine.vendors import Verdict, check, note_verdict
from campana.store import integrations, senders, templates, workspaces
from campana.store.integrations import Affected, Card, InUse
from campana.store.senders import SenderLine
from campana.vault import WrongKey
from campana.web.access import noting
from campana.web.console.drafts import house_of, workspace_of
from campana.web.console.page import AnyRequest, Desk, Noting, Refused, draw, preference
from campana.web.hosts import is_loopback
from campana.web.visitor import Visitor

HOME = "/integrations"
EMAIL = "email"  # the medium that is offered to workspaces with the alpha switch only
CREDENTIALS = msgspec.json.Decoder(dict[str, Any])
Noted = Callable[[Id], Noting]  # notes what was done to an account or a sender, once its id is known

NOT_INSTALLED = N_("The package that knows this channel is not installed. Install it, then start Campana anew.")
NOT_KNOWN = N_("The credentials of this integration are not known. Enter them first.")
OF_FILE = N_("This integration stands in campana.toml or the environment. Change it there, then start Campana anew.")
IN_USE = N_(
    "It cannot be deleted: it is on, or a campaign that is not over needs it. Turn it off, and finish the campaign first."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """An account with its senders, as a card shows them."""

    card: Card
    senders: Sequence[SenderLine]
    signed_with: str = ""  # the label of the setting that proves webhooks to be the vendor's
    needs_hook: bool = False  # only its webhooks tell what became of messages

    @property
    def home(self) -> str:
        return home_of(self.card.id)

    @property
    def wants(self) -> Sequence[str]:
        """Why somebody must look at it, as words of the templates; the worst first."""
        if not self.card.active:
            return ()
        found = [] if self.card.known else ["no_credentials"]
        found += ["vendor_said"] if self.card.known and self.card.last_error else []
        found += ["hooks_refused"] if self.card.known and self.card.refused else []
        found += ["nothing_heard"] if self.card.known and self.needs_hook and not self.heard_of else []
        found += ["sender_paused"] if any(one.paused_at for one in self.senders) else []
        found += ["sender_trouble"] if any(one.trouble and not one.paused_at for one in self.senders) else []
        return found + (["no_senders"] if not self.senders else [])

    @property
    def heard_of(self) -> bool:
        """Whether any webhook ever came, if only one that was refused."""
        return self.card.heard_at is not None or self.card.refused > 0

    @property
    def state(self) -> str:
        """off, attention or connected."""
        return "off" if not self.card.active else "attention" if self.wants else "connected"


def home_of(integration_id: Id) -> str:
    """What the addresses of an account begin with."""
    return f"{HOME}/{integration_id.hex()}"


async def offered(request: AnyRequest) -> Mapping[str, Channel]:
    """The channels that the visitor's workspace may connect, by kind."""
    facts = await Desk.of(request).console.read(workspaces.get, workspace_of(request))
    known = house_of(request).channels
    return {kind: one for kind, one in known.items() if one.suppresses != EMAIL or facts.email_alpha}


async def known_card(request: AnyRequest, integration: str) -> Shown:
    """The account that an address names, or a page that says there is none."""
    console, integration_id = Desk.of(request).console, id_of(integration)
    found = await console.read(_shown, workspace_of(request), console.clock.now(), integration_id) if integration_id else []
    if not found:
        raise NotFoundException
    return _with_proof(house_of(request), found[0])


def _with_proof(house: House, shown: Shown) -> Shown:
    """With what its card tells of webhooks: the name of what proves them, and whether receipts come by them alone."""
    account = house.accounts.get(shown.card.id)
    name = account.channel.signed_with(account.settings) if account else ""
    labels = {one.name: one.label for one in form_of(account.channel)} if account else {}
    return replace(shown, signed_with=labels.get(name, ""), needs_hook=account is not None and account.channel.needs_hook)


def _shown(c: Connection, workspace_id: Id, now: int, only: Id | None = None) -> list[Shown]:
    lines = senders.of_workspace(c, workspace_id, now, only)
    cards = integrations.cards(c, workspace_id, only)
    return [Shown(card, [one for one in lines if one.integration_id == card.id]) for card in cards]


def own(card: Card) -> None:
    """Raises Refused for an account that the settings name: only they change it."""
    if card.from_file:
        raise Refused(OF_FILE)


async def changed(request: AnyRequest) -> None:
    """This process knows the accounts as they are now, and the others are told to look."""
    house = house_of(request)
    await accounts.refresh(house, Desk.of(request).console.doors.vault)
    house.wake(accounts.TOPIC)


# --- all of them ------------------------------------------------------------------------------------------------------------


@get(HOME, needs=Permission.VIEW, include_in_schema=False)
async def integrations_page(request: AnyRequest) -> Response[Any]:
    """Every account by channel, and the channels that can be connected."""
    if answer := preference(request):
        return answer
    console = Desk.of(request).console
    found: list[Shown] = await console.read(_shown, workspace_of(request), console.clock.now())
    shown = [_with_proof(house_of(request), one) for one in found]
    channels = await offered(request)
    kinds = [kind for kind in house_of(request).channels if kind in channels or any(one.card.kind == kind for one in shown)]
    kinds += sorted({one.card.kind for one in shown} - set(kinds))  # of a package that was removed
    groups = [(kind, [one for one in shown if one.card.kind == kind]) for kind in kinds]
    known = house_of(request).channels
    return draw(
        request, "integrations.html", groups=groups, offered=channels, known=known, done=request.query_params.get("done", "")
    )


# --- one ----------------------------------------------------------------------------------------------------------------------


@get(HOME + "/{integration:str}", needs=Permission.VIEW, include_in_schema=False)
async def integration_page(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """One account: how it is doing, its senders, its address for webhooks, a test."""
    if answer := preference(request):
        return answer
    return await draw_integration(request, await known_card(request, integration))


async def draw_integration(request: AnyRequest, shown: Shown, *, status: int = 200, **test: Any) -> Response[Any]:
    """The page of one account; `test` holds what was tried with it, and what came of it."""
    console, house, card = Desk.of(request).console, house_of(request), shown.card
    asked = request.query_params.get("ask", "")
    affected: list[Affected] = await console.read(integrations.affected, card_workspace := workspace_of(request), card.id)
    listed = await console.read(templates.of_integration, card_workspace, card.id)
    carried = 0 if card.active else await console.read(integrations.carried, card_workspace, card.id)
    channel = house.channels.get(card.kind)
    hook_url = house.hook_url(card.hook)
    return draw(
        request,
        "integration.html",
        status=status,
        s=shown,
        channel=channel,
        settings=await _readable(request, card, channel),
        hook_url=hook_url,
        unreachable=is_loopback(urlsplit(hook_url).hostname or "") and _is_outside(house.accounts.get(card.id)),
        affected=affected,
        carried=carried,
        templates=listed,
        approved=[row for row in listed if row.status == templates.APPROVED],
        asked=asked,
        done=request.query_params.get("done", ""),
        test={"verdict": None, "refused": "", "errors": {}, "given": {}, **test},
    )


def _is_outside(account: Account | None) -> bool:
    """Whether the vendor is on another machine."""
    return account is not None and not is_loopback(urlsplit(account.channel.check(account.settings).url).hostname or "")


async def _readable(request: AnyRequest, card: Card, channel: Channel | None) -> Sequence[tuple[FormField, str]]:
    """What may be shown of the credentials, to those who may change them: everything but secrets."""
    if channel is None or not card.known or not Visitor.of(request).may(Permission.ADMIN):
        return ()
    kept = await kept_settings(request, card.id)
    return [
        (one, "" if one.secret else str(kept.get(one.name) or "")) for one in form_of(channel) if kept.get(one.name) is not None
    ]


async def kept_settings(request: AnyRequest, integration_id: Id) -> dict[str, Any]:
    """The settings of an account, secrets too: for this process only. Empty when they cannot be read."""
    console = Desk.of(request).console
    sealed = await console.read(integrations.credentials, workspace_of(request), integration_id)
    try:
        return CREDENTIALS.decode(console.doors.vault.open(sealed)) if sealed else {}
    except (WrongKey, msgspec.MsgspecError):
        return {}


@post(HOME + "/{integration:str}/check", needs=Permission.ADMIN, include_in_schema=False)
async def check_now(request: AnyRequest, integration: FromPath[str]) -> Redirect:
    """Asks the vendor again whether the credentials are good."""
    shown = await known_card(request, integration)
    await changed(request)
    house = house_of(request)
    account = house.accounts.get(shown.card.id)
    if account is None:
        raise Refused(NOT_KNOWN)
    verdict: Verdict = await check(house, account.channel, account.settings)
    await note_verdict(house, account, verdict)
    return Redirect(f"{shown.home}?done={'checked' if verdict.good else 'check_failed'}", status_code=303)


@post(HOME + "/{integration:str}/off", needs=Permission.ADMIN, include_in_schema=False)
async def turn_off(request: AnyRequest, integration: FromPath[str]) -> Redirect:
    """Nothing more goes out over the account; the page asked before, and named the campaigns."""
    return await _turn(request, integration, False)


@post(HOME + "/{integration:str}/on", needs=Permission.ADMIN, include_in_schema=False)
async def turn_on(request: AnyRequest, integration: FromPath[str]) -> Redirect:
    """What waited for the account goes on."""
    return await _turn(request, integration, True)


async def _turn(request: AnyRequest, integration: str, active: bool) -> Redirect:
    shown = await known_card(request, integration)
    own(shown.card)
    console = Desk.of(request).console
    note = noting(request, f"integration.turned_{'on' if active else 'off'}", shown.card.name, shown.card.id)
    await console.write(_set_active, workspace_of(request), shown.card, active, note, console.clock.now())
    await changed(request)
    house_of(request).wake("pump")
    return Redirect(f"{shown.home}?done={'on' if active else 'off'}", status_code=303)


def _set_active(c: Connection, workspace_id: Id, card: Card, active: bool, note: Noting, now: int) -> None:
    if card.active != active and integrations.change(c, workspace_id, card.id, now, active=active):
        note(c)


@post(HOME + "/{integration:str}/delete", needs=Permission.ADMIN, include_in_schema=False)
async def delete_integration(request: AnyRequest, integration: FromPath[str]) -> Redirect:
    """The account is gone from everywhere but from what was sent over it; the page asked before."""
    shown = await known_card(request, integration)
    own(shown.card)
    console = Desk.of(request).console
    note = noting(request, "integration.removed", shown.card.name, shown.card.id, {"channel": shown.card.kind})
    try:
        await console.write(_remove, workspace_of(request), shown.card.id, note, console.clock.now())
    except InUse:
        raise Refused(IN_USE) from None
    await changed(request)
    return Redirect(f"{HOME}?done=removed", status_code=303)


def _remove(c: Connection, workspace_id: Id, integration_id: Id, note: Noting, now: int) -> None:
    if integrations.remove(c, workspace_id, integration_id, now):
        senders.remove_all(c, workspace_id, integration_id, now)
        note(c)
