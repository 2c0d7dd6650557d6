"""Every row of the error tables, through the door it comes by, to the verdict that it must have."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.channels import infobip_sms, twilio_sms, whatsapp
from campana.channels.answers import code_of, reference, retry_after
from campana.channels.contract import Channel
from campana.channels.registry import channels
from campana.core.exchange import Hook, Response
from campana.core.failure import Class, Failure, Retry, Verdict, verdict
from campana.core.message import Lost, Outgoing, Receipt, Result

DATA = Path(__file__).parents[1] / "data"
MESSAGE = Outgoing(bytes(16), "1", "+525511223344", {"text": "x"})
SETTINGS = {
    "whatsapp": whatsapp.Settings(token="t", app_secret="s", verify_token="v", waba_id="1"),
    "twilio_sms": twilio_sms.Settings(account_sid="AC" + "0" * 32, auth_token="t"),
    "infobip_sms": infobip_sms.Settings(api_key="k", base_url="https://x.api.infobip.com", webhook_secret="s"),
}

Row = Mapping[str, str]


def rows(vendor: str) -> list[Row]:
    return list(csv.DictReader((DATA / vendor / "errors.csv").read_text(encoding="utf-8").splitlines()))


WHATSAPP, TWILIO = rows("whatsapp"), rows("twilio")


def expected(row: Row) -> Verdict:
    """What the row's own words say of a first attempt."""
    match row["class"], row["retry_same_channel"], row["fire_fallback"]:
        case _, "reconcile", _:
            return Verdict.ASK
        case "optout", _, _:
            return Verdict.OPTED_OUT
        case _, "yes" | "once" | "later" | "next day", _:
            return Verdict.RETRY
        case "config", _, "no":
            return Verdict.HOLD
        case "transient", _, _:
            return Verdict.NEXT
        case _, _, "yes":
            return Verdict.NEXT
    return Verdict.END


def code_in(row: Row) -> str:
    return row["code"].partition("-")[0]


def ids(row: Row) -> str:
    return row["code"]


def refused(channel: Channel, code: object, http: int = 400, headers: Mapping[str, str] | None = None) -> Result:
    error = {"code": code, "message": "(#1) In their words", "status": http}
    body = {"error": error} if channel.kind == "whatsapp" else error
    return channel.parse_response(Response(http, headers or {}, json.dumps(body).encode()), [MESSAGE])[0]


def told(channel: Channel, code: str) -> Failure:
    if channel.kind == "whatsapp":
        status = {"id": "w", "status": "failed", "timestamp": "1750030073", "errors": [{"code": int(code), "title": "x"}]}
        change = {"field": "messages", "value": {"statuses": [status]}}
        body = json.dumps({"object": "x", "entry": [{"id": "1", "changes": [change]}]}).encode()
    else:
        body = urlencode({"MessageSid": "SM1", "MessageStatus": "undelivered", "To": "+1", "ErrorCode": code}).encode()
    (event,), _ = channel.parse_webhook(SETTINGS[channel.kind], Hook("POST", "https://h.example/hooks/x", {}, body, 1))
    assert isinstance(event, Receipt)
    assert event.failure is not None
    return event.failure


@pytest.mark.parametrize("row", WHATSAPP, ids=ids)
def test_each_whatsapp_code_in_an_answer(row: Row) -> None:
    found = refused(whatsapp.CHANNEL, int(code_in(row)), int(row["http_status_typical"]))
    assert isinstance(found, Failure)
    assert (found.code, found.words) == (code_in(row), row["meaning"])
    assert verdict(found, tries=1) is expected(row)


@pytest.mark.parametrize("row", WHATSAPP, ids=ids)
def test_each_whatsapp_code_in_a_receipt(row: Row) -> None:
    """A receipt is certain: what an answer would make us look up is tried again at once."""
    found = verdict(told(whatsapp.CHANNEL, code_in(row)), tries=1)
    assert found is (Verdict.RETRY if expected(row) is Verdict.ASK else expected(row))


