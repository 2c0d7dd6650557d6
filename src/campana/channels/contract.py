"""What a channel is: a value of pure functions and a capability record. The rest of the house never says a vendor's name.

A channel file ends in `CHANNEL = Channel(...)`. Its functions translate: our messages to the vendor's requests, the vendor's
answers and webhooks to our words. They do no I/O, know no clock but the times they are handed, and keep no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from campana.channels.advice import NONE, Errors
from campana.core.exchange import Answer, Hook, Request, Response
from campana.core.failure import Failure
from campana.core.message import Event, Outgoing, Reach, Receipt, Rendered, Result, Status


def _one_line(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not text or not text.isprintable() or not text.isascii():
        raise ValueError("a credential is one line of plain letters, digits and signs; copy it again from the vendor")
    return SecretStr(text)


def N_(text: str) -> str:  # noqa: N802 - as gettext calls it
    """The same; the console translates it."""
    return text


MAX_HOOK = 3 * 1024 * 1024

Secret = Annotated[SecretStr, AfterValidator(_one_line)]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^\s?#]+$"), AfterValidator(lambda url: url.rstrip("/"))]


class Settings(BaseModel):
    """Base of an integration's settings: credentials are Secret, so they stay out of repr and logs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def with_secrets(self) -> bytes:
        """All of it as JSON, secrets too: to be sealed at once."""
        facts = {name: getattr(self, name) for name in type(self).model_fields}
        return msgspec.json.encode(
            {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in facts.items()}
        )


@dataclass(frozen=True, slots=True)
class FormField:
    """One setting of a channel as a form asks for it. Label and help are in English, marked for translation."""

    name: str
    label: str
    help: str
    secret: bool  # never shown again once it is kept
    needed: bool
    default: str
    choices: tuple[str, ...] = ()  # the words it takes, where it takes no others


def form_of(channel: Channel) -> list[FormField]:
    """What an account of the channel is made of, in the order of its declaration."""
    found = []
    for name, declared in channel.settings.model_fields.items():
        secret = _is_secret(declared.annotation) and name not in channel.ours
        default = "" if declared.is_required() or declared.default is None else str(declared.default)
        needed = declared.is_required() and name not in channel.ours
        title, help_text = declared.title or name, declared.description or ""
        found.append(FormField(name, title, help_text, secret, needed, default, _choices(declared.annotation)))
    return found


def _choices(kind: Any) -> tuple[str, ...]:
    """The words of a Literal, be it optional or not."""
    if get_origin(kind) is Literal:
        return tuple(str(word) for word in get_args(kind))
    return next((found for inner in get_args(kind) if (found := _choices(inner))), ())


def _is_secret(kind: Any) -> bool:
    return kind is SecretStr or any(_is_secret(inner) for inner in get_args(kind))


@dataclass(frozen=True, slots=True)
class VendorTemplate:
    """A template as the vendor keeps it: one is name **and** language."""

    name: str
    language: str
    status: str  # APPROVED, PAUSED, ...
    category: str
    parameter_format: str = "POSITIONAL"
    components: Sequence[Mapping[str, Any]] = ()
    vendor_id: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a step says, as the campaign has it: a text of ours, or a template of the vendor's with values for its fields."""

    text: str | None = None
    template: str | None = None
    language: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)  # template field -> text with {{columns}}


class UnfitContent(ValueError):
    """A step that this channel cannot carry. The sentence says what to change; `why` is its code for pages, with what theirs
    names."""

    def __init__(self, sentence: str, **why: Any) -> None:
        super().__init__(sentence)
        self.why = why


Render = Callable[[Mapping[str, str]], Rendered]


@dataclass(frozen=True, slots=True)
class Found:
    """A message the vendor holds, told when we ask for one whose answer was lost."""

    vendor_id: str
    to: str
    text: str | None
    created_at: int  # UTC microseconds
    receipt: Receipt | None = None
    senders: tuple[str, ...] = ()  # the number and the service it went out from, as far as the vendor says


@dataclass(frozen=True, slots=True)
class LookUp:
    """How to ask a vendor what became of an attempt whose answer was lost. `asks` are the waits before each asking, in
    microseconds; when the last one finds nothing, the attempt was surely not accepted."""

    request: Callable[[Any, Outgoing], Request]
    # And the path or URL of the next page, if there is one; None when the page, or a message on it, cannot be read.
    found: Callable[[Response], tuple[list[Found], str | None] | None]
    next_page: Callable[[Any, str], Request]
    matches: Callable[[Outgoing, Found], bool]  # with `created_at` by our clock
    asks: tuple[int, ...]
    status_request: Callable[[Any, str], Request] | None = None  # by vendor id: asked before a deadline fires
    status_found: Callable[[Response], Receipt | None] | None = None
    reach: int | None = None  # microseconds back that the vendor knows of; of what is older its silence says nothing


