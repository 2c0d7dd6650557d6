"""What every channel must keep, whichever it is: nothing from outside makes it raise, and it gives no secret away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from campana.channels import registry
from campana.channels.contract import Channel, Content, VendorTemplate, form_of
from campana.channels.registry import BadPlugin, channels
from campana.core.exchange import Answer, Hook, Request, Response
from campana.core.failure import Failure
from campana.core.message import Accepted, Event, Lost, Outgoing, Rendered, Status, Unsent

SECRET = "s3cret-that-nobody-may-see"
CREDENTIALS: dict[str, dict[str, Any]] = {
    "whatsapp": {"token": SECRET, "app_secret": SECRET, "verify_token": SECRET, "waba_id": "102290129340398"},
    "twilio_sms": {
        "account_sid": "AC" + "0" * 32,
        "auth_token": SECRET,
        "api_key_sid": "SK" + "0" * 32,
        "api_key_secret": SECRET,
        "webhook_key": "key",
        "webhook_key_secret": SECRET,
    },
    "infobip_sms": {"api_key": SECRET, "webhook_secret": SECRET, "base_url": "https://abc123.api.infobip.com"},
}

EACH = pytest.mark.parametrize("channel", channels().values(), ids=list(channels()))
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
# Objects with the vendors' own names and any values: they get further in than chance does.
NAMES = """
    error code message is_transient error_data details messages contacts wa_id id sid status to body from direction date_created
    error_code next_page_uri object entry changes field value statuses timestamp errors type text button system context metadata
    user_preferences message_template_name event data paging cursors after next name language components results messageId
    groupName groupId permanent doneAt sentAt receivedAt destination content cursor nextCursor requestError serviceException
    validationErrors violations property violation description