@pytest.mark.parametrize("row", TWILIO, ids=ids)
def test_each_twilio_code_in_an_answer(row: Row) -> None:
    found = refused(twilio_sms.CHANNEL, int(row["code"]), {"20429": 429, "20500": 500, "20503": 503}.get(row["code"], 400))
    assert isinstance(found, Failure)
    assert (found.code, found.words) == (row["code"], row["meaning"])
    assert verdict(found, tries=1) is expected(row)


@pytest.mark.parametrize("row", TWILIO, ids=ids)
def test_each_twilio_code_in_a_receipt(row: Row) -> None:
    found = verdict(told(twilio_sms.CHANNEL, row["code"]), tries=1)
    assert found is (Verdict.RETRY if expected(row) is Verdict.ASK else expected(row))


@pytest.mark.parametrize(("vendor", "known"), [("whatsapp", WHATSAPP), ("twilio", TWILIO)])
def test_our_tables_say_what_the_published_ones_say(vendor: str, known: list[Row]) -> None:
    text = resources.files("campana.channels").joinpath(f"errors/{vendor}.csv").read_text(encoding="utf-8")
    ours = list(csv.DictReader(text.splitlines()))
    assert [{name: line[name] for name in known[0]} for line in ours] == known


@pytest.mark.parametrize("kind", list(channels()))
def test_logs_show_a_codes_words_and_advice(kind: str) -> None:
    channel = channels()[kind]
    code = {"whatsapp": "131026", "twilio_sms": "21610", "infobip_sms": "status-52"}[kind]
    failure, advice = channel.failure_of(code), channel.errors.advice(code)
    assert failure is not None
    assert failure.words
    assert (advice.meaning, advice.cls, advice.general) == (failure.words, failure.cls, False)
    assert advice.do.endswith(".")
    assert (channel.failure_of("999"), channel.errors.advice("999").general) == (None, True)


def test_a_trouble_of_the_step_does_not_stop_the_sender() -> None:
    of_step = {code for code in ("21602", "21617", "21656", "21606", "20003") if (row := known_twilio(code)).of_step and row}
    assert of_step == {"21602", "21617", "21656"}
    assert [code for code in ("132000", "132012", "190", "131042") if known_whatsapp(code).of_step] == ["132000", "132012"]


def known_twilio(code: str) -> Failure:
    found = twilio_sms.CHANNEL.failure_of(code)
    assert found is not None
    return found


def known_whatsapp(code: str) -> Failure:
    found = whatsapp.CHANNEL.failure_of(code)
    assert found is not None
    return found


# --- what the tables do not know --------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("channel", [whatsapp.CHANNEL, twilio_sms.CHANNEL], ids=lambda channel: channel.kind)
UNLISTED: list[tuple[int, object, Verdict | None]] = [
    (400, 29_999, Verdict.NEXT),  # this message is refused; the fallback takes its turn
    (422, 29_999, Verdict.NEXT),
    (401, 29_999, Verdict.HOLD),  # our account is
    (403, 29_999, Verdict.HOLD),
    (404, 29_999, Verdict.HOLD),
    (425, 29_999, Verdict.RETRY),  # not processed
    (429, 29_999, Verdict.RETRY),
    (408, 29_999, None),  # perhaps taken
    (500, 29_999, None),
    (502, 29_999, None),
    (503, 29_999, None),
    (504, 29_999, None),
    (400, None, Verdict.HOLD),  # no code at all: a proxy, a wrong address
    (302, None, Verdict.HOLD),
    (429, None, Verdict.RETRY),
    (500, None, None),
]