TemplatePart = Literal["text", "header", "media", "link_end", "reply", "code"]


@dataclass(frozen=True, slots=True)
class TemplateField:
    """One value that a template takes."""

    key: str  # among the values of a step
    needed: bool = True
    link: bool = False  # it takes an address that begins with https://
    part: TemplatePart = "text"  # which of the message it fills
    name: str = ""  # there: of a variable, or of a medium; of buttons the number, from 1


@dataclass(frozen=True, slots=True)
class Templates:
    """How a vendor's templates are listed, page by page, and what one of them is filled with."""

    request: Callable[[Any, str | None], Request]  # settings, cursor
    parse: Callable[[Response], tuple[list[VendorTemplate], str | None] | None]  # and the next cursor; None: not to be read
    fields: Callable[[VendorTemplate], list[TemplateField]]  # in the order they are sent; raises UnfitContent
    buttons: Callable[[VendorTemplate], list[str]] = lambda template: []  # the words on them, for previews
    examples: Callable[[VendorTemplate], dict[str, str]] = lambda template: {}  # by key: the values it was approved with
    closed_to: Callable[[VendorTemplate], tuple[str, ...]] = lambda template: ()  # how numbers begin that do not get it


@dataclass(frozen=True, slots=True)
class Senders:
    """What an address to send from looks like, and how to ask the vendor whether the account has it."""

    help: str = ""
    problem: Callable[[str], str | None] = lambda address: None if address else "An address is needed."
    request: Callable[[Any, str], Request | None] = lambda settings, address: None  # None: it cannot be asked
    knows: Callable[[Response, str], bool | None] = lambda response, address: None  # None: the answer does not tell


@dataclass(frozen=True)
class Channel:
    """One way to reach people. The console draws its form from this, the plan greys out what it cannot do."""

    kind: str
    label: str
    reaches: Reach
    settings: type[Settings]
    alias_kind: str  # what the vendor calls an address: "phone", "wa_id", "email"
    weight: str  # what the pace counts: "messages" or "segments"
    pace: float  # its default, per second
    default_deadline: int  # microseconds without a receipt that count as not delivered
    receipts: frozenset[Status]
    suppresses: str  # channels of one medium share an opt-out: "sms", "whatsapp", "voice", "email"
    build_request: Callable[[Any, Sequence[Outgoing]], Request]
    parse_response: Callable[[Response, Sequence[Outgoing]], list[Result]]  # one each, in their order
    verify: Callable[[Any, Hook], bool]  # on raw bytes, in constant time
    parse_webhook: Callable[[Any, Hook], tuple[list[Event], Answer]]
    compile: Callable[[Content, VendorTemplate | None], Render]  # raises UnfitContent
    check: Callable[[Any], Request]  # a harmless request that proves the credentials
    challenge: Callable[[Any, Hook], Answer | None] = lambda settings, hook: None  # a vendor's GET before it sends webhooks
    signed_with: Callable[[Any], str] = lambda settings: ""  # the setting that proves a webhook to be the vendor's
    max_hook: int = MAX_HOOK  # bytes of the longest webhook the vendor sends; nobody has proved who they are when it is read
    batch: int = 1
    replies: bool = True
    senders: Senders = Senders()
    hook_help: str = ""  # what to do at the vendor, so that it calls our address
    ours: frozenset[str] = frozenset()  # settings that we choose and people enter at the vendor: shown, and made when left empty
    templates: Templates | None = None
    look_up: LookUp | None = None
    wait_for_receipt: int | None = None  # microseconds to wait for the receipt of a lost answer, where nobody can be asked
    needs_template: bool = False  # outside the vendor's service window only templates may be sent
    stop_confirmed_by_vendor: bool = False
    errors: Errors = NONE  # what its codes mean for the step, and what people are told about them

    @property
    def needs_hook(self) -> bool:
        """Whether nobody learns what became of its messages until people have entered our address at the vendor."""
        return bool(self.receipts) and (self.look_up is None or self.look_up.status_request is None)

    def failure_of(self, code: str) -> Failure | None:
        """The row of the error table for that code, for logs."""
        return self.errors.table.get(code)
