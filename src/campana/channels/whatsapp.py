"""WhatsApp Cloud API. Vendor reference: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

import msgspec
from pydantic import Field

from campana.channels import contract, signatures
from campana.channels.answers import Said, code_of, read, refusal, short
from campana.channels.contract import (
    N_,
    BaseUrl,
    Channel,
    Content,
    Render,
    Secret,
    Senders,
    Templates,
    UnfitContent,
    VendorTemplate,
)
from campana.channels.whatsapp_templates import (
    SURROGATES,
    Paging,
    button_words,
    closed_to,
    compile_template,
    listing_query,
    parse_listing,
    template_examples,
    template_fields,
)
from campana.channels.whatsapp_webhook import ERRORS, is_number, parse_webhook
from campana.core.durations import HOUR, MINUTE
from campana.core.exchange import Answer, Hook, Request, Response
from campana.core.message import Accepted, Lost, Outgoing, Reach, Rendered, Result, Status
from campana.core.template import compile_text

LIMIT = 4096


class Settings(contract.Settings):
    """A WhatsApp Business Account."""

    token: Secret = Field(
        title=N_("Access token"), description=N_("Access token of a system user, from Meta's business settings")
    )
    app_secret: Secret = Field(title=N_("App secret"), description=N_("App secret; it proves that webhooks are Meta's"))
    verify_token: Secret = Field(
        title=N_("Verify token"), description=N_("A word of your choice, to be entered at Meta beside the webhook's address")
    )
    waba_id: str = Field(
        title=N_("Business Account id"),
        pattern=r"^[0-9]{1,32}$",
        description=N_("WhatsApp Business Account id, from the WhatsApp Manager"),
    )
    version: str = Field(
        "v23.0", title=N_("API version"), pattern=r"^v[0-9]{1,3}\.[0-9]{1,2}$", description=N_("Version of the Graph API")
    )
    base_url: BaseUrl = Field(
        "https://graph.facebook.com",
        title=N_("Address of the API"),
        description=N_("Where Meta is; a stand-in has another address"),
    )

    @cached_property
    def root(self) -> str:
        """What all addresses begin with."""
        return f"{self.base_url}/{self.version}"

    @cached_property
    def authorization(self) -> tuple[str, str]:
        """The header that signs us in."""
        return "Authorization", f"Bearer {self.token.get_secret_value()}"


# --- sending ----------------------------------------------------------------------------------------------------------------


def compile_content(content: Content, template: VendorTemplate | None) -> Render:
    """A text of ours (inside the service window), or an approved template with its values."""
    if content.template is not None:
        return compile_template(content, template)
    if content.text is None:
        raise UnfitContent("The step says nothing. Write a 'template' with its 'language', or a 'text'.")
    text_of = compile_text(content.text).render

    def render(values: Mapping[str, str]) -> Rendered:
        text = text_of(values)
        if not text.isascii():
            text = SURROGATES.sub("\ufffd", text)  # half a character cannot be sent
        if not text or text.isspace():
            return Rendered(problem="The text is empty for this person.", why={"code": "text_empty"})
        if len(text) > LIMIT:
            words = f"The text has {len(text)} characters for this person; WhatsApp takes {LIMIT}."
            return Rendered(problem=words, why={"code": "text_long", "characters": len(text), "most": LIMIT})
        return Rendered(text, {"preview_url": False, "body": text})

    return render


def build_request(settings: Settings, messages: Sequence[Outgoing]) -> Request:
    """One message. Our reference is echoed in every status, so a receipt finds it even when this answer is lost."""
    (message,) = messages
    kind = "template" if "name" in message.content else "text"
    body = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.to.removeprefix("+"),
        "type": kind,
        kind: message.content,
        "biz_opaque_callback_data": message.id.hex(),
    }
    headers = (settings.authorization, ("Content-Type", "application/json"))
    sender = message.sender if message.sender.isalnum() else quote(message.sender, safe="", errors="replace")
    return Request("POST", f"{settings.root}/{sender}/messages", headers, msgspec.json.encode(body))


class Reference(msgspec.Struct):
    id: str


class Sent(msgspec.Struct):
    """An acceptance."""

    messages: list[Reference]
    contacts: Any = None


class GraphError(msgspec.Struct):
    code: int | str | None = None
    message: str | None = None
    is_transient: bool | None = None
    error_data: Any = None


class Refusal(msgspec.Struct):
    """An error as the Graph API tells it."""

    error: GraphError


SENT, REFUSED = msgspec.json.Decoder(Sent), msgspec.json.Decoder(Refusal)


def parse_response(response: Response, messages: Sequence[Outgoing]) -> list[Result]:
    """What became of the attempt; an answer we cannot read says nothing about it."""
    return [_result(response, message) for message in messages]


def _result(response: Response, message: Outgoing) -> Result:
    if 200 <= response.code < 300:
        sent = read(SENT, response.body)
        if not sent or not sent.messages or not sent.messages[0].id:
            return Lost("WhatsApp's answer could not be read")
        return Accepted(sent.messages[0].id, _alias(sent.contacts, message.to))
    told = read(REFUSED, response.body)
    code = code_of(told.error.code) if told else ""
    if told is None or not code:
        return refusal(response, ERRORS.table, None)
    return refusal(response, ERRORS.table, Said(code, _words(told.error), told.error.is_transient is True))


def _words(error: GraphError) -> str:
    details = error.error_data.get("details") if isinstance(error.error_data, dict) else None
    return short(details if isinstance(details, str) and details else error.message or "")


def _alias(contacts: Any, to: str) -> str | None:
    """Their name for the person, when it is not the number: it often is not in Mexico, Argentina and Brazil."""
    contact = contacts[0] if isinstance(contacts, list) and contacts else None
    wa_id = contact.get("wa_id") if isinstance(contact, dict) else None
    return wa_id if is_number(wa_id) and wa_id != to.removeprefix("+") else None


# --- asking and being told --------------------------------------------------------------------------------------------------


def check(settings: Settings) -> Request:
    """Lists the account's numbers: proves the token and the account id."""
    return _get(settings, f"{settings.root}/{settings.waba_id}/phone_numbers")