"""
WORDS = st.sampled_from(
    [
        "messages",
        "failed",
        "text",
        "system",
        "stop",
        "user_preferences",
        "message_template_status_update",
        "account_update",
        "REJECTED",
        "EXPIRED",
        "messages[0].content.text",
        "messages[0].destinations[0].to",
    ]
)
TALK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=6),
    max_leaves=25,
)
BODIES = st.binary(max_size=200) | (NESTED | TALK).map(lambda found: json.dumps(found).encode())
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "date",
            "content-type",
            "x-twilio-signature",
            "x-hub-signature-256",
            "x-twilio-webhooks-signature-settings",
            "authorization",
            "x-ib-exchange-req-signature",
            "x-ib-exchange-req-timestamp",
            "x-signature",
        ]
    ),
    st.text(max_size=40),
)
URLS = st.text(max_size=60) | st.text(max_size=40).map("https://hooks.example.com/hooks/x?".__add__)


def credentials(channel: Channel) -> Any:
    return channel.settings.model_validate(CREDENTIALS[channel.kind])


def outgoing(number: int = 0, content: Any = None) -> Outgoing:
    message_id = number.to_bytes(16, "big")
    return Outgoing(message_id, "1065", "+525511223344", content or {}, "https://hooks.example.com/hooks/x", 1)


def rendered(channel: Channel) -> Rendered:
    return channel.compile(Content(text="Hi {{name}}"), None)({"name": "Ana"})


@EACH
def test_every_channel_has_credentials_in_this_file(channel: Channel) -> None:
    assert channel.kind in CREDENTIALS
    assert credentials(channel)


@EACH
@QUICK
@given(code=st.integers(100, 599), headers=HEADERS, body=BODIES)
def test_no_answer_makes_a_channel_raise(channel: Channel, code: int, headers: dict[str, str], body: bytes) -> None:
    messages = [outgoing(number, {"text": "x"}) for number in range(channel.batch)]
    results = channel.parse_response(Response(code, headers, body), messages)
    assert len(results) == len(messages)
    assert all(isinstance(result, Accepted | Failure | Lost | Unsent) for result in results)
    if not 200 <= code < 300:
        assert not any(isinstance(result, Accepted) for result in results)


@EACH
@QUICK
@given(method=st.sampled_from(["GET", "POST"]), url=URLS, headers=HEADERS, body=BODIES)
def test_no_webhook_makes_a_channel_raise(channel: Channel, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
    hook = Hook(method, url, headers, body, 1_760_000_000_000_000)
    events, answer = channel.parse_webhook(credentials(channel), hook)
    assert all(isinstance(event, Event) for event in events)
    assert answer.code in {200, 400}
    assert channel.verify(credentials(channel), hook) is False
    assert isinstance(channel.challenge(credentials(channel), hook), Answer | None)


@EACH
@QUICK
@given(code=st.integers(100, 599), body=BODIES)
def test_no_list_makes_a_channel_raise(channel: Channel, code: int, body: bytes) -> None:
    response = Response(code, {}, body)
    if channel.templates:
        templates, cursor = channel.templates.parse(response) or ([], None)
        assert all(isinstance(template, VendorTemplate) for template in templates)
        assert isinstance(channel.templates.request(credentials(channel), cursor), Request)
    if channel.look_up:
        found, following = channel.look_up.found(response) or ([], None)
        assert all(isinstance(channel.look_up.matches(outgoing(content={"text": "x"}), one), bool) for one in found)
        assert isinstance(channel.look_up.next_page(credentials(channel), following or ""), Request)
        if channel.look_up.status_found:
            channel.look_up.status_found(response)


@EACH
@QUICK
@given(name=st.text())
def test_no_cell_makes_a_channel_raise(channel: Channel, name: str) -> None:
    found = channel.compile(Content(text="Hi {{name}}"), None)({"name": name})
    request = channel.build_request(credentials(channel), [outgoing(content=found.content)])
    assert request.body
    assert json.loads(json.dumps(found.content)) == found.content  # it is kept as JSON, frozen as sent


@EACH
def test_a_request_carries_our_reference(channel: Channel) -> None:
    message = outgoing(7, rendered(channel).content)
    assert message.id.hex().encode() in channel.build_request(credentials(channel), [message]).body


@EACH
def test_a_batch_has_one_result_each_in_order(channel: Channel) -> None:
    messages = [outgoing(number, rendered(channel).content) for number in range(channel.batch)]
    assert channel.batch >= 1
    assert channel.build_request(credentials(channel), messages).method == "POST"
    with pytest.raises(ValueError, match="unpack"):
        channel.build_request(credentials(channel), [*messages, outgoing(99, rendered(channel).content)])


def requests_of(channel: Channel) -> Iterator[Request]:
    settings = credentials(channel)
    yield channel.build_request(settings, [outgoing(content=rendered(channel).content)])
    yield channel.check(settings)
    if channel.templates:
        yield channel.templates.request(settings, None)
    if channel.look_up:
        yield channel.look_up.request(settings, outgoing())


@EACH
def test_secrets_are_absent_from_repr_and_addresses(channel: Channel) -> None:
    settings = credentials(channel)
    for request in requests_of(channel):  # what is remembered on the way stays out of sight too
        assert SECRET not in request.url
        assert SECRET.encode() not in request.body
        assert "Authorization" in dict(request.headers)
    assert SECRET not in repr(settings) + str(settings) + repr(settings.model_dump()) + settings.model_dump_json()


@EACH
def test_bad_settings_are_told_without_their_values(channel: Channel) -> None:
    with pytest.raises(ValidationError) as error:
        channel.settings.model_validate({**CREDENTIALS[channel.kind], "unknown": SECRET})
    assert SECRET not in str(error.value)
    for secret in (SECRET + "\nX-Injected: 1", "", "  ", "ñ"):
        name = next(name for name, value in CREDENTIALS[channel.kind].items() if value == SECRET)
        with pytest.raises(ValidationError) as error:
            channel.settings.model_validate({**CREDENTIALS[channel.kind], name: secret})
        assert "a credential is one line" in str(error.value)
        assert SECRET not in str(error.value)


@EACH
def test_every_setting_is_described_for_the_form(channel: Channel) -> None:
    assert [name for name, field in channel.settings.model_fields.items() if not field.description] == []


@EACH
def test_the_address_of_the_vendor_can_be_a_stand_ins(channel: Channel) -> None:
    settings = channel.settings.model_validate({**CREDENTIALS[channel.kind], "base_url": "http://127.0.0.1:8701/"})
    request = channel.build_request(settings, [outgoing(content=rendered(channel).content)])
    assert request.url.startswith("http://127.0.0.1:8701/")
    assert "//" not in request.url.removeprefix("http://")
    for wrong in ("ftp://x", "api.twilio.com", "https://a b", "https://x/?y"):
        with pytest.raises(ValidationError):
            channel.settings.model_validate({**CREDENTIALS[channel.kind], "base_url": wrong})


@EACH
def test_a_channel_says_what_it_can(channel: Channel) -> None:
    assert channel.label
    assert channel.weight in {"messages", "segments"}
    assert channel.pace > 0
    assert channel.default_deadline == 86_400_000_000
    assert {Status.DELIVERED, Status.FAILED} <= channel.receipts
    assert (channel.look_up is None) != (channel.wait_for_receipt is None)


def test_the_channels_of_the_house() -> None:
    facts = {
        kind: (one.suppresses, one.weight, one.pace, one.needs_template, one.stop_confirmed_by_vendor)
        for kind, one in channels().items()
    }
    assert facts == {
        "whatsapp": ("whatsapp", "messages", 80.0, True, False),
        "twilio_sms": ("sms", "segments", 1.0, False, True),
        "infobip_sms": ("sms", "segments", 50.0, False, False),
    }


# --- packages of others -----------------------------------------------------------------------------------------------------

HERE = EntryPoint("mine", "campana.channels.whatsapp:CHANNEL", "campana.channels")


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (HERE, "has the kind 'whatsapp', which is taken already"),
        (EntryPoint("mine", "campana.channels.whatsapp:LIMIT", "campana.channels"), "is no Channel"),
        (EntryPoint("mine", "no_such_package:CHANNEL", "campana.channels"), "cannot be loaded"),
    ],
)
def test_a_package_with_a_channel_we_cannot_use_is_named(point: EntryPoint, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(BadPlugin, match="'mine'") as error:
        registry.channels.__wrapped__()
    assert words in str(error.value)


def test_a_package_brings_its_own_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [HERE] if group == "campana.channels" else [])
    monkeypatch.setattr(registry, "BUILT_IN", ())
    assert list(registry.channels.__wrapped__()) == ["whatsapp"]


@EACH
def test_its_form_asks_for_every_setting_in_words_and_keeps_secrets_apart(channel: Channel) -> None:
    form = {field.name: field for field in form_of(channel)}
    assert list(form) == list(channel.settings.model_fields)
    assert all(field.label and field.label != field.name and field.help for field in form.values())
    assert channel.ours <= form.keys()
    given_away = {name for name, value in CREDENTIALS[channel.kind].items() if value == SECRET and not form[name].secret}
    assert given_away == channel.ours
    needed = {name: value for name, value in CREDENTIALS[channel.kind].items() if form[name].needed or name in channel.ours}
    channel.settings.model_validate(needed)


@EACH
def test_its_settings_come_back_whole_after_they_were_kept(channel: Channel) -> None:
    kept = credentials(channel)
    assert channel.settings.model_validate_json(kept.with_secrets()) == kept


@EACH
@QUICK
@given(address=st.text(max_size=30), body=BODIES)
def test_no_address_to_send_from_and_no_answer_about_it_makes_it_raise(channel: Channel, address: str, body: bytes) -> None:
    if channel.senders.problem(address) is None:
        request = channel.senders.request(credentials(channel), address)
        assert request is None or SECRET not in request.url
    assert channel.senders.knows(Response(200, {}, body), address) in {None, True, False}
