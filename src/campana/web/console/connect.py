"""Connecting a vendor account, and changing it: a form that the channel declares, checked with the vendor before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from pydantic import ValidationError
from sqlalchemy import Connection

from campana.channels.contract import Channel, FormField, Settings, form_of
from campana.core.access import Permission
from campana.core.ids import Id
from campana.engine.vendors import VendorRefuses, Verdict, check, sync_account
from campana.store import integrations
from campana.store.integrations import Card, NameTaken
from campana.vault import Vault, WrongKey
from campana.web.access import noting
from campana.web.console.drafts import house_of, workspace_of
from campana.web.console.integrations import HOME, NOT_INSTALLED, Noted, changed, home_of, kept_settings, known_card, offered, own
from campana.web.console.page import AnyRequest, Desk, Refused, draw, preference, typed
from campana.web.visitor import Visitor

LONGEST_NAME = 80
LONGEST_FORM = 20_000
OURS_BYTES = 24  # of a word that we choose
PREFIX = "setting-"  # of a setting's name in the form
FORGET = "forget-"
WORDS = {"missing": "wanted", "string_pattern_mismatch": "form_wrong", "string_too_short": "wanted"}
HELD = msgspec.json.Decoder(dict[str, str])

Said = tuple[str, str]  # what is wrong with a field: a word of the templates, and the vendor's or the channel's own words


@dataclass(frozen=True, slots=True)
class Given:
    """What stands in the form."""

    channel: Channel
    card: Card | None = None  # the account that is changed
    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)  # by setting; of secrets those that were typed just now
    kept: Mapping[str, str] = field(default_factory=dict)  # the secrets that stay when their field is left empty
    errors: Mapping[str, Said] = field(default_factory=dict)  # by the name of the input
    away: bool = False  # the vendor did not answer: whoever wants may save without its word
    before: Mapping[str, Any] = field(default_factory=dict)  # the account's settings as they are kept, secrets too
    stored: frozenset[str] = frozenset()  # the secrets that would stay as they are kept: nobody typed them just now

    @property
    def form(self) -> Sequence[FormField]:
        return form_of(self.channel)

    def error(self, one: FormField) -> Said | None:
        return self.errors.get(PREFIX + one.name)


@get(HOME + "/connect/{kind:str}", needs=Permission.ADMIN, include_in_schema=False)
async def connect_page(request: AnyRequest, kind: FromPath[str]) -> Response[Any]:
    """The empty form of a channel."""
    if answer := preference(request):
        return answer
    channel = (await offered(request)).get(kind)
    if channel is None:
        raise NotFoundException
    defaults = {one.name: one.default for one in form_of(channel)}
    return _draw(request, Given(channel, name=channel.label, values=defaults))


@post(HOME + "/connect/{kind:str}", needs=Permission.ADMIN, include_in_schema=False)
async def connect(request: AnyRequest, kind: FromPath[str]) -> Response[Any]:
    """Keeps a new account, once the vendor has taken its credentials."""
    channel = (await offered(request)).get(kind)
    if channel is None:
        raise NotFoundException
    return await _save(request, channel, None)


@get(HOME + "/{integration:str}/edit", needs=Permission.ADMIN, include_in_schema=False)
async def edit_page(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """The form of an account as it is, without its secrets."""
    if answer := preference(request):
        return answer
    card, channel = await _mine(request, integration)
    now = await kept_settings(request, card.id)
    values = {one.name: one.default if now.get(one.name) is None else str(now[one.name]) for one in form_of(channel)}
    return _draw(request, Given(channel, card, card.name, _plain(channel, values), _secrets(channel, now)))


@post(HOME + "/{integration:str}/edit", needs=Permission.ADMIN, include_in_schema=False)
async def edit(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """Keeps the account as it is in the form, once the vendor has taken the credentials."""
    card, channel = await _mine(request, integration)
    return await _save(request, channel, card)


async def _mine(request: AnyRequest, integration: str) -> tuple[Card, Channel]:
    card = (await known_card(request, integration)).card
    own(card)
    channel = house_of(request).channels.get(card.kind)
    if channel is None:
        raise Refused(NOT_INSTALLED)
    return card, channel


def _plain(channel: Channel, values: Mapping[str, str]) -> dict[str, str]:
    """Without secrets: they never go to a browser."""
    return {one.name: values.get(one.name, "") for one in form_of(channel) if not one.secret}


def _secrets(channel: Channel, values: Mapping[str, Any]) -> dict[str, str]:
    return {one.name: str(values[one.name]) for one in form_of(channel) if one.secret and values.get(one.name)}


# --- saving -----------------------------------------------------------------------------------------------------------------


async def _save(request: AnyRequest, channel: Channel, card: Card | None) -> Response[Any]:
    asked = await typed(request, LONGEST_FORM)
    given = await _given(request, channel, card, asked)
    settings, errors = read_settings(given, asked)
    if not given.name or len(given.name) > LONGEST_NAME:
        errors["name"] = ("wanted", "") if not given.name else ("name_long", "")
    if settings is None or errors:
        return _draw(request, _with(given, errors), 422)
    if given.stored and goes_elsewhere(channel, given.before, settings):
        return _draw(request, _with(given, {PREFIX + name: ("typed_anew", "") for name in sorted(given.stored)}), 422)
    verdict = await check(house_of(request), channel, settings)
    if not verdict.good and (verdict.reached or not asked.get("unchecked")):
        return _draw(request, _with(given, _refusal(given, verdict), not verdict.reached), 422)
    try:
        made = await _keep(request, given, settings, verdict)
    except NameTaken:
        return _draw(request, _with(given, {"name": ("name_taken", "")}), 422)
    await changed(request)
    await _read_templates(request, made)
    return Redirect(f"{home_of(made)}?done={'changed' if card else 'connected'}", status_code=303)


async def _given(request: AnyRequest, channel: Channel, card: Card | None, asked: Mapping[str, str]) -> Given:
    """What was typed, over what was typed before it was refused, over what is kept."""
    values = {one.name: asked.get(PREFIX + one.name, "") for one in form_of(channel)}
    before = await kept_settings(request, card.id) if card else {}
    held = _held(request, channel, asked.get("held", ""))
    kept = _secrets(channel, before) | held
    forgotten = {one.name for one in form_of(channel) if asked.get(FORGET + one.name) and not values[one.name]}
    left = {name: value for name, value in kept.items() if name not in forgotten}
    stored = frozenset(name for name in left if name not in held and not values[name])
    return Given(channel, card, asked.get("name", ""), values, left, before=before, stored=stored)


def goes_elsewhere(channel: Channel, before: Mapping[str, Any], settings: Settings) -> bool:
    """Whether secrets would go to another address than the one they were entered for: whoever may change an account must not
    learn them so."""
    try:
        return _whither(channel, channel.settings.model_validate(before)) != _whither(channel, settings)
    except ValidationError:  # what is kept is not readable: nobody knows where it went
        return True


def _whither(channel: Channel, settings: Settings) -> tuple[str, ...]:
    """Every address that the settings name, and the one that the vendor is asked at."""
    asked = urlsplit(channel.check(settings).url)
    plain = (str(getattr(settings, one.name, None) or "") for one in form_of(channel) if not one.secret)
    return (f"{asked.scheme}://{asked.netloc}", *(value for value in plain if "://" in value))


def read_settings(given: Given, asked: Mapping[str, str]) -> tuple[Settings | None, dict[str, Said]]:
    """The channel's settings as the form has them, or what is wrong with each field."""
    facts = {name: value for name, value in {**given.kept, **{k: v for k, v in given.values.items() if v}}.items() if value}
    for name in given.channel.ours:
        facts.setdefault(name, token_urlsafe(OURS_BYTES))
    try:
        return given.channel.settings.model_validate(facts), {}
    except ValidationError as error:
        return None, dict(_flaw(given, one) for one in error.errors())


