"""Twilio's stand-in refuses what Twilio refuses, and answers as it answers."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from jsonschema import Draft202012Validator

from campana.core.exchange import Request
from campana.standin.twilio import sign
from campana.standin.vendors import Vendors

CALLBACK = "https://hooks.example.com/hooks/twilio?m=abc123&x=1#rc=2&rp=all"


@pytest.fixture
def vendors(asks) -> Vendors:
    return Vendors(asks.quick())


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"To": ""}, 400, 21604),
        ({"To": "15558675310"}, 400, 21211),
        ({"To": "+1555"}, 400, 21211),
        ({"To": "+1555abc5310"}, 400, 21211),
        ({"To": "+155586753101"}, 400, 21211),
        ({"From": ""}, 400, 21603),
        ({"From": "+15550009999"}, 400, 21606),
        ({"To": "+15017122661"}, 400, 21266),
        ({"From": "", "MessagingServiceSid": "MG" + "f" * 32}, 400, 21701),
        ({"MessagingServiceSid": "nonsense"}, 400, 20001),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"Body": "x" * 1600}, 201, None),
        ({"StatusCallback": "hooks.example.com"}, 400, 21609),
        ({"StatusCallback": "https://a b/"}, 400, 21609),
        ({"MediaUrl": "ftp://x"}, 400, 21620),
        ({"ValidityPeriod": "0"}, 400, 20001),
        ({"ValidityPeriod": "36001"}, 400, 20001),
        ({"ValidityPeriod": "36000"}, 201, None),
        ({"SmartEncoded": "maybe"}, 400, 20001),
        ({"StatusCallBack": "https://a.example"}, 400, 20001),
        ({"SendAt": "2030-01-01T00:00:00Z"}, 400, 20001),
        ({"To": "+525511223344"}, 201, None),
    ],
)
def test_a_request_to_send_is_judged(asks, vendors, change, status, code) -> None:
    reply = vendors.handle(
        asks.sms(**{"to": change.pop("To", "+15558675310"), "body": change.pop("Body", "Hi"), **change}), asks.now
    )
    assert (reply.response.code, asks.told(reply.response).get("code")) == (status, code)
    if code:
        Draft202012Validator(json.loads((asks.data / "twilio/rest-error.schema.json").read_text())).validate(
            asks.told(reply.response)
        )


def test_every_recorded_request_to_send_is_accepted(asks, vendors) -> None:
    samples = sorted((asks.data / "twilio/samples").glob("message-create*.request.form"))
    codes = {
        sample.name: vendors.handle(asks.twilio("POST", "/Messages.json", sample.read_bytes().strip()), asks.now).response.code
        for sample in samples
    }
    assert codes
    assert set(codes.values()) == {201}


@pytest.mark.parametrize("sample", ["message-create-201", "message-create-service-201"])
def test_an_answer_looks_like_the_recorded_one(asks, vendors, sample) -> None:
    recorded = json.loads((asks.data / f"twilio/samples/{sample}.response.json").read_text())
    service = {"From": "", "MessagingServiceSid": asks.service} if "service" in sample else {}
    got = asks.told(vendors.handle(asks.sms(**service), asks.now).response)
    changing = {"date_created", "date_updated", "sid", "subresource_uris", "uri"}
    assert {name: value for name, value in got.items() if name not in changing} == {
        name: value for name, value in recorded.items() if name not in changing
    }
    assert got.keys() == recorded.keys()


@pytest.mark.parametrize(
    ("headers", "path", "status", "code"),
    [
        ((), None, 401, 20003),
        ((("Authorization", "Basic " + base64.b64encode(b"AC0:x").decode()),), None, 401, 20003),
        ((("Authorization", "Bearer stand-in-token"),), None, 401, 20003),
        (None, "/2010-04-01/Accounts/AC" + "f" * 32 + "/Messages.json", 404, 20404),
        (None, "/Messages/SM" + "f" * 32 + ".json", 404, 20404),
        (None, "/Nonsense.json", 404, 20404),
    ],
)
def test_strangers_and_unknown_paths_are_turned_away(asks, vendors, headers, path, status, code) -> None:
    request = asks.twilio("GET", path or ".json")
    request = request if headers is None else replace(request, headers=headers)
    reply = vendors.handle(request, asks.now)
    assert (reply.response.code, asks.told(reply.response)["code"]) == (status, code)


def test_the_account_can_be_asked_for(asks, vendors) -> None:
    assert vendors.handle(asks.twilio("GET", ".json"), asks.now).response.code == 200


def test_messages_are_listed_newest_first_page_by_page(asks, vendors) -> None:
    for place in range(5):
        vendors.handle(asks.sms(body=f"text {place}"), asks.now + place * 1_000_000)
    vendors.handle(asks.sms(to="+15558675311"), asks.now)
    bodies, path = [], "/Messages.json?To=%2B15558675310&From=%2B15017122661&PageSize=2"
    while path:
        page = asks.told(vendors.handle(asks.twilio("GET", path), asks.now).response)
        bodies.append([message["body"] for message in page["messages"]])
        path = page["next_page_uri"]
    assert bodies == [["text 4", "text 3"], ["text 2", "text 1"], ["text 0"]]


def test_a_message_can_be_fetched_and_moves_on(asks, vendors) -> None:
    sid = asks.told(vendors.handle(asks.sms(), asks.now).response)["sid"]
    vendors.due(asks.now + 1)
    got = asks.told(vendors.handle(asks.twilio("GET", f"/Messages/{sid}.json"), asks.now).response)
    assert (got["status"], got["date_sent"] is not None) == ("delivered", True)


def test_a_service_names_its_number_only_when_the_message_has_left(asks, vendors) -> None:
    sid = asks.told(vendors.handle(asks.sms(From="", MessagingServiceSid=asks.service), asks.now).response)["sid"]
    listed = [
        len(asks.told(vendors.handle(asks.twilio("GET", f"/Messages.json?{query}"), asks.now).response)["messages"])
        for query in ("To=%2B15558675310", "To=%2B15558675310&From=%2B15017122661")
    ]
    vendors.due(asks.now + 1)
    later = asks.told(vendors.handle(asks.twilio("GET", f"/Messages/{sid}.json"), asks.now).response)
    assert (listed, later["from"], later["status"]) == ([1, 0], "+15017122661", "delivered")


@pytest.mark.parametrize("word", ["STOP", "stop ", "Unsubscribe", "QUIT"])
def test_stop_blocks_that_sender_until_start(asks, vendors, word) -> None:
    def tries() -> list[int | None]:
        return [
            asks.told(vendors.handle(asks.sms(to=to), asks.now).response).get("code") or 201
            for to in ("+15558675310", "+15558675311")
        ]

    seen = [tries()]
    for text in (word, "please", "START"):
        vendors.twilio.hear("+15558675310", "+15017122661", text, asks.now)
        vendors.due(asks.now)
        seen.append(tries())
    assert seen == [[201, 201], [21610, 201], [21610, 201], [201, 201]]


def test_receipts_are_signed_as_twilio_signs_them(asks, vendors) -> None:
    vendors.handle(asks.sms(StatusCallback=CALLBACK), asks.now)
    hooks = vendors.due(asks.now + 1)
    vendors.done(hooks[0], 200, asks.now + 1)
    hooks += vendors.due(asks.now + 1)
    schema = json.loads((asks.data / "twilio/message-status-callback.schema.json").read_text())
    for hook in hooks:
        form = dict(parse_qsl(hook.request.body.decode(), keep_blank_values=True))
        Draft202012Validator(schema).validate(form)
        signed = CALLBACK.partition("#")[0] + "".join(f"{name}{value}" for name, value in sorted(form.items()))
        expected = base64.b64encode(hmac.new(asks.twilio_config.auth_token.encode(), signed.encode(), "sha1").digest()).decode()
        assert dict(hook.request.headers)["X-Twilio-Signature"] == expected
    assert [dict(parse_qsl(hook.request.body.decode()))["MessageStatus"] for hook in hooks] == ["sent", "delivered"]


def test_signatures_agree_with_the_recorded_ones(asks) -> None:
    vectors = json.loads((asks.data / "vectors/signatures.json").read_text())["twilio"]
    plain = [
        vector
        for vector in vectors
        if vector["valid"] and vector["params"] and len({name for name, _ in vector["params"]}) == len(vector["params"])
    ]
    assert len(plain) > 3
    assert [sign(vector["auth_token"], vector["url_signed"], dict(vector["params"])) for vector in plain] == [
        vector["signature"] for vector in plain
    ]


def test_what_people_write_is_told_as_recorded(asks) -> None:
    vendors = Vendors(asks.quick(twilio_hook="https://hooks.example.com/in"))
    vendors.twilio.hear("+15558675310", "+15017122661", "¿Mañana? Sí", asks.now)
    (hook,) = vendors.due(asks.now)
    form = dict(parse_qsl(hook.request.body.decode(), keep_blank_values=True))
    Draft202012Validator(json.loads((asks.data / "twilio/inbound-message.schema.json").read_text())).validate(form)
    assert (form["From"], form["To"], form["Body"]) == ("+15558675310", "+15017122661", "¿Mañana? Sí")


@pytest.mark.parametrize(
    ("url", "answers", "tries"),
    [
        ("https://a.example/?m=1", [None, None], 2),
        ("https://a.example/?m=1", [500], 1),
        ("https://a.example/?m=1#rc=3&rp=all", [500, 404, None, 500], 4),
        ("https://a.example/?m=1#rc=5&rp=all", [500, 200], 2),
        ("https://a.example/?m=1#rc=0", [None], 1),
    ],
)
def test_a_receipt_is_repeated_as_its_url_asks(asks, url, answers, tries) -> None:
    config = asks.quick()
    one = config.twilio.receipts.model_copy(update={"delivered_share": 0})
    vendors = Vendors(config.model_copy(update={"twilio": config.twilio.model_copy(update={"receipts": one})}))
    vendors.handle(asks.sms(StatusCallback=url), asks.now)
    now, waits = asks.now, []
    for answer in answers:
        (hook,) = vendors.due(now)
        vendors.done(hook, answer, now)
        upcoming = vendors.next_due()
        waits.append(upcoming - now if upcoming else 0)
        now = upcoming or now
    assert vendors.next_due() is None
    assert vendors.counts()["hook"] + vendors.counts()["hook_given_up"] == 1
    assert waits[: tries - 1] == sorted(waits[: tries - 1])
    assert all(waits[: tries - 1])


def test_too_many_requests_are_told_so(asks) -> None:
    config = asks.quick()
    config = config.model_copy(update={"twilio": config.twilio.model_copy(update={"rate": 10})})
    vendors = Vendors(config)
    codes = [vendors.handle(asks.sms(to=f"+1555867{place:04}"), asks.now).response.code for place in range(30)]
    later = vendors.handle(asks.sms(), asks.now + 1_000_000).response.code
    assert (codes.count(201), codes.count(429), later) == (20, 10, 201)


def test_other_content_types_are_refused(asks, vendors) -> None:
    request = asks.sms()
    wrong = Request(request.method, request.url, (request.headers[0], ("Content-Type", "application/json")), b"{}")
    assert vendors.handle(wrong, asks.now).response.code == 400
