"""WhatsApp: every sample of the vendor's words, and what we make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from campana.channels import whatsapp
from campana.channels.contract import Content, UnfitContent
from campana.channels.whatsapp_templates import parse_listing
from campana.core.exchange import Answer, Hook, Response
from campana.core.failure import Class, Failure, Verdict, verdict
from campana.core.message import (
    Accepted,
    AccountNotice,
    AddressChanged,
    Event,
    Inbound,
    Lost,
    Outgoing,
    Preference,
    Receipt,
    Result,
    Status,
    TemplateChanged,
    Unrecognized,
    Wish,
)

DATA = Path(__file__).parents[1] / "data" / "whatsapp"
SAMPLES = DATA / "samples"
SETTINGS = whatsapp.Settings(token="t0ken", app_secret="s3cret", verify_token="our-verify-token", waba_id="102290129340398")
ID = bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7e")
ARRIVED = 1_760_000_000_000_000
TO = "+16505551234"
NUMBER = "106540352242922"

WAMID = "wamid.HBgLMTY1MDU1NTEyMzQVAgARGBJDQjJGMzE0QkZGQUYzMUQ4OTgA"
THEIRS = "wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA="
SHEENA = ("wa_id:16505551234", "phone:+16505551234", "user_id:US.13491208655302741918")
WROTE_AT = 1_750_030_500_000_000


def known(code: str) -> Failure:
    found = whatsapp.CHANNEL.failure_of(code)
    assert found is not None
    return found


def receipt(status: Status, second: int, failure: Failure | None = None) -> Receipt:
    return Receipt(WAMID, status, second * 1_000_000, None, failure, "16505551234")


def inbound(text: str, **more: Any) -> Inbound:
    return Inbound(THEIRS, SHEENA, NUMBER, text, WROTE_AT, **more)


TEMPLATE_AT = 1_751_247_548_000_000

WEBHOOKS: dict[str, list[Event]] = {
    "status-sent": [receipt(Status.SENT, 1750030073)],
    "status-delivered": [receipt(Status.DELIVERED, 1750030075)],
    "status-read": [receipt(Status.READ, 1750030120)],
    "status-failed-131026": [receipt(Status.FAILED, 1750030073, known("131026"))],
    "status-failed-131047": [receipt(Status.FAILED, 1750030073, known("131047"))],
    "status-failed-131049": [receipt(Status.FAILED, 1750030073, known("131049"))],
    "status-failed-131050-optout": [receipt(Status.FAILED, 1750030073, known("131050"))],
    "inbound-text": [inbound("Does it come in another color?")],
    "inbound-text-stop": [inbound("STOP")],
    "inbound-text-reply-with-context": [inbound("Sí, confirmo", quotes=WAMID)],
    "inbound-template-quick-reply": [inbound("Unsubscribe", quotes=WAMID, wish=Wish.STOP, kind="button")],
    "inbound-interactive-button-reply": [inbound("Cancel", quotes=WAMID, kind="interactive")],
    "inbound-image": [inbound("Taj Mahal", kind="image")],
    "inbound-reaction": [inbound("👍", quotes=WAMID, is_reply=False, kind="reaction")],
    "inbound-unsupported": [inbound("", kind="unsupported")],
    "inbound-no-phone-bsuid": [Inbound(THEIRS, SHEENA[2:], NUMBER, "Hello", WROTE_AT)],
    "system-number-changed": [AddressChanged("16505551234", "12195555358", WROTE_AT)],
    "user-preferences-stop": [Preference(SHEENA, Wish.STOP, 1_750_030_600_000_000)],
    "user-preferences-resume": [Preference(SHEENA, Wish.START, 1_750_030_600_000_000)],
    "template-status-approved": [TemplateChanged("order_confirmation", "en_US", TEMPLATE_AT, "APPROVED", "UTILITY")],
    "template-status-disabled": [TemplateChanged("order_confirmation", "en_US", TEMPLATE_AT, "DISABLED")],
    "template-status-paused": [
        TemplateChanged("order_confirmation", "en_US", TEMPLATE_AT, "PAUSED", reason="Paused for 3 hours because of low quality.")
    ],
    "template-status-rejected": [TemplateChanged("abandoned_cart", "en", TEMPLATE_AT, "REJECTED", "MARKETING", "INVALID_FORMAT")],
    "template-category-update": [TemplateChanged("order_confirmation", "en_US", 1_750_344_882_000_000, category="MARKETING")],
    "template-quality-update": [
        TemplateChanged("order_confirmation", "en_US", 1_674_864_290_000_000, reason="Its quality is YELLOW now")
    ],
    "account-update-restriction": [
        AccountNotice(
            "WhatsApp says of the account: ACCOUNT_RESTRICTION (RESTRICTED_BIZ_INITIATED_MESSAGING). "
            "Look into the WhatsApp Manager.",
            1_751_244_098_000_000,
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1751330498}],
            },
        )
    ],
}

ANSWERS: dict[str, tuple[int, Result]] = {
    "send.response": (200, Accepted(WAMID)),
    "send-held.response": (200, Accepted(WAMID)),
    "error-400-131030.response": (400, known("131030")),
    "error-400-132000.response": (400, known("132000")),
    "error-400-132001.response": (404, known("132001")),
    "error-401-190.response": (401, known("190")),
    "error-429-130429.response": (429, replace(known("130429"), throttled=True)),
    "error-503-2-transient.response": (503, known("2")),
}

# Requests as the vendor's examples have them: what to say, and the template it is said with.
REQUESTS = {
    "send-text.request": Content(text="Hello {{name}}"),
    "send-template-positional.request": Content(template="fall_sale", language="en_US", values={"1": "{{name}}", "2": "FALL25"}),
    "send-template-named.request": Content(
        template="recordatorio_cita",
        language="es_MX",
        values={"first_name": "${Name}", "appointment_date": "2024-09-12", "header.clinic": "Centro"},
    ),
    "send-template-media-buttons.request": Content(
        template="seasonal_promotion",
        language="pt_BR",
        values={
            "1": "{{name}}",
            "header.image": "https://cdn.example.com/promo.png",
            "button.0": "OPT_OUT",
            "button.1": "promo?c=42",
        },
    ),
}

ELSEWHERE = {  # read below, or by test_whatsapp_asking.py
    "templates-page1.response",
    "templates-page2.response",
    "phone-numbers.response",
    "verify-challenge",
}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def hook(body: bytes, at: int = ARRIVED) -> Hook:
    return Hook("POST", "https://hooks.example.com/hooks/whatsapp", {}, body, at)


def told(*changes: dict[str, Any]) -> list[Event]:
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": list(changes)}]})
    return whatsapp.CHANNEL.parse_webhook(SETTINGS, hook(body.encode()))[0]


def talk(**value: Any) -> dict[str, Any]:
    return {"field": "messages", "value": {"metadata": {"phone_number_id": NUMBER}, **value}}


def outgoing(content: Any = None, to: str = TO) -> Outgoing:
    return Outgoing(ID, NUMBER, to, content if content is not None else {"body": "Hello"}, "https://hooks.example.com/hooks/wa")


def answered(code: int, body: object, to: str = TO) -> Result:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return whatsapp.parse_response(Response(code, {}, raw), [outgoing(to=to)])[0]


TEMPLATES = {
    template.name: template
    for page in (1, 2)
    for template in (parse_listing(Response(200, {}, sample(f"templates-page{page}.response"))) or ([], None))[0]
}
SEND_SCHEMA = Draft202012Validator(json.loads((DATA / "send-message.schema.json").read_text()))


def test_no_whatsapp_sample_is_left_out() -> None:
    named = WEBHOOKS.keys() | ANSWERS.keys() | REQUESTS.keys() | ELSEWHERE
    assert {path.stem for path in SAMPLES.iterdir()} == named


# --- webhooks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEBHOOKS)
def test_whatsapp_webhooks(name: str) -> None:
    assert whatsapp.CHANNEL.parse_webhook(SETTINGS, hook(sample(name))) == (WEBHOOKS[name], Answer())


def test_a_batch_of_many_kinds_tells_all_of_them_in_order() -> None:
    names = list(WEBHOOKS)
    entries = [entry for name in names for entry in json.loads(sample(name))["entry"]]
    found, _ = whatsapp.CHANNEL.parse_webhook(SETTINGS, hook(json.dumps({"object": "x", "entry": entries}).encode()))
    assert found == [event for name in names for event in WEBHOOKS[name]]


def test_a_status_names_our_message_when_it_echoes_our_reference() -> None:
    status = {"id": WAMID, "status": "sent", "timestamp": "1750030073", "biz_opaque_callback_data": ID.hex()}
    assert told(talk(statuses=[status])) == [Receipt(WAMID, Status.SENT, 1_750_030_073_000_000, ID)]


def test_131026_fails_the_message_and_lets_the_fallback_fire() -> None:
    (event,) = WEBHOOKS["status-failed-131026"]
    assert isinstance(event, Receipt)
    assert event.failure is not None
    assert verdict(event.failure, tries=1) is Verdict.NEXT


EIGHT = {
    "en": ("not on WhatsApp", "terms", "too old", "blocked", "how much marketing", "30 days", "country", "+91"),
    "pt_BR": ("não está no WhatsApp", "termos", "antiga", "bloqueou", "quanto marketing", "30 dias", "país", "+91"),
    "es": ("no está en WhatsApp", "términos", "antigua", "bloqueó", "cuánto marketing", "30 días", "país", "+91"),
}


@pytest.mark.parametrize("language", EIGHT)
def test_131026_tells_its_eight_possible_reasons(language: str) -> None:
    reasons = whatsapp.CHANNEL.errors.advice("131026", language).reasons
    assert [known for known, reason in zip(EIGHT[language], reasons, strict=True) if known not in reason] == []


def test_131050_is_an_opt_out_and_fires_no_fallback() -> None:
    (event,) = WEBHOOKS["status-failed-131050-optout"]
    assert isinstance(event, Receipt)
    assert event.failure is not None
    assert verdict(event.failure, tries=1) is Verdict.OPTED_OUT


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"status": "failed", "errors": [{"code": 2, "title": "x"}]}, ("2", Class.TRANSIENT, Verdict.RETRY)),
        ({"status": "failed", "errors": [{"code": 99999, "title": "New"}]}, ("99999", Class.PERMANENT, Verdict.NEXT)),
        ({"status": "failed", "errors": [{"code": True, "title": "New"}]}, ("", Class.PERMANENT, Verdict.NEXT)),
        ({"status": "failed", "errors": []}, ("", Class.PERMANENT, Verdict.NEXT)),
        ({"status": "failed"}, ("", Class.PERMANENT, Verdict.NEXT)),
    ],
    ids=["a failure told is certain", "an unlisted code", "a code that is none", "no errors", "no errors field"],
)
def test_a_failed_status_always_says_what_follows(status: dict[str, Any], expected: tuple[str, Class, Verdict]) -> None:
    (event,) = told(talk(statuses=[{"id": WAMID, "timestamp": "1750030073", **status}]))
    assert isinstance(event, Receipt)
    assert event.failure is not None
    assert event.status is Status.FAILED
    assert (event.failure.code, event.failure.cls, verdict(event.failure, tries=1)) == expected
    assert event.failure.words


@pytest.mark.parametrize(
    ("change", "events"),
    [
        (talk(statuses=[{"id": "w", "status": "deleted"}, {"id": "w", "status": "warning"}]), []),
        (talk(statuses=[{"id": "w", "status": "played"}]), [Receipt("w", Status.READ, ARRIVED)]),
        (
            talk(statuses=[{"status": "sent"}, {"id": "w", "status": "sent", "timestamp": "never"}]),
            [Unrecognized("WhatsApp told of a status that we cannot read"), Receipt("w", Status.SENT, ARRIVED)],
        ),
        (
            talk(statuses=[{"id": "w", "status": "eaten"}]),
            [Unrecognized("WhatsApp told the status 'eaten', which we do not know")],
        ),
        (
            talk(statuses=[{"id": "w", "status": "sent", "biz_opaque_callback_data": "0190a1b2 c3d4e5f6 0718293a4b5c6d"}]),
            [Receipt("w", Status.SENT, ARRIVED)],
        ),
        (
            {"field": "wombats", "value": {}},
            [Unrecognized("WhatsApp told something of the kind 'wombats', which we do not know")],
        ),
        ({"field": "messages", "value": 7}, [Unrecognized("WhatsApp told of messages in a form that we cannot read")]),
        (talk(messages=[7]), [Unrecognized("WhatsApp told of a message that we cannot read")]),
        (
            talk(messages=[{"id": "w", "type": "text"}]),
            [Unrecognized("WhatsApp told of a message of the kind 'text' without its id or its sender")],
        ),
        (
            talk(errors=[{"code": 131000, "title": "Something went wrong"}]),
            [
                AccountNotice(
                    "WhatsApp reports: Something went wrong (131000)",
                    ARRIVED,
                    {"code": 131000, "title": "Something went wrong"},
                )
            ],
        ),
        (
            {"field": "message_template_status_update", "value": {"event": "PAUSED"}},
            [Unrecognized("WhatsApp told of a template in a form that we cannot read (message_template_status_update)")],
        ),
        (
            {
                "field": "message_template_status_update",
                "value": {"event": "REINSTATED", "message_template_name": "a", "message_template_language": "en"},
            },
            [TemplateChanged("a", "en", ARRIVED, "APPROVED")],
        ),
        (
            {"field": "user_preferences", "value": {"user_preferences": [{"value": "maybe", "wa_id": "1"}]}},
            [Unrecognized("WhatsApp told of a person's wish that we cannot read")],
        ),
    ],
)
def test_odd_webhooks(change: dict[str, Any], events: list[Event]) -> None:
    assert told(change) == events


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "interactive", "interactive": {"list_reply": {"id": "1", "title": "Monday"}}}, "Monday"),
        ({"type": "location", "location": {"name": "Home", "address": "Street 1"}}, "Home"),
        ({"type": "document", "document": {"caption": "My papers"}}, "My papers"),
        ({"type": "audio", "audio": {"id": "1"}}, ""),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "Ana"}}]}, ""),
        ({"type": "order", "order": {"text": "Two of these"}}, "Two of these"),
        ({"type": "text", "text": "not an object"}, ""),
    ],
)
def test_whatever_a_person_writes_is_a_reply_with_its_words(message: dict[str, Any], text: str) -> None:
    (event,) = told(talk(messages=[{"from": "525511223344", "id": "w", "timestamp": "1750030500", **message}]))
    aliases = ("wa_id:525511223344", "phone:+525511223344")
    assert event == Inbound("w", aliases, NUMBER, text, WROTE_AT, kind=message["type"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b'{"x":' * 100_000, 400),
        (b"[]", 200),
        (b'{"entry": 5}', 200),
        (b'{"object": "x", "entry": [{"changes": [{"field": 1}]}]}', 200),
    ],
)
def test_a_webhook_that_is_no_json_is_refused_and_a_strange_one_is_kept(body: bytes, code: int) -> None:
    events, answer = whatsapp.CHANNEL.parse_webhook(SETTINGS, hook(body))
    assert answer.code == code
    assert [type(event) for event in events] == ([] if code == 400 else [Unrecognized])


# --- sending ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUESTS)
def test_whatsapp_requests_are_those_of_the_samples(name: str) -> None:
    content = REQUESTS[name]
    rendered = whatsapp.compile_content(content, TEMPLATES.get(content.template or ""))({"name": "Ana"})
    request = whatsapp.build_request(SETTINGS, [outgoing(rendered.content)])
    body, expected = json.loads(request.body), json.loads(sample(name))
    assert SEND_SCHEMA.is_valid(body)
    assert body.pop("biz_opaque_callback_data") == ID.hex()
    del expected["biz_opaque_callback_data"]
    expected.get("template", {}).get("language", {}).pop("policy", None)  # said for nothing: it is the only policy
    assert body == expected
    assert (request.method, request.url) == ("POST", f"https://graph.facebook.com/v23.0/{NUMBER}/messages")
    assert dict(request.headers) == {"Authorization": "Bearer t0ken", "Content-Type": "application/json"}


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, (code, _) in ANSWERS.items()])
def test_whatsapp_answers(name: str, code: int) -> None:
    assert answered(code, sample(name)) == ANSWERS[name][1]


def test_the_wa_id_is_kept_when_it_is_not_the_number() -> None:
    body = {"contacts": [{"input": "525511223344", "wa_id": "5215511223344"}], "messages": [{"id": "w"}]}
    assert answered(200, body, to="+525511223344") == Accepted("w", "5215511223344")


@pytest.mark.parametrize("contacts", [None, [], [7], [{}], [{"wa_id": None}], [{"wa_id": "x"}], {"wa_id": "5"}])
def test_an_acceptance_with_strange_contacts_is_an_acceptance(contacts: object) -> None:
    assert answered(200, {"contacts": contacts, "messages": [{"id": "w"}]}) == Accepted("w")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"messages": []}', b'{"messages": [{"id": ""}]}', b'{"messages": [7]}']
)
def test_a_200_without_an_id_is_a_lost_answer(body: bytes) -> None:
    assert isinstance(answered(200, body), Lost)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The text is empty for this person."),
        ("x" * 4097, "The text has 4097 characters for this person; WhatsApp takes 4096."),
    ],
)
def test_a_text_that_whatsapp_would_refuse_is_not_sent(text: str, problem: str) -> None:
    assert whatsapp.compile_content(Content(text="{{text}}"), None)({"text": text}).problem == problem


def test_half_a_character_does_not_break_a_request() -> None:
    rendered = whatsapp.compile_content(Content(text="Hi {{name}}"), None)({"name": "\ud83d"})
    assert b"Hi \xef\xbf\xbd" in whatsapp.build_request(SETTINGS, [outgoing(rendered.content)]).body


def test_a_step_that_says_nothing_is_refused() -> None:
    with pytest.raises(UnfitContent, match="says nothing"):
        whatsapp.compile_content(Content(), None)
