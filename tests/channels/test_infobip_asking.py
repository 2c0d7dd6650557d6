"""Infobip SMS: what we ask of it when an answer was lost, before a deadline, and of an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from campana.channels import infobip_sms
from campana.channels.contract import Found, LookUp
from campana.core.exchange import Response
from campana.core.message import Outgoing, Receipt, Status

SAMPLES = Path(__file__).parents[1] / "data" / "infobip" / "samples"
SETTINGS = infobip_sms.Settings(api_key="k3y", base_url="https://x.api.infobip.com", webhook_secret="s")
ID = bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7e")
SENT, DONE = 1_732_271_400_000_000, 1_732_271_404_512_000  # 2024-11-22T10:30:00 and :04.512
MESSAGE = Outgoing(ID, "InfoSMS", "+525500998877", {"text": "Hola, su cita es mañana."}, "", SENT)
LOGS = (SAMPLES / "logs-v3.response.json").read_bytes().replace(b"cmp42-ct7-s1-a1", ID.hex().encode())


def look_up() -> LookUp:
    assert infobip_sms.CHANNEL.look_up is not None
    return infobip_sms.CHANNEL.look_up


def page_of(*changes: dict[str, Any], **more: Any) -> Response:
    line = json.loads(LOGS)["results"][0]
    return Response(200, {}, json.dumps({"results": [{**line, **change} for change in changes], **more}).encode())


def state(number: int, group: str) -> dict[str, Any]:
    return {"status": {"id": number, "groupName": group, "name": "X"}}


def test_a_lost_answer_is_looked_up_by_our_id() -> None:
    request = look_up().request(SETTINGS, MESSAGE)
    assert (request.method, request.body) == ("GET", b"")
    assert request.url == f"https://x.api.infobip.com/sms/3/logs?messageId={ID.hex()}"
    assert dict(request.headers)["Authorization"] == "App k3y"
    assert look_up().asks == (0, 60_000_000)
    assert look_up().reach == 47 * 3_600_000_000  # their logs reach 48 hours back


def test_the_logs_tell_what_the_vendor_holds() -> None:
    held = Receipt(ID.hex(), Status.DELIVERED, DONE, ID)
    found = Found(ID.hex(), "525500998877", MESSAGE.content["text"], SENT, held, ("InfoSMS", "+InfoSMS"))
    assert look_up().found(Response(200, {}, LOGS)) == ([found], None)
    assert look_up().matches(MESSAGE, found)


def test_only_our_id_is_our_message() -> None:
    page = look_up().found(page_of({"messageId": "another"}, {"content": None, "sender": None, "destination": "1"}))
    assert page is not None
    assert [look_up().matches(MESSAGE, held) for held in page[0]] == [False, True]


@pytest.mark.parametrize("changes", [{"messageId": None}, {"status": None}, {"status": "DELIVERED"}, {"sentAt": 7}])
def test_logs_with_a_line_that_cannot_be_read_tell_nothing(changes: dict[str, Any]) -> None:
    assert look_up().found(page_of({}, changes)) is None


@pytest.mark.parametrize(
    ("code", "body"), [(200, b"<html>Sign in</html>"), (200, b""), (200, b"{}"), (200, b"[]"), (500, b'{"results": []}')]
)
def test_a_page_that_is_not_infobips_tells_nothing(code: int, body: bytes) -> None:
    assert look_up().found(Response(code, {}, body)) is None


def test_a_line_without_dates_is_ours_all_the_same() -> None:
    page = look_up().found(page_of({"sentAt": None, "doneAt": None, **state(26, "PENDING")}))
    assert page is not None
    assert page[0][0].receipt == Receipt(ID.hex(), Status.QUEUED, 0, ID)
    assert look_up().matches(MESSAGE, page[0][0])


def test_a_status_that_has_no_word_of_ours_is_still_an_acceptance() -> None:
    page = look_up().found(page_of(state(1, "EATEN")))
    assert page is not None
    assert page[0][0].receipt is None


def test_the_page_after_is_asked_by_its_cursor() -> None:
    page = look_up().found(page_of({}, cursor={"limit": 1, "nextCursor": "abc/+="}))
    assert page is not None
    following = page[1]
    assert following == "abc/+="
    url = look_up().next_page(SETTINGS, following).url
    assert dict(parse_qsl(urlsplit(url).query)) == {"useCursor": "true", "cursor": "abc/+="}
    empty = look_up().found(page_of(cursor={"nextCursor": "abc"}))
    assert empty == ([], None)


def test_one_message_is_asked_by_its_id() -> None:
    asks, reads = look_up().status_request, look_up().status_found
    assert asks is not None
    assert reads is not None
    assert asks(SETTINGS, "a b&c").url == "https://x.api.infobip.com/sms/3/logs?messageId=a%20b%26c"
    assert reads(Response(200, {}, LOGS)) == Receipt(ID.hex(), Status.DELIVERED, DONE, ID)
    assert reads(Response(404, {}, LOGS)) is None
    assert reads(page_of()) is None
    twice = page_of(state(23, "REJECTED"), state(7, "PENDING"))
    assert reads(twice) == Receipt(ID.hex(), Status.SENT, DONE, ID)


def test_the_check_sends_nothing_and_takes_no_reports() -> None:
    request = infobip_sms.check(SETTINGS)
    assert (request.method, request.body, request.url) == ("GET", b"", "https://x.api.infobip.com/sms/3/logs?limit=1")


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("+525511110000", True),
        ("525511110000", True),
        ("72975", True),
        ("InfoSMS", True),
        ("Clinica Centro", False),
        ("Clínica", False),
        ("", False),
        ("+1", False),
    ],
)
def test_a_sender_is_a_number_a_short_code_or_a_name(address: str, fits: bool) -> None:
    assert (infobip_sms.CHANNEL.senders.problem(address) is None) is fits
    assert infobip_sms.CHANNEL.senders.request(SETTINGS, address) is None
