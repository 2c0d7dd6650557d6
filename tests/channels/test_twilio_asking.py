"""Twilio SMS: what we ask of it when an answer was lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from campana.channels import twilio_sms
from campana.channels.contract import Found, LookUp
from campana.core.exchange import Response
from campana.core.message import Outgoing, Receipt, Status

SAMPLES = Path(__file__).parents[1] / "data" / "twilio" / "samples"
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
SETTINGS = twilio_sms.Settings(account_sid=ACCOUNT, auth_token="t0ken")
SID, SERVICE = "SM0123456789abcdef0123456789abcdef", "MG0123456789abcdef0123456789abcdef"
PERSON, NUMBER = "+15558675310", "+15017122661"
CREATED = 1_732_271_398_000_000  # Fri, 22 Nov 2024 10:29:58 +0000


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def outgoing(text: str = "Hi Ana", sender: str = NUMBER, started_at: int = CREATED) -> Outgoing:
    return Outgoing(bytes(16), sender, PERSON, {"text": text}, "https://hooks.example.com/hooks/sms", started_at)


def look_up() -> LookUp:
    assert twilio_sms.CHANNEL.look_up is not None
    return twilio_sms.CHANNEL.look_up


def test_a_lost_answer_is_looked_up_by_person_and_sender() -> None:
    request = look_up().request(SETTINGS, outgoing())
    query = dict(parse_qsl(urlsplit(request.url).query))
    assert request.url.startswith(f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json?")
    assert query == {"To": PERSON, "From": NUMBER, "PageSize": "200"}
    assert query.keys() <= dict(parse_qsl(sample("message-list.query").decode().strip())).keys()
    assert look_up().asks == (0, 120_000_000)


def test_a_services_message_is_looked_up_by_person_alone() -> None:
    assert "From" not in look_up().request(SETTINGS, outgoing(sender=SERVICE)).url


def test_the_list_tells_what_the_vendor_holds() -> None:
    held = Receipt(SID, Status.DELIVERED, CREATED)
    page = look_up().found(Response(200, {}, sample("message-list-200.response.json")))
    assert page == ([Found(SID, PERSON, "Hi Ana", CREATED, held, (NUMBER,))], None)


def page_of(**changes: Any) -> tuple[list[Found], str | None] | None:
    body = json.loads(sample("message-list-200.response.json"))
    body["messages"][0] |= changes
    return look_up().found(Response(200, {}, json.dumps(body).encode()))


def listed(**changes: Any) -> list[Found]:
    page = page_of(**changes)
    assert page is not None
    return page[0]


@pytest.mark.parametrize(
    ("changes", "message", "fits"),
    [
        ({}, outgoing(), True),
        ({}, outgoing(started_at=CREATED + 59_000_000), True),
        ({}, outgoing(started_at=CREATED + 61_000_000), False),
        ({}, outgoing("Hi Eva"), False),
        ({"body": "Hi Ana\n"}, outgoing(), True),
        ({"to": "+15558675311"}, outgoing(), False),
        ({"from": "+15017122662"}, outgoing(), False),
        ({"from": None, "messaging_service_sid": SERVICE}, outgoing(sender=SERVICE), True),
        ({"messaging_service_sid": SERVICE}, outgoing(sender="MG" + "9" * 32), False),
    ],
)
def test_a_held_message_is_ours_by_person_sender_words_and_time(changes: dict[str, Any], message: Outgoing, fits: bool) -> None:
    (held,) = listed(**changes)
    assert look_up().matches(message, held) is fits


def test_what_cannot_be_ours_is_left_out_of_the_list() -> None:
    assert listed(direction="inbound") == []


@pytest.mark.parametrize("changes", [{"date_created": "yesterday"}, {"date_created": None}, {"sid": 7}, {"sid": ""}])
def test_a_list_with_a_message_that_cannot_be_read_tells_nothing(changes: dict[str, Any]) -> None:
    assert page_of(**changes) is None


@pytest.mark.parametrize(
    ("code", "body"),
    [(200, b"<html>Sign in to the network</html>"), (200, b""), (200, b"{}"), (200, b"[]"), (500, b'{"messages": []}')],
)
def test_a_page_that_is_not_twilios_tells_nothing(code: int, body: bytes) -> None:
    assert look_up().found(Response(code, {}, body)) is None


def test_the_error_code_of_a_held_message_is_told() -> None:
    (held,) = listed(status="undelivered", error_code=30005)
    assert held.receipt == Receipt(SID, Status.UNDELIVERED, CREATED, failure=twilio_sms.CHANNEL.failure_of("30005"))


@pytest.mark.parametrize(
    "uri",
    [
        "/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PA1",
        "https://evil.example/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PA1",
        "//evil.example/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PA1",
    ],
)
def test_the_next_page_is_asked_of_the_same_vendor_only(uri: str) -> None:
    asked = look_up().next_page(SETTINGS, uri)
    assert urlsplit(asked.url).netloc == "api.twilio.com"


def test_the_page_after_is_named() -> None:
    body = json.loads(sample("message-list-200.response.json")) | {"next_page_uri": "/2010-04-01/next"}
    page = look_up().found(Response(200, {}, json.dumps(body).encode()))
    assert page is not None
    following = page[1]
    assert following == "/2010-04-01/next"
    assert look_up().next_page(SETTINGS, following).url == "https://api.twilio.com/2010-04-01/next"


def test_one_message_is_asked_by_its_sid() -> None:
    asks, reads = look_up().status_request, look_up().status_found
    assert asks is not None
    assert reads is not None
    assert asks(SETTINGS, SID).url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json"
    assert reads(Response(200, {}, sample("message-fetch-200.response.json"))) == Receipt(SID, Status.DELIVERED, CREATED)
    assert reads(Response(404, {}, sample("error-404-20404.response.json"))) is None


def test_the_check_sends_nothing() -> None:
    request = twilio_sms.check(SETTINGS)
    assert (request.method, request.body) == ("GET", b"")
    assert request.url.endswith("/Messages.json?PageSize=1")


@pytest.mark.parametrize(
    ("address", "fits", "asked"),
    [
        ("+15017122661", True, True),
        ("MG" + "0" * 32, True, False),
        ("55512", True, False),
        ("Clinic One", True, False),
        ("Clinica Centro", False, False),
        ("5017122661234", False, False),
        ("", False, False),
        ("MG12", True, False),  # a name like any other
    ],
)
def test_a_sender_is_a_number_a_service_a_short_code_or_a_name(address: str, fits: bool, asked: bool) -> None:
    assert (twilio_sms.CHANNEL.senders.problem(address) is None) is fits
    request = twilio_sms.CHANNEL.senders.request(SETTINGS, address)
    assert (request is not None and request.url.endswith("/IncomingPhoneNumbers.json?PhoneNumber=%2B15017122661")) is asked


@pytest.mark.parametrize(
    ("body", "known"),
    [
        (b'{"incoming_phone_numbers": [{"phone_number": "+15017122661"}]}', True),
        (b'{"incoming_phone_numbers": []}', False),
        (b"<html>", None),
    ],
)
def test_the_account_says_whether_it_has_a_number(body: bytes, known: bool | None) -> None:
    assert twilio_sms.CHANNEL.senders.knows(Response(200, {}, body), "+15017122661") is known
