"""Twilio SMS: every sample of the vendor's words, and what we make of it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from jsonschema import Draft202012Validator

from campana.channels import twilio_sms
from campana.channels.contract import Content, UnfitContent
from campana.core.exchange import Hook, Response
from campana.core.failure import Class, Failure, Verdict, verdict
from campana.core.message import Accepted, Event, Inbound, Lost, Outgoing, Receipt, Result, Status, Unrecognized, Wish
from campana.core.optout import wish_of

DATA = Path(__file__).parents[1] / "data" / "twilio"
SAMPLES = DATA / "samples"
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
SETTINGS = twilio_sms.Settings(account_sid=ACCOUNT, auth_token="t0ken")
ID = bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7e")
HOOKS = "https://hooks.example.com/hooks/sms"
ARRIVED = 1_760_000_000_000_000

SID = "SM0123456789abcdef0123456789abcdef"
THEIRS = "SMabcdefabcdefabcdefabcdefabcdefab"
PERSON, NUMBER, SERVICE = "+15558675310", "+15017122661", "MG0123456789abcdef0123456789abcdef"
CREATED = 1_732_271_398_000_000  # Fri, 22 Nov 2024 10:29:58 +0000


def known(code: str) -> Failure:
    found = twilio_sms.CHANNEL.failure_of(code)
    assert found is not None
    return found


def receipt(status: Status, failure: Failure | None = None) -> Receipt:
    return Receipt(SID, status, ARRIVED, None, failure, PERSON)


def inbound(text: str, **more: Any) -> Inbound:
    return Inbound(THEIRS, (f"phone:{PERSON}",), NUMBER, text, ARRIVED, **more)


WEBHOOKS: dict[str, Event] = {
    "message-status-queued": receipt(Status.QUEUED),
    "message-status-sent": receipt(Status.SENT),
    "message-status-delivered": receipt(Status.DELIVERED),
    "message-status-delivered-messaging-service": receipt(Status.DELIVERED),
    "message-status-read-whatsapp": receipt(Status.READ),
    "message-status-undelivered-30003": receipt(Status.UNDELIVERED, known("30003")),
    "message-status-failed-30001": receipt(Status.FAILED, known("30001")),
    "message-status-failed-21610": receipt(Status.FAILED, known("21610")),
    "inbound-text": inbound("Yes, see you Monday + thanks"),
    "inbound-mms": inbound("photo", kind="image"),
    "inbound-stop": inbound("STOP", wish=Wish.STOP, vendor_answers=True),
    "inbound-start": inbound("START", wish=Wish.START, vendor_answers=True),
    "inbound-help": inbound("HELP", wish=Wish.HELP, vendor_answers=True),
    "inbound-stop-no-advanced-optout": inbound("Stop", vendor_answers=True),
}

ANSWERS: dict[str, tuple[int, Result]] = {
    "message-create-201": (201, Accepted(SID)),
    "message-create-service-201": (201, Accepted(SID)),
    "error-400-21211": (400, known("21211")),
    "error-400-21610": (400, known("21610")),
    "error-400-21614": (400, known("21614")),
    "error-401-20003": (401, known("20003")),
    "error-404-20404": (404, known("20404")),
    "error-429-20429": (429, replace(known("20429"), throttled=True)),
    "error-500-20500": (500, known("20500")),
}

ELSEWHERE = {  # read below, or by test_twilio_asking.py
    "message-create.request.form",
    "message-fetch-200.response.json",
    "message-list-200.response.json",
    "message-list.query",
    "twiml-sms-empty.xml",
}


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def hook(body: bytes, query: str = "") -> Hook:
    kind = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
    return Hook("POST", HOOKS + query, kind, body, ARRIVED)


def told(query: str = "", **form: str) -> Event:
    (event,), _ = twilio_sms.parse_webhook(SETTINGS, hook(urlencode(form).encode(), query))
    return event


def outgoing(text: str = "Hi Ana", sender: str = NUMBER, callback: str = HOOKS, started_at: int = CREATED) -> Outgoing:
    return Outgoing(ID, sender, PERSON, {"text": text}, callback, started_at)


def answered(code: int, body: bytes) -> Result:
    return twilio_sms.parse_response(Response(code, {}, body), [outgoing()])[0]


def test_no_twilio_sample_is_left_out() -> None:
    named = {f"{name}.form" for name in WEBHOOKS} | {f"{name}.response.json" for name in ANSWERS} | ELSEWHERE
    assert {path.name for path in SAMPLES.iterdir()} == named


# --- webhooks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEBHOOKS)
def test_twilio_webhooks(name: str) -> None:
    events, answer = twilio_sms.parse_webhook(SETTINGS, hook(sample(f"{name}.form").rstrip(b"\n")))
    assert events == [WEBHOOKS[name]]
    assert (answer.code, answer.body, answer.content_type) == (
        200,
        sample("twiml-sms-empty.xml").strip(),
        "text/xml; charset=utf-8",
    )


@pytest.mark.parametrize("name", [name for name in WEBHOOKS if name.startswith(("message", "inbound"))])
def test_the_samples_are_what_the_vendor_documents(name: str) -> None:
    schema = "message-status-callback" if name.startswith("message") else "inbound-message"
    form = dict(parse_qsl(sample(f"{name}.form").decode().strip(), keep_blank_values=True))
    Draft202012Validator(json.loads(sample(f"../{schema}.schema.json"))).validate(form)


def test_a_receipt_names_our_message_by_the_callbacks_query() -> None:
    found = told(f"?m={ID.hex()}", MessageSid=SID, MessageStatus="sent", To=PERSON)
    assert found == Receipt(SID, Status.SENT, ARRIVED, ID)


@pytest.mark.parametrize("query", ["?m=", "?m=abc", "?m=0190a1b2 c3d4e5f6 0718293a4b5c6d", "?x=1", "?"])
def test_a_strange_reference_leaves_the_vendors_id(query: str) -> None:
    assert told(query, MessageSid=SID, MessageStatus="sent", To=PERSON) == receipt(Status.SENT)


def test_a_status_delivered_is_the_carriers_word_and_sent_is_not() -> None:
    assert [told(MessageSid=SID, MessageStatus=word, To=PERSON) for word in ("sent", "delivered")] == [
        receipt(Status.SENT),
        receipt(Status.DELIVERED),
    ]


def test_every_status_of_the_map_is_known() -> None:
    rows = [row for row in csv.DictReader((DATA / "status_map.csv").read_text().splitlines()) if row["resource"] == "message"]
    messages = {row["provider_status"]: row["common_status"] for row in rows if not row["provider_status"].startswith("rec")}
    assert {status: ours.word for status, ours in twilio_sms.STATUSES.items()} == messages


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("undelivered", "30003", (Status.UNDELIVERED, Class.TRANSIENT, Verdict.RETRY)),
        ("undelivered", "30005", (Status.UNDELIVERED, Class.PERMANENT, Verdict.NEXT)),
        ("undelivered", "30999", (Status.UNDELIVERED, Class.PERMANENT, Verdict.NEXT)),
        ("undelivered", "", (Status.UNDELIVERED, Class.PERMANENT, Verdict.NEXT)),
        ("failed", "30002", (Status.FAILED, Class.CONFIG, Verdict.HOLD)),
        ("failed", "21610", (Status.FAILED, Class.OPTOUT, Verdict.OPTED_OUT)),
        ("failed", "20500", (Status.FAILED, Class.TRANSIENT, Verdict.RETRY)),
        ("failed", "²", (Status.FAILED, Class.PERMANENT, Verdict.NEXT)),
        ("canceled", "", (Status.FAILED, Class.PERMANENT, Verdict.NEXT)),
        ("failed", "21211", (Status.ERROR, Class.PERMANENT, Verdict.NEXT)),
    ],
)
def test_a_failed_status_always_says_what_follows(status: str, code: str, expected: tuple[Status, Class, Verdict]) -> None:
    found = told(MessageSid=SID, MessageStatus=status, To=PERSON, ErrorCode=code)
    assert isinstance(found, Receipt)
    assert found.failure is not None
    assert (found.status, found.failure.cls, verdict(found.failure, tries=1)) == expected
    assert found.failure.words


@pytest.mark.parametrize("text", ["stop", " QUIT ", "Unsubscribe", "revoke", "optout", "START", "info"])
def test_what_twilio_answers_itself_is_not_answered_twice(text: str) -> None:
    found = told(MessageSid=THEIRS, From=PERSON, To=NUMBER, Body=text)
    assert isinstance(found, Inbound)
    assert found.vendor_answers
    assert wish_of(found.text) is not None


@pytest.mark.parametrize("text", ["yes", "baja", "please stop it", "cancel my order", ""])
def test_what_twilio_does_not_answer_is_ours(text: str) -> None:
    found = told(MessageSid=THEIRS, From=PERSON, To=NUMBER, Body=text)
    assert isinstance(found, Inbound)
    assert not found.vendor_answers
    assert found.wish is None


@pytest.mark.parametrize(
    ("address", "alias"),
    [("+525511223344", "phone:+525511223344"), ("whatsapp:+15558675310", "phone:+15558675310"), ("72975", "sender:72975")],
)
def test_who_wrote_is_known_by_number_or_by_name(address: str, alias: str) -> None:
    found = told(MessageSid=THEIRS, From=address, To=NUMBER, Body="x")
    assert isinstance(found, Inbound)
    assert found.aliases == (alias,)


def test_a_button_and_a_quoted_message() -> None:
    found = told(MessageSid=THEIRS, From=PERSON, To=NUMBER, Body="1", ButtonText="Yes please", OriginalRepliedMessageSid=SID)
    assert found == inbound("Yes please", quotes=SID)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Twilio told something that is neither a status nor a message: nothing at all"),
        ({"MessageSid": SID}, "Twilio told something that is neither a status nor a message: MessageSid"),
        (
            {"MessageSid": SID, "MessageStatus": "eaten"},
            f"Twilio told the status 'eaten' of message {SID}, which we do not know",
        ),
    ],
)
def test_odd_callbacks_are_kept_for_people(form: dict[str, str], words: str) -> None:
    assert told(**form) == Unrecognized(words)


# --- sending ----------------------------------------------------------------------------------------------------------------


def form_of(message: Outgoing) -> dict[str, str]:
    return dict(parse_qsl(twilio_sms.build_request(SETTINGS, [message]).body.decode(), keep_blank_values=True))


def test_a_request_is_that_of_the_sample() -> None:
    expected = dict(parse_qsl(sample("message-create.request.form").decode().strip()))
    form = form_of(outgoing(expected["Body"]))
    callback = form.pop("StatusCallback")
    assert callback == f"{HOOKS}?m={ID.hex()}#rc=5&rp=all"
    assert form == {name: expected[name] for name in ("To", "From", "Body")}
    assert "m" in dict(parse_qsl(urlsplit(expected["StatusCallback"]).query))


def test_a_request_goes_to_the_messages_with_basic_auth() -> None:
    request = twilio_sms.build_request(SETTINGS, [outgoing()])
    assert (request.method, request.url) == ("POST", f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert dict(request.headers)["Authorization"] == "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0MGtlbg=="
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"


def test_an_api_key_signs_in_when_there_is_one() -> None:
    settings = SETTINGS.model_validate(
        {"account_sid": ACCOUNT, "auth_token": "t0ken", "api_key_sid": "SK" + "0" * 32, "api_key_secret": "s3cret"}
    )
    headers = dict(twilio_sms.build_request(settings, [outgoing()]).headers)
    assert headers["Authorization"] == "Basic U0swMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDpzM2NyZXQ="


def test_a_service_sends_by_its_own_field() -> None:
    form = form_of(outgoing(sender=SERVICE))
    assert form["MessagingServiceSid"] == SERVICE
    assert "From" not in form


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        ("", None),
        (f"{HOOKS}?a=b", f"{HOOKS}?a=b&m={ID.hex()}#rc=5&rp=all"),
        (f"{HOOKS}#x", f"{HOOKS}?m={ID.hex()}#rc=5&rp=all"),
    ],
)
def test_the_callback_carries_our_reference(callback: str, expected: str | None) -> None:
    assert form_of(outgoing(callback=callback)).get("StatusCallback") == expected


@pytest.mark.parametrize("text", ["¿Mañana? Sí & no + 100% 👍", "a=b&To=+1", "line\nline", " "])
def test_the_text_arrives_as_it_is_written(text: str) -> None:
    assert form_of(outgoing(text))["Body"] == text


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, (code, _) in ANSWERS.items()])
def test_twilio_answers(name: str, code: int) -> None:
    assert answered(code, sample(f"{name}.response.json")) == ANSWERS[name][1]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"sid": null}', b'{"sid": ""}'])
def test_a_201_without_an_id_is_a_lost_answer(body: bytes) -> None:
    assert isinstance(answered(201, body), Lost)


@pytest.mark.parametrize("code", ["21211", "21265", "21266", "21268"])
def test_status_error_is_a_number_that_is_not_valid(code: str) -> None:
    found = answered(400, json.dumps({"code": int(code), "message": "x", "status": 400}).encode())
    assert isinstance(found, Failure)
    assert found.bad_address


def test_21610_is_an_opt_out_and_fires_no_fallback() -> None:
    found = answered(400, sample("error-400-21610.response.json"))
    assert isinstance(found, Failure)
    assert verdict(found, tries=1) is Verdict.OPTED_OUT


@pytest.mark.parametrize(
    ("text", "segments"),
    [("Hello", 1), ("a" * 160, 1), ("a" * 161, 2), ("á" * 71, 2), ("a" * 1600, 11)],
)
def test_a_text_weighs_its_segments(text: str, segments: int) -> None:
    rendered = twilio_sms.compile_content(Content(text="{{text}}"), None)({"text": text})
    assert (rendered.text, rendered.content, rendered.segments) == (text, {"text": text}, segments)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The text is empty for this person."),
        (" \n ", "The text is empty for this person."),
        ("x" * 1601, "The text has 1601 characters for this person; SMS takes 1600."),
    ],
)
def test_a_text_that_twilio_would_refuse_is_not_sent(text: str, problem: str) -> None:
    rendered = twilio_sms.compile_content(Content(text="{{text}}"), None)({"text": text})
    assert (rendered.problem, rendered.content) == (problem, {})


def test_both_field_forms_merge_and_values_are_not_expanded_again() -> None:
    rendered = twilio_sms.compile_content(Content(text="Hello ${FullName}, {{day}}"), None)(
        {"FullName": "${day}", "day": "Monday"}
    )
    assert rendered.text == "Hello ${day}, Monday"


def test_half_a_character_does_not_break_a_request() -> None:
    rendered = twilio_sms.compile_content(Content(text="Hi {{name}}"), None)({"name": "\ud83d"})
    assert form_of(outgoing(rendered.content["text"]))["Body"] == "Hi \ufffd"


def test_a_template_is_not_for_sms() -> None:
    with pytest.raises(UnfitContent, match="Write 'text' in this step"):
        twilio_sms.compile_content(Content(template="fall_sale", language="en_US"), None)