def _flaw(given: Given, error: Any) -> tuple[str, Said]:
    """Where something is wrong, and what: what concerns several settings is said of the first that may be left away."""
    optional = next((one.name for one in given.form if not one.needed), given.form[0].name)
    name = str(error["loc"][0]) if error["loc"] else optional
    word = WORDS.get(error["type"], "")
    return PREFIX + name, (word, "" if word else str(error["msg"]).removeprefix("Value error, "))


def _refusal(given: Given, verdict: Verdict) -> dict[str, Said]:
    """What the vendor said, beside the secret that it was asked about."""
    if not verdict.reached:
        return {"unchecked": ("not_reached", verdict.words)}
    first = next((one.name for one in given.form if one.secret), given.form[0].name)
    return {PREFIX + first: ("refused", verdict.words)}


def _with(given: Given, errors: Mapping[str, Said], away: bool = False) -> Given:
    return replace(given, errors=errors, away=away)


async def _keep(request: AnyRequest, given: Given, settings: Settings, verdict: Verdict) -> Id:
    console = Desk.of(request).console
    vault, plain = console.doors.vault, settings.with_secrets()
    facts = (workspace_of(request), given, vault, plain, verdict, _what(request, given), console.clock.now())
    made: Id = await console.write(_write, *facts)
    return made


