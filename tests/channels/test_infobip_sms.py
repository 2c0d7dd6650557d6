"""Infobip SMS: every sample of the vendor's words, and what we make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from campana.channels import infobip_sms
from campana.channels.contract import Content, UnfitContent, form_of
from campana.core.exchange import Response
from campana.core.failure import Class, Failure, Retry, Verdict, verdict
from campana.core.ids import Id
from campana.core.message import Accepted, Lost, Outgoing, Result, Unsent

DATA = Path(__file__).parents[1] / "data" / "infobip"
SAMPLES = DATA / "samples"
FACTS: dict[str, Any] = {"api_key": "k3y", "base_url": "https://x.api.infobip.com", "webhook_secret": "s3cret"}
SETTINGS = infobip_sms.Settings(**FACTS)
ANA, EVA = bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7e"), bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7f")
HOOKS = "https://hooks.example.com/hooks/infobip"
DONE = 1_732_271_404_512_000  # 2024-11-22T10:30:04.512+0000
PERSON, OTHER, NUMBER = "+525500998877", "+525511223344", "+525511110000"
THEIRS = {"cmp42-ct7-s1-a1": ANA.hex(), "cmp42-ct8-s1-a1": EVA.hex()}  # a sample's ids, and ours in their place


def known(code: str) -> Failure:
    found = infobip_sms.CHANNEL.failure_of(code)
    assert found is not None
    return found


def refusal(code: int, words: str) -> Failure:
    return Failure(f"http-{code}", words, Class.CONFIG, fallback=False)


SLOW = Failure("http-429", "Too many requests", Class.TRANSIENT, fallback=True, retry=Retry.YES, throttled=True)
TEXT = Failure("http-400", "messages[0].content.text must not be null", Class.CONFIG, fallback=False, of_step=True)
ANSWERS: dict[str, tuple[int, list[Result]]] = {
    "send-v3": (200, [Accepted(ANA.hex()), Accepted(EVA.hex())]),
    "send-v3-partly-rejected": (200, [Accepted(ANA.hex()), known("status-52")]),
    "send-v3-duplicate-id": (200, [Accepted(ANA.hex())]),
    "error-400": (400, [refusal(400, "Bad Request; messages[0].destinations must not be empty")] * 2),
    "error-400-apierror": (400, [TEXT, TEXT]),
    "error-401": (401, [refusal(401, "Invalid login details")] * 2),
    "error-429": (429, [SLOW, SLOW]),
}

ELSEWHERE = {  # read below, or by test_infobip_asking.py
    "send-v3.request.json",
    "send-v3-minimal.request.json",
    "logs-v3.response.json",
    "preview.response.json",
}


def sample(name: str) -> bytes:
    body = (SAMPLES / f"{name}.json").read_text(encoding="utf-8")
    for theirs, ours in THEIRS.items():
        body = body.replace(theirs, ours)
    return body.encode()


def outgoing(ours: Id = ANA, to: str = PERSON, text: str = "Hola", sender: str = "InfoSMS", callback: str = HOOKS) -> Outgoing:
    return Outgoing(ours, sender, to, {"text": text}, callback, DONE)


BOTH = [outgoing(), outgoing(EVA, OTHER)]


def answered(code: int, body: bytes, messages: list[Outgoing] = BOTH) -> list[Result]:
    return infobip_sms.parse_response(Response(code, {}, body), messages)


def test_no_other_sample_is_left_out() -> None:
    named = {f"{name}.response.json" for name in ANSWERS} | ELSEWHERE
    theirs = {path.name for path in SAMPLES.iterdir() if not path.name.startswith(("dlr-", "inbound", "reports-"))}
    assert theirs == named


# --- sending ----------------------------------------------------------------------------------------------------------------


def body_of(messages: list[Outgoing], **more: Any) -> dict[str, Any]:
    request = infobip_sms.build_request(infobip_sms.Settings(**FACTS, **more), messages)
    found: dict[str, Any] = json.loads(request.body)
    return found


def test_a_request_is_that_of_the_sample() -> None:
    (expected,) = json.loads(sample("send-v3.request"))["messages"]
    text, address = expected["content"]["text"], expected["webhooks"]["delivery"]["url"]
    messages = [outgoing(text=text, callback=address), outgoing(EVA, OTHER, text, callback=address)]
    (entry,) = body_of(messages, transliteration="NON_UNICODE", language="ES")["messages"]
    assert {name: entry[name] for name in ("sender", "destinations", "content")} == {
        name: expected[name] for name in ("sender", "destinations", "content")
    }
    assert entry["webhooks"] == {"delivery": {"url": address}, "contentType": "application/json"}


def test_the_smallest_request() -> None:
    expected = json.loads(sample("send-v3-minimal.request"))
    expected["messages"][0]["destinations"][0]["messageId"] = ANA.hex()
    assert body_of([outgoing(callback="")]) == expected


def test_a_request_goes_to_the_accounts_own_address_with_its_key() -> None:
    request = infobip_sms.build_request(SETTINGS, BOTH)
    assert (request.method, request.url) == ("POST", "https://x.api.infobip.com/sms/3/messages")
    assert dict(request.headers)["Authorization"] == "App k3y"


def test_equal_texts_share_an_entry_and_others_have_their_own() -> None:
    people = [
        outgoing(bytes([1] * 16), "+5255000001", "Hola"),
        outgoing(bytes([2] * 16), "+5255000002", "Hi"),
        outgoing(bytes([3] * 16), "+5255000003", "Hola"),
        outgoing(bytes([4] * 16), "+5255000004", "Hola", sender=NUMBER),
    ]
    found = [
        (entry["sender"], entry["content"]["text"], [one["to"] for one in entry["destinations"]])
        for entry in body_of(people)["messages"]
    ]
    assert found == [
        ("InfoSMS", "Hola", ["5255000001", "5255000003"]),
        ("InfoSMS", "Hi", ["5255000002"]),
        ("525511110000", "Hola", ["5255000004"]),
    ]


def test_receipts_may_be_left_to_the_subscription() -> None:
    assert "webhooks" not in body_of(BOTH, receipts_to="subscription")["messages"][0]


def test_a_form_offers_the_words_that_a_setting_takes() -> None:
    offered = {field.name: field.choices for field in form_of(infobip_sms.CHANNEL) if field.choices}
    assert offered["webhook_security"] == ("basic", "hmac_timestamp", "hmac_header")
    assert offered["language"] == ("ES", "PT", "TR", "AUTODETECT")
    assert set(offered) == {"webhook_security", "webhook_algorithm", "receipts_to", "transliteration", "language"}


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, (code, _) in ANSWERS.items()])
def test_infobip_answers(name: str, code: int) -> None:
    expected = ANSWERS[name][1]
    assert answered(code, sample(f"{name}.response"), BOTH[: len(expected)]) == expected


def test_answers_keep_no_order() -> None:
    body = json.loads(sample("send-v3-partly-rejected.response"))
    body["messages"].reverse()
    assert answered(200, json.dumps(body).encode()) == ANSWERS["send-v3-partly-rejected"][1]


def test_whom_an_answer_leaves_out_may_have_been_accepted() -> None:
    first, second = answered(200, sample("send-v3-duplicate-id.response"))
    assert first == Accepted(ANA.hex())
    assert isinstance(second, Lost)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"messages": []}',
        b'{"messages": [{"messageId": "0190a1b2c3d4e5f60718293a4b5c6d7e"}]}',
        b'{"messages": [{"messageId": "0190a1b2c3d4e5f60718293a4b5c6d7e", "status": {"groupName": "EATEN", "id": 1}}]}',
    ],
)
def test_a_200_that_says_nothing_is_a_lost_answer(body: bytes) -> None:
    (found,) = answered(200, body, [outgoing()])
    assert isinstance(found, Lost)


@pytest.mark.parametrize("http", [408, 500, 502, 503, 504])
def test_a_5xx_may_have_been_taken(http: int) -> None:
    assert all(isinstance(one, Lost) for one in answered(http, sample("error-400-apierror.response")))


@pytest.mark.parametrize("http", [401, 403, 404])
@pytest.mark.parametrize("name", ["error-401", "error-400-apierror"])
def test_a_refused_account_stops_the_sender(http: int, name: str) -> None:
    for found in answered(http, sample(f"{name}.response")):
        assert isinstance(found, Failure)
        assert verdict(found, tries=1) is Verdict.HOLD
        assert not found.of_step


def refused_at(*places: str, older: bool = False) -> list[Result]:
    """Four people: the first, second and fourth share a text."""
    people = [outgoing(bytes([n] * 16), f"+525500000{n}", "B" if n == 2 else "A") for n in range(4)]
    if older:
        flaws: dict[str, Any] = {"validationErrors": {place: ["is wrong"] for place in places}}
        body: dict[str, Any] = {
            "requestError": {"serviceException": {"messageId": "BAD_REQUEST", "text": "Bad Request", **flaws}}
        }
    else:
        body = {"errorCode": "E400", "violations": [{"property": place, "violation": "is wrong"} for place in places]}
    return answered(400, json.dumps(body).encode(), people)


@pytest.mark.parametrize("older", [False, True])
def test_a_wrong_number_is_one_persons_and_the_others_go_again(older: bool) -> None:
    found = refused_at("messages[0].destinations[2].to", older=older)
    assert [type(one) for one in found] == [Unsent, Unsent, Unsent, Failure]
    assert found[3] == Failure("http-400", "messages[0].destinations[2].to is wrong", Class.PERMANENT, fallback=True)


def test_a_wrong_text_stops_the_step_of_those_who_get_it() -> None:
    found = refused_at("messages[0].content.text", "messages[1].destinations[0].to")
    verdicts = [verdict(one, 1) for one in found if isinstance(one, Failure)]
    assert verdicts == [Verdict.HOLD, Verdict.HOLD, Verdict.NEXT, Verdict.HOLD]
    assert [one.of_step for one in found if isinstance(one, Failure)] == [True, True, False, True]


@pytest.mark.parametrize(
    "places",
    [
        ("messages[0].sender",),
        ("options.schedule",),
        ("messages[0].destinations[0].to", "messages[0].content.language"),
        ("messages[9].destinations[0].to",),
        ("messages[0].destinations[9].to",),
        ("",),
        (),
    ],
)
def test_what_is_wrong_elsewhere_is_our_own_trouble(places: tuple[str, ...]) -> None:
    found = refused_at(*places)
    assert {verdict(one, 1) for one in found if isinstance(one, Failure)} == {Verdict.HOLD}
    assert len([one for one in found if isinstance(one, Failure) and not one.of_step]) == 4


def test_a_429_asks_to_wait() -> None:
    found = infobip_sms.parse_response(Response(429, {"retry-after": "7"}, sample("error-429.response")), BOTH)
    assert found == [replace(SLOW, retry_after=7_000_000)] * 2


def test_a_text_weighs_its_segments() -> None:
    rendered = infobip_sms.compile_content(Content(text="Hola {{name}}"), None)({"name": "á" * 71})
    assert (rendered.content, rendered.segments) == ({"text": "Hola " + "á" * 71}, 2)
    with pytest.raises(UnfitContent, match="Infobip SMS sends texts, not templates"):
        infobip_sms.compile_content(Content(template="x", language="es"), None)


def test_the_preview_counts_as_we_do() -> None:
    told_parts = json.loads(sample("preview.response"))
    rendered = infobip_sms.compile_content(Content(text=told_parts["originalText"]), None)({})
    assert rendered.segments == told_parts["previews"][0]["messageCount"]