class OwnNumber(msgspec.Struct):
    id: str


class OwnNumbers(msgspec.Struct):
    """The numbers of an account."""

    data: list[OwnNumber]
    paging: Paging | None = None


NUMBERS = msgspec.json.Decoder(OwnNumbers)


def address_problem(address: str) -> str | None:
    """What is wrong with a phone number id, in words."""
    if address.isascii() and address.isdigit() and 5 <= len(address) <= 32:
        return None
    return N_("A phone number id is digits alone: not the number itself, but what the WhatsApp Manager shows beside it.")


def knows_address(response: Response, address: str) -> bool | None:
    """Whether the account has that number; None when the answer does not tell."""
    numbers = read(NUMBERS, response.body)
    if numbers is None:
        return None
    found = any(number.id == address for number in numbers.data)
    return None if not found and numbers.paging and numbers.paging.next else found


def templates_request(settings: Settings, cursor: str | None) -> Request:
    """One page of the account's templates."""
    return _get(settings, f"{settings.root}/{settings.waba_id}/message_templates?{listing_query(cursor)}")


def _get(settings: Settings, url: str) -> Request:
    return Request("GET", url, (settings.authorization, ("Accept", "application/json")))


def verify(settings: Settings, hook: Hook) -> bool:
    """True when Meta signed it."""
    return signatures.meta(hook, settings.app_secret.get_secret_value())


def challenge(settings: Settings, hook: Hook) -> Answer | None:
    """Meta asks once, before it sends webhooks, whether the address is ours."""
    if hook.method != "GET":
        return None
    query = dict(signatures.query_of(hook.url))
    ours = signatures.same(query.get("hub.verify_token", ""), settings.verify_token.get_secret_value())
    if not ours or query.get("hub.mode") != "subscribe":
        return Answer(403, b"The verify token is not the one of this integration.")
    return Answer(200, query.get("hub.challenge", "").encode("utf-8", "replace"))


CHANNEL = Channel(
    kind="whatsapp",
    label="WhatsApp",
    reaches=Reach.PHONE,
    settings=Settings,
    alias_kind="wa_id",
    weight="messages",
    pace=80.0,
    default_deadline=24 * HOUR,
    receipts=frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED}),
    suppresses="whatsapp",
    build_request=build_request,
    parse_response=parse_response,
    verify=verify,
    parse_webhook=parse_webhook,
    compile=compile_content,
    check=check,
    challenge=challenge,
    signed_with=lambda settings: "app_secret",
    templates=Templates(
        templates_request, parse_listing, template_fields, button_words, closed_to=closed_to, examples=template_examples
    ),
    wait_for_receipt=10 * MINUTE,
    needs_template=True,
    senders=Senders(
        N_("Phone number id, from the WhatsApp Manager: digits, but not the number itself"),
        address_problem,
        lambda settings, address: check(settings),
        knows_address,
    ),
    hook_help=N_(
        "At Meta, open the app's WhatsApp configuration, enter this address and the verify token, and subscribe to messages, "
        "message_template_status_update, template_category_update, user_preferences and account_update."
    ),
    ours=frozenset({"verify_token"}),
    errors=ERRORS,
)
