"""WhatsApp: what we ask of it beside sending, and what it asks of us."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campana.channels import whatsapp
from campana.channels.contract import VendorTemplate
from campana.channels.whatsapp_templates import parse_listing
from campana.core.exchange import Hook, Response

SAMPLES = Path(__file__).parents[1] / "data" / "whatsapp" / "samples"
SETTINGS = whatsapp.Settings(token="t0ken", app_secret="s3cret", verify_token="our-verify-token", waba_id="102290129340398")
ARRIVED = 1_760_000_000_000_000
NUMBER = "106540352242922"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def listed(body: bytes) -> tuple[list[VendorTemplate], str | None]:
    page = parse_listing(Response(200, {}, body))
    assert page is not None
    return page


@pytest.mark.parametrize(
    ("url", "code", "body"),
    [
        ("verify-challenge.query", 200, b"1158201444"),
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", 403, None),
        ("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=our-verify-token", 403, None),
        ("", 403, None),
        ("hub.verify_token=%ff%fe", 403, None),
    ],
)
def test_whatsapp_challenge(url: str, code: int, body: bytes | None) -> None:
    query = (SAMPLES / url).read_text().strip() if url.endswith(".query") else url
    answer = whatsapp.challenge(SETTINGS, Hook("GET", f"https://hooks.example.com/hooks/wa?{query}", {}, b"", ARRIVED))
    assert answer is not None
    assert answer.code == code
    assert body is None or (answer.body, answer.content_type) == (body, "text/plain; charset=utf-8")
    assert whatsapp.challenge(SETTINGS, Hook("POST", "https://hooks.example.com/hooks/wa", {}, b"", ARRIVED)) is None


def test_templates_of_every_status_are_listed_page_by_page() -> None:
    assert whatsapp.CHANNEL.templates is not None
    request = whatsapp.CHANNEL.templates.request(SETTINGS, None)
    assert request.url.startswith("https://graph.facebook.com/v23.0/102290129340398/message_templates?fields=id,name")
    assert "status=" not in request.url
    first, cursor = listed(sample("templates-page1.response"))
    assert cursor == "MjQZD"
    assert "&after=MjQZD" in whatsapp.CHANNEL.templates.request(SETTINGS, cursor).url
    second, end = listed(sample("templates-page2.response"))
    assert end is None
    assert [(one.name, one.language, one.status) for one in [*first, *second]] == [
        ("fall_sale", "en_US", "APPROVED"),
        ("recordatorio_cita", "es_MX", "APPROVED"),
        ("seasonal_promotion", "pt_BR", "APPROVED"),
        ("abandoned_cart", "en", "REJECTED"),
    ]
    assert (first[1].parameter_format, first[1].category, first[1].vendor_id) == ("NAMED", "UTILITY", "920070352646141")


def test_a_template_that_cannot_be_read_takes_no_other_with_it() -> None:
    body = {"data": [{"name": 7}, {"name": "a", "language": "en", "status": "PAUSED"}, None], "paging": {"next": "x?after=c"}}
    found, cursor = listed(json.dumps(body).encode())
    assert [(one.name, one.status) for one in found] == [("a", "PAUSED")]
    assert cursor == "c"


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (200, b"<html>Sign in to the network</html>"),
        (200, b"{}"),
        (200, b'{"data": [], "paging": {"next": "https://graph.facebook.com/more"}}'),
        (500, b'{"data": []}'),
    ],
)
def test_a_page_that_cannot_be_read_is_not_an_empty_list(code: int, body: bytes) -> None:
    assert parse_listing(Response(code, {}, body)) is None


def test_the_check_asks_for_the_account_s_numbers() -> None:
    numbers = json.loads(sample("phone-numbers.response"))["data"]
    assert numbers[0]["id"] == NUMBER
    request = whatsapp.check(SETTINGS)
    assert (request.method, request.url) == ("GET", "https://graph.facebook.com/v23.0/102290129340398/phone_numbers")
    assert request.body == b""


def test_a_lost_answer_waits_for_its_receipt() -> None:
    assert whatsapp.CHANNEL.look_up is None
    assert whatsapp.CHANNEL.wait_for_receipt == 600_000_000


@pytest.mark.parametrize(
    ("address", "fits"), [("106540352242922", True), ("+15550783881", False), ("", False), ("1234", False), ("106 540", False)]
)
def test_a_sender_is_named_by_its_phone_number_id(address: str, fits: bool) -> None:
    assert (whatsapp.CHANNEL.senders.problem(address) is None) is fits


@pytest.mark.parametrize(
    ("body", "known"),
    [
        (b'{"data": [{"id": "7"}, {"id": "106540352242922"}]}', True),
        (b'{"data": [{"id": "7"}]}', False),
        (b'{"data": []}', False),
        (b'{"data": [{"id": "7"}], "paging": {"next": "https://graph.facebook.com/next"}}', None),
        (b"<html>", None),
    ],
)
def test_the_accounts_own_list_says_whether_it_has_a_number(body: bytes, known: bool | None) -> None:
    assert whatsapp.CHANNEL.senders.knows(Response(200, {}, body), "106540352242922") is known