@BOTH
@pytest.mark.parametrize(("http", "code", "follows"), UNLISTED)
def test_an_answer_with_a_code_that_no_table_knows(channel: Channel, http: int, code: object, follows: Verdict | None) -> None:
    found = refused(channel, code, http)
    if follows is None:
        assert isinstance(found, Lost)
    else:
        assert isinstance(found, Failure)
        assert verdict(found, tries=1) is follows
        assert found.words


@BOTH
@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[1]", b"7", b'{"error": "no"}', b'{"code": {}}'])
def test_garbage_is_lost_on_5xx_and_our_trouble_on_other_codes(channel: Channel, body: bytes) -> None:
    assert isinstance(channel.parse_response(Response(502, {}, body), [MESSAGE])[0], Lost)
    for http in (301, 400, 403):
        found = channel.parse_response(Response(http, {}, body), [MESSAGE])[0]
        assert isinstance(found, Failure)
        assert (found.cls, found.code, verdict(found, 1)) == (Class.CONFIG, f"http-{http}", Verdict.HOLD)


@BOTH
def test_a_429_was_not_processed_whatever_its_code(channel: Channel) -> None:
    code = {"whatsapp": 2, "twilio_sms": 20500}[channel.kind]
    found = refused(channel, code, 429, {"retry-after": "7"})
    assert isinstance(found, Failure)
    assert (found.unanswered, found.retry, found.retry_after) == (False, Retry.YES, 7_000_000)


@pytest.mark.parametrize(
    ("http", "code", "follows"),
    [
        (400, 100, Verdict.RETRY),
        (400, 99_999, Verdict.RETRY),
        (503, 2, Verdict.ASK),  # the row says that it may have been taken
        (400, 131050, Verdict.OPTED_OUT),  # the person's wish beats the vendor's hint
    ],
)
def test_is_transient_counts_whatever_the_code(http: int, code: int, follows: Verdict) -> None:
    body = json.dumps({"error": {"code": code, "message": "x", "is_transient": True}}).encode()
    (found,) = whatsapp.parse_response(Response(http, {}, body), [MESSAGE])
    assert isinstance(found, Failure)
    assert verdict(found, tries=1) is follows


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3_000_000),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "9" * 5000}, 86_400_000_000),
        ({"retry-after": "Fri, 22 Nov 2024 10:30:30 GMT", "date": "Fri, 22 Nov 2024 10:30:00 GMT"}, 30_000_000),
        ({"retry-after": "Fri, 22 Nov 2024 10:29:30 GMT", "date": "Fri, 22 Nov 2024 10:30:00 GMT"}, 0),
        ({"retry-after": "Fri, 22 Nov 2099 10:29:30 GMT", "date": "Fri, 22 Nov 2024 10:30:00 GMT"}, 86_400_000_000),
        ({"retry-after": "Fri, 22 Nov 2024 10:30:30 GMT"}, None),
        ({"retry-after": "soon", "date": "Fri, 22 Nov 2024 10:30:00 GMT"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "-5"}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(headers: dict[str, str], wait: int | None) -> None:
    assert retry_after(headers) == wait


@pytest.mark.parametrize("channel", channels().values(), ids=list(channels()))
def test_retry_after_reaches_the_failure(channel: Channel) -> None:
    code = {"whatsapp": 130429, "twilio_sms": 20429, "infobip_sms": None}[channel.kind]
    found = refused(channel, code, 429, {"retry-after": "12"})
    assert isinstance(found, Failure)
    assert found.retry_after == 12_000_000


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (21211, "21211"),
        ("21211", "21211"),
        (0, "0"),
        (True, ""),
        (-1, ""),
        (10**40, ""),
        ("²", ""),
        (None, ""),
        (2.5, ""),
        ({}, ""),
    ],
)
def test_a_code_is_digits_or_none(value: Any, code: str) -> None:
    assert code_of(value) == code


@given(st.text() | st.none() | st.integers())
def test_a_reference_is_an_id_or_none(value: Any) -> None:
    found = reference(value)
    assert found is None or found.hex() == value.lower()