def _what(request: AnyRequest, given: Given) -> Noted:
    """What notes the change of an account, once its id is known."""
    renewed = sorted(one.name for one in given.form if one.secret and given.values.get(one.name))
    what = "integration.changed" if given.card else "integration.connected"
    details = {"channel": given.channel.kind, "secrets_entered": renewed}
    return lambda made: noting(request, what, given.name, made, details)


def _write(
    c: Connection, workspace_id: Id, given: Given, vault: Vault, plain: bytes, verdict: Verdict, noted: Noted, now: int
) -> Id:
    if given.card is None:
        made = integrations.add(c, workspace_id, given.name, given.channel.kind, vault.seal(plain), now)
    else:
        made = given.card.id
        same = vault.holds(integrations.credentials(c, workspace_id, made), plain)
        integrations.change(c, workspace_id, made, now, name=given.name, **({} if same else {"credentials": vault.seal(plain)}))
    integrations.checked(c, made, now, None if verdict.good else integrations.trouble("unchecked", verdict.words))
    noted(made)(c)
    return made


async def _read_templates(request: AnyRequest, integration_id: Id) -> None:
    """Reads the account's templates; when they cannot be read, its card says so."""
    house = house_of(request)
    account = house.accounts.get(integration_id)
    if account is None:
        return
    try:
        await sync_account(house, account)
    except VendorRefuses as error:
        await house.db.run(integrations.note, integration_id, integrations.trouble("templates_unread", error.why))


# --- drawing ----------------------------------------------------------------------------------------------------------------


def _draw(request: AnyRequest, given: Given, status: int = 200) -> Response[Any]:
    """The form. Secrets typed before a refusal travel sealed: nothing typed is lost, and none of them can be read in the page."""
    typed_now = {name: value for name, value in _secrets(given.channel, given.values).items() if value}
    held = {**({} if given.card else given.kept), **typed_now}
    return draw(
        request,
        "connect.html",
        status=status,
        g=given,
        values=_plain(given.channel, given.values),
        set_before=set(given.kept) | set(typed_now),
        held=_sealed(request, given.channel, held) if held else "",
        home=home_of(given.card.id) if given.card else HOME,
    )


def _bound(request: AnyRequest, channel: Channel) -> str:
    """Whose secrets they are, and for which channel: nobody else's form opens them."""
    return f"{Visitor.of(request).user_id.hex()} {channel.kind}"


def _sealed(request: AnyRequest, channel: Channel, secrets: Mapping[str, str]) -> str:
    plain = msgspec.json.encode({**secrets, "": _bound(request, channel)})
    return Desk.of(request).console.doors.vault.seal(plain).decode("ascii")


def _held(request: AnyRequest, channel: Channel, text: str) -> dict[str, str]:
    """The secrets that a form carries along, when they are this visitor's."""
    try:
        found = HELD.decode(Desk.of(request).console.doors.vault.open(text.encode())) if text else {}
    except (WrongKey, msgspec.MsgspecError):
        return {}
    if found.pop("", "") != _bound(request, channel):
        return {}
    return {one.name: found[one.name] for one in form_of(channel) if one.secret and one.name in found}
