"""Infobip's stand-in refuses what Infobip refuses, answers as it answers, and reports as it reports."""

from __future__ import annotations

import base64
import csv
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from campana.standin.balance import Person, balance
from campana.standin.faults import Faults
from campana.standin.infobip_proof import proof
from campana.standin.infobip_words import errors, statuses
from campana.standin.server import Standin
from campana.standin.vendors import Vendors

HOOK = "https://hooks.example.com/hooks/infobip"
ANA, BEN = "525500998877", "525511223344"
MINUTE = 60_000_000
HOUR = 60 * MINUTE


def shaped(asks, name: str, body: Any) -> Any:
    """The same, when it has the published shape of that name."""
    shapes = json.loads((asks.data / "infobip/shapes.schema.json").read_text())
    Draft202012Validator({"$ref": f"#/$defs/{name}", **shapes}).validate(body)
    return body


def sample(asks, name: str) -> Any:
    return json.loads((asks.data / f"infobip/samples/{name}.json").read_text())


def made(asks, faults: dict | None = None, **account: Any) -> Vendors:
    """A stand-in with some changes to its account."""
    config = asks.quick(infobip_hook=HOOK, faults=Faults.model_validate(faults or {}))
    return Vendors(config.model_copy(update={"infobip": config.infobip.model_copy(update=account)}))


@pytest.fixture
def vendors(asks) -> Vendors:
    return made(asks)


def answer(asks, vendors: Vendors, request, now: int | None = None) -> Any:
    """The answer to a request that must get one."""
    reply = vendors.handle(request, asks.now if now is None else now)
    assert reply.response.code == 200, reply.response.body
    return asks.told(reply.response)


def ids(told: Any) -> list[int]:
    """The status of each recipient."""
    return [one["status"]["id"] for one in told["messages"]]


def all_told(vendors: Vendors, now: int) -> list[Any]:
    """Everything that is told until the end, each answered 200."""
    told = []
    while (at := vendors.next_due()) is not None:
        now = max(at, now)
        for hook in vendors.due(now):
            told.append(json.loads(hook.request.body))
            vendors.done(hook, 200, now)
    return told


# Sending


def one(**change: Any) -> dict[str, Any]:
    """A request to send to one person, with changes; None takes a field of the message away."""
    message = {"sender": "447860099299", "destinations": [{"to": ANA}], "content": {"text": "Hi"}, **change}
    return {"messages": [{name: value for name, value in message.items() if value is not None}]}


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        (one(content=None), "messages[0].content", "must not be null"),
        (one(content={}), "messages[0].content.text", "must not be null"),
        (one(content={"text": ""}), "messages[0].content.text", "must not be empty"),
        (one(content={"text": 7}), "messages[0].content.text", None),
        (one(content={"hex": "48 65"}), "messages[0].content.hex", None),
        (one(destinations=None), "messages[0].destinations", "must not be null"),
        (one(destinations=[]), "messages[0].destinations", "must not be empty"),
        (one(destinations=[{}]), "messages[0].destinations[0].to", "must not be null"),
        (one(destinations=[{"to": "5" * 65}]), "messages[0].destinations[0].to", "size must be between 0 and 64"),
        (one(destinations=[{"to": ANA, "messageId": "x" * 201}]), "messages[0].destinations[0].messageId", None),
        (one(**{"from": "InfoSMS"}), "messages[0].from", "is not known"),
        (one(webhooks={"delivery": {"url": "hooks"}}), "messages[0].webhooks.delivery.url", "must be a valid URL"),
        (one(webhooks={"callbackData": "x" * 4001}), "messages[0].webhooks.callbackData", "size must be between 0 and 4000"),
        (one(webhooks={"contentType": "application/xml"}), "messages[0].webhooks.contentType", None),
        (one(options={"validityPeriod": {"amount": 0}}), "messages[0].options.validityPeriod.amount", None),
        (one(options={"validityPeriod": {"amount": 1, "timeUnit": "DAYS"}}), "messages[0].options.validityPeriod.timeUnit", None),
        (one(options={"campaignReferenceId": "x" * 256}), "messages[0].options.campaignReferenceId", None),
        (one(options={"deliveryTimeWindow": {"days": []}}), "messages[0].options.deliveryTimeWindow", None),
        (one(content={"text": "x", "transliteration": "KLINGON"}), "messages[0].content.transliteration", None),
        (one(content={"text": "x", "language": {"languageCode": "DE"}}), "messages[0].content.language.languageCode", None),
        (one() | {"options": {"schedule": {"bulkId": "x" * 101}}}, "options.schedule.bulkId", "size must be between 0 and 100"),
        (one() | {"options": {"schedule": {"sendAt": "2030-01-01T00:00:00.000+0000"}}}, "options.schedule.sendAt", None),
        (one(destinations=[{"to": ANA}] * 101), "messages", None),
        ({"messages": []}, "messages", "must not be empty"),
        ({}, "messages", "must not be null"),
        ([], "request", None),
    ],
)
@pytest.mark.parametrize("envelope", ["ApiError", "ApiException"])
def test_a_request_that_breaks_the_shape_is_refused_as_a_whole(asks, body, where, what, envelope) -> None:
    vendors = made(asks, envelope=envelope)
    reply = vendors.handle(asks.infobip("POST", "/sms/3/messages", body), asks.now)
    assert reply.response.code == 400
    told = shaped(asks, envelope, asks.told(reply.response))
    if envelope == "ApiError":
        found = {each["property"]: each["violation"] for each in told["violations"]}
        assert told.keys() == sample(asks, "error-400-apierror.response").keys()
    else:
        exception = told["requestError"]["serviceException"]
        found = {name: words[0] for name, words in exception["validationErrors"].items()}
        assert exception.keys() == sample(asks, "error-400.response")["requestError"]["serviceException"].keys()
    assert list(found) == [where]
    assert what is None or found[where] == what
    assert vendors.counts()["accepted"] == 0


def test_a_body_that_is_no_json_or_of_another_type_is_refused(asks, vendors) -> None:
    request = asks.batch(ANA)
    for wrong in (
        replace(request, body=b"{"),
        replace(request, body=b"\xff"),
        replace(request, body=b'{"messages":' + b"[" * 100_000),
        replace(request, body=b'{"messages":[{"destinations":[7,{"to":[]}]},3],"options":{"x":' + b'{"a":' * 100_000),
        replace(request, body=b'{"messages":[{"options":{"regional":' + b'{"a":' * 100_000),
        replace(request, headers=(request.headers[0], ("Content-Type", "text/plain"))),
    ):
        assert vendors.handle(wrong, asks.now).response.code == 400


@pytest.mark.parametrize(
    ("to", "change", "status"),
    [
        (ANA, {}, 26),
        ("5255", {}, 52),
        ("+" + ANA, {}, 52),
        ("0" + ANA, {}, 52),
        ("12345678901234567", {}, 52),
        ("", {}, 51),
        (ANA, {"sender": "Stranger"}, 11),
        (ANA, {"sender": "InfoSMS"}, 26),
        (ANA, {"sender": None}, 26),
        (ANA, {"content": {"text": "x" * 307}}, 25),
        (ANA, {"content": {"text": "x" * 306}}, 26),
    ],
)
def test_each_recipient_has_a_status_inside_a_200(asks, to, change, status) -> None:
    vendors = made(asks, most_parts=2)
    body = one(destinations=[{"to": to, "messageId": "m1"}, {"to": BEN, "messageId": "m2"}], **change)
    told = shaped(asks, "SmsResponseEnvelope", answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", body)))
    both = change.get("sender") == "Stranger" or status == 25  # these befall the whole message
    assert ids(told) == [status, status if both else 26]
    assert ("bulkId" in told) == (not both)
    kinds = [line.kind for line in vendors.ledger.lines if line.kind in ("accepted", "refused")]
    assert kinds == ["accepted" if each == 26 else "refused" for each in ids(told)]


def test_every_recorded_request_is_accepted_and_answered_as_recorded(asks) -> None:
    vendors = made(asks, senders=("525511110000", "InfoSMS"))
    for name in ("send-v3", "send-v3-minimal"):
        request = shaped(asks, "SmsRequestEnvelope", sample(asks, f"{name}.request"))
        told = answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", request))
        assert set(ids(told)) == {26}
        if name == "send-v3":
            assert told == sample(asks, "send-v3.response")


def test_a_partly_rejected_request_is_answered_as_recorded(asks, vendors) -> None:
    request = asks.batch(f"{ANA}:cmp42-ct7-s1-a1", "5255:cmp42-ct8-s1-a1", bulk="cmp42-s1-b1", includeSmsCountInResponse=True)
    assert answer(asks, vendors, request) == sample(asks, "send-v3-partly-rejected.response")


def test_a_message_id_is_taken_once(asks, vendors) -> None:
    first = answer(asks, vendors, asks.batch(f"{ANA}:cmp42-ct7-s1-a1", f"{BEN}:m2", f"{BEN}:m2"))
    again = answer(asks, vendors, asks.batch(f"{ANA}:cmp42-ct7-s1-a1"))
    assert (ids(first), again) == ([26, 26, 23], sample(asks, "send-v3-duplicate-id.response"))
    reborn = Vendors(vendors.config)
    reborn.open(list(vendors.ledger.lines), asks.now)
    assert ids(answer(asks, reborn, asks.batch(f"{ANA}:cmp42-ct7-s1-a1"))) == [23]
    assert balance([vendors.ledger.lines], [Person("+" + ANA), Person("+" + BEN)]).twice == 0


def test_a_refused_recipient_may_be_tried_again_with_the_same_id(asks) -> None:
    vendors = made(asks, {"rules": [{"vendor": "infobip", "status": 20, "times": 1}]})
    assert [ids(answer(asks, vendors, asks.batch(f"{ANA}:m1"))) for _ in range(2)] == [[20], [26]]


def test_without_an_id_the_vendor_makes_one(asks, vendors) -> None:
    told = answer(asks, vendors, asks.batch(ANA, BEN))
    assert len({one["messageId"] for one in told["messages"]} | {told["bulkId"]}) == 3


@pytest.mark.parametrize(
    ("method", "path", "newer"),
    [("POST", "/sms/3/messages", True), ("GET", "/sms/3/logs", True), ("GET", "/account/1/balance", False)],
)
@pytest.mark.parametrize("authorization", [None, "App nonsense", "Basic eDp5", "Bearer stand-in-api-key"])
def test_strangers_are_turned_away(asks, vendors, method, path, newer, authorization) -> None:
    headers = (("Authorization", authorization),) if authorization else ()
    reply = vendors.handle(replace(asks.infobip(method, path, {}), headers=headers), asks.now)
    told = asks.told(reply.response)
    assert reply.response.code == 401
    if newer:
        assert shaped(asks, "ApiError", told)["errorCode"] == "E401"
    else:
        assert told == sample(asks, "error-401.response")


def test_unknown_paths_are_not_found(asks, vendors) -> None:
    for method, path in (("GET", "/sms/3/messages"), ("POST", "/sms/2/text/advanced"), ("GET", "/sms/1/nonsense")):
        assert vendors.handle(asks.infobip(method, path), asks.now).response.code == 404


def test_too_many_requests_are_told_so(asks) -> None:
    vendors = made(asks, rate=10, envelope="ApiException")
    replies = [vendors.handle(asks.batch(ANA), asks.now).response for _ in range(30)]
    assert [reply.code for reply in replies] == [200] * 20 + [429] * 10
    assert asks.told(replies[-1]) == sample(asks, "error-429.response")


def test_the_balance_proves_the_key(asks, vendors) -> None:
    assert answer(asks, vendors, asks.infobip("GET", "/account/1/balance")) == {"balance": 1000.0, "currency": "EUR"}


# Faults


@pytest.mark.parametrize(
    ("fault", "code", "ends", "accepted"),
    [
        ("throttled", 429, ("", False), 0),
        ("broken", 500, ("", False), 0),
        ("broken_after", 502, ("", False), 2),
        ("cut_before", None, ("before", False), 0),
        ("cut_after", None, ("after", False), 2),
        ("silent", None, ("", True), 2),
    ],
)
def test_a_fault_of_one_recipient_strikes_the_request(asks, fault, code, ends, accepted) -> None:
    vendors = made(asks, {"rules": [{"number": "+" + BEN, "fault": fault, "times": 1}], "retry_after": 7})
    request = asks.batch(f"{ANA}:m1", f"{BEN}:m2")
    reply = vendors.handle(request, asks.now)
    assert (reply.cut or "", reply.hang > 0) == ends
    assert code in (None, reply.response.code)
    assert (reply.response.headers.get("retry-after") == "7") == (fault == "throttled")
    lines = [(line.kind, line.ref, line.fault) for line in vendors.ledger.lines]
    assert lines == [(kind, ref, fault) for kind in ("fault", "accepted")[: 1 + accepted // 2] for ref in ("m1", "m2")]
    assert ids(answer(asks, vendors, request)) == ([23, 23] if accepted else [26, 26])
    found = balance([vendors.ledger.lines], [Person("+" + ANA), Person("+" + BEN)], ["m1", "m2"])
    assert (found.lost, found.twice, found.unexplained) == (0, 0, [])
    assert vendors.counts()[f"infobip.{fault}"] == 2


def test_odds_are_of_the_request_and_not_of_each_recipient(asks) -> None:
    vendors = made(asks, {"odds": {"throttled": 0.2}})
    codes = [
        vendors.handle(asks.batch(*[f"1555{place:03}{one:04}" for one in range(50)]), asks.now).response.code
        for place in range(200)
    ]
    assert 20 < codes.count(429) < 65
    assert codes.count(200) + codes.count(429) == 200


def test_latency_delays_the_answer(asks) -> None:
    vendors = made(asks, {"latency": [0.1, 0.3]})
    assert 100_000 <= vendors.handle(asks.batch(ANA), asks.now).delay <= 300_000


@pytest.mark.parametrize(
    ("rule", "in_answer", "in_report"),
    [
        ({"status": 20}, 20, None),
        ({"status": 12}, 12, None),
        ({"code": 20, "told": "answer"}, 20, None),
        ({"status": 20, "told": "receipt"}, 26, (20, 0)),
        ({"code": 27}, 26, (9, 27)),
        ({"code": 1}, 26, (9, 1)),
        ({"code": 603}, 26, (14, 603)),
        ({"code": 4101}, 26, (15, 4101)),
        ({"status": 15}, 26, (15, 0)),
        ({"status": 29}, 26, (29, 0)),
        ({"status": 9, "code": 256}, 26, (9, 256)),
        ({"status": 31, "share": 1}, 26, (31, 0)),
        ({"status": 31, "suffix": "77"}, 26, (31, 0)),
        ({"status": 31, "suffix": "78"}, 26, (5, 0)),
    ],
)
def test_chosen_statuses_and_errors_befall_chosen_numbers(asks, rule, in_answer, in_report) -> None:
    vendors = made(asks, {"rules": [{"vendor": "infobip", **rule}]})
    assert ids(answer(asks, vendors, asks.batch(f"{ANA}:m1", url=HOOK))) == [in_answer]
    reports = [report for told in all_told(vendors, asks.now) for report in told["results"]]
    assert [(each["status"]["id"], each["error"]["id"]) for each in reports] == ([in_report] if in_report else [])


@pytest.mark.parametrize("rule", [{"status": 20}, {"status": 5, "vendor": "infobip"}, {"status": 20, "fault": "broken"}])
def test_a_rule_with_a_status_that_makes_no_sense_is_refused(rule) -> None:
    with pytest.raises(ValueError, match=r"status|either"):
        Faults.model_validate({"rules": [rule]})


def test_the_tables_are_those_of_infobip(asks) -> None:
    for table, known in (("statuses", statuses()), ("errors", errors())):
        rows = list(csv.DictReader((asks.data / f"infobip/{table}.csv").open(encoding="utf-8")))
        assert {int(row["id"]) for row in rows} == set(known)
        for row in rows:
            found = known[int(row["id"])]
            assert (found.name, found.permanent) == (row["name"], row.get("permanent_flag") == "true")


def test_every_status_and_error_of_a_failure_can_be_had(asks) -> None:
    rules = [{"status": number, "told": "receipt"} for number in statuses() if number not in (2, 3, 5, 7, 26)]
    rules += [{"code": number} for number in errors() if number]
    for rule in rules:
        vendors = made(asks, {"rules": [{"vendor": "infobip", **rule}]})
        answer(asks, vendors, asks.batch(f"{ANA}:m1", url=HOOK))
        (told,) = [shaped(asks, "DeliveryReports", each)["results"][0] for each in all_told(vendors, asks.now)]
        name, number = next(iter(rule.items()))
        assert told["status" if name == "status" else "error"]["id"] == number
        assert vendors.counts()["failed"] == 1


# Delivery reports


@pytest.mark.parametrize(
    ("name", "rule", "account"),
    [
        ("dlr-v3-delivered", None, {}),
        ("dlr-v1-delivered", None, {"report_version": 1}),
        ("dlr-v3-delivered-to-operator", None, {"silent": True}),
        ("dlr-v3-undeliverable-absent", {"code": 27}, {}),
        ("dlr-v3-undeliverable-unknown-subscriber", {"code": 1}, {}),
        ("dlr-v3-rejected-optout", {"code": 603}, {}),
        ("dlr-v3-pending-intermediate", None, {"intermediate": True}),
    ],
)
def test_a_report_is_told_as_recorded(asks, name, rule, account) -> None:
    recorded = sample(asks, name)
    silent, intermediate = account.pop("silent", False), account.pop("intermediate", False)
    vendors = made(asks, {"rules": [{"vendor": "infobip", **rule}]} if rule else {}, senders=("InfoSMS",), **account)
    if silent:
        receipts = vendors.config.infobip.receipts.model_copy(update={"delivered_share": 0})
        vendors = made(asks, senders=("InfoSMS",), receipts=receipts)
    body = sample(asks, "send-v3.request")
    body["messages"][0]["webhooks"]["delivery"] = {"url": HOOK, "intermediateReport": intermediate}
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", body))
    told = all_told(vendors, asks.now)
    assert len(told) == (2 if intermediate else 1)
    shape = "SMSReportResponse" if account.get("report_version") == 1 else "DeliveryReports"
    first = shaped(asks, shape, told[0])["results"][0]
    changing = {"sentAt": None, "doneAt": None}
    assert {**first, **changing} == {**recorded["results"][0], **changing}
    assert first["doneAt"] == "2025-06-15T15:06:40.000+0000"


def test_reports_leave_in_batches_and_those_of_one_message_in_order(asks) -> None:
    vendors = made(asks, report_gap=1.0)
    body = one(webhooks={"delivery": {"url": HOOK, "intermediateReport": True}})
    for place in range(3):
        body["messages"][0]["destinations"] = [{"to": f"1555{place}{n:06}", "messageId": f"{place}-{n}"} for n in range(90)]
        answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", body))
    assert vendors.next_due() == asks.now  # it is a whole second
    told = [shaped(asks, "DeliveryReports", each)["results"] for each in all_told(vendors, asks.now)]
    assert [len(each) for each in told] == [100, 100, 70] * 2
    order: dict[str, list[int]] = {}
    for report in [report for each in told for report in each]:
        order.setdefault(report["messageId"], []).append(report["status"]["id"])
    assert set(map(tuple, order.values())) == {(7, 5)}
    assert len(order) == 270
    counts = vendors.counts()
    assert (counts["hook"], counts["delivered"], counts["pending"]) == (540, 270, 0)


def test_reports_for_two_addresses_leave_apart(asks, vendors) -> None:
    for place in range(6):
        answer(asks, vendors, asks.batch(f"1555867531{place}:m{place}", url=f"{HOOK}/{place % 2}"))
    hooks = vendors.due(asks.now)
    assert [(hook.request.url[-1], len(hook.parts)) for hook in hooks] == [("0", 3), ("1", 3)]


def test_without_an_address_or_when_unwanted_nothing_is_pushed(asks, vendors) -> None:
    answer(asks, vendors, asks.batch(ANA))
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", one(webhooks={"delivery": {"url": HOOK, "notify": False}})))
    assert all_told(vendors, asks.now) == []
    assert vendors.counts()["delivered"] == 2


@pytest.mark.parametrize(
    ("odds", "told"),
    [
        ({"doubled": 1}, [7, 7, 5, 5]),
        ({"reordered": 1}, [5, 7]),
        ({"missing": 1}, []),
        ({"late": 1, "late_by": 30}, [7, 5]),
    ],
)
def test_reports_come_in_strange_ways(asks, odds, told) -> None:
    receipts = asks.quick().infobip.receipts.model_copy(update={"delivered": (1.0, 1.0)})
    vendors = made(asks, {"receipts": odds}, receipts=receipts)
    hooks = {"delivery": {"url": HOOK, "intermediateReport": True}}
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", one(webhooks=hooks)))
    start = vendors.next_due()
    found = [report["status"]["id"] for each in all_told(vendors, asks.now) for report in each["results"]]
    assert (found, vendors.counts()["delivered"]) == (told, 1)
    assert (start == asks.now + 30_000_000) == ("late" in odds)


def test_a_report_nobody_takes_comes_again_ever_more_seldom(asks, vendors) -> None:
    answer(asks, vendors, asks.batch(f"{ANA}:m1", f"{BEN}:m2", url=HOOK))
    now, waits, bodies = asks.now, [], set()
    while (at := vendors.next_due()) is not None:
        waits.append(at - now)
        now = at
        (hook,) = vendors.due(now)
        bodies.add(hook.request.body)
        vendors.done(hook, 503, now)
    assert [wait // MINUTE for wait in waits] == [0, *(1 + repeat * repeat for repeat in range(20))]
    assert (now - asks.now, len(bodies)) == (41 * HOUR + HOUR // 2, 1)
    assert (vendors.counts()["hook_given_up"], vendors.counts()["hook_repeated"]) == (2, 40)


def test_what_was_not_heard_is_told_again_after_a_kill(asks, vendors) -> None:
    answer(asks, vendors, asks.batch(f"{ANA}:m1", f"{BEN}:m2", url=HOOK))
    (hook,) = vendors.due(asks.now)
    reborn = Vendors(vendors.config)
    reborn.open(list(vendors.ledger.lines), asks.now)
    (again,) = reborn.due(asks.now)
    assert hook.request == again.request
    reborn.done(again, 200, asks.now)
    third = Vendors(vendors.config)
    third.open(list(vendors.ledger.lines) + list(reborn.ledger.lines), asks.now)
    assert all_told(third, asks.now) == []


@pytest.mark.parametrize("security", ["none", "basic", "hmac_timestamp", "hmac_header"])
@pytest.mark.parametrize("told", ["report", "inbound"])
def test_webhooks_are_proved_as_the_account_wants(asks, security, told) -> None:
    vendors = made(asks, security=security, signature_header="X-Mine")
    if told == "report":
        answer(asks, vendors, asks.batch(ANA, url=HOOK))
    else:
        vendors.infobip.hear("+" + ANA, "447860099299", "¿Mañana? Sí", asks.now)
    (hook,) = vendors.due(asks.now)
    headers, account = dict(hook.request.headers), asks.infobip_config
    at, key = str(asks.now // 1000), account.signing_key.encode()
    assert {name: value for name, value in headers.items() if name not in ("Content-Type", "User-Agent")} == {
        "none": {},
        "basic": {"Authorization": "Basic " + base64.b64encode(f"{account.username}:{account.password}".encode()).decode()},
        "hmac_timestamp": {
            "X-Ib-Exchange-Req-Timestamp": at,
            "X-Ib-Exchange-Req-Signature": hmac.new(key, at.encode() + hook.request.body, "sha256").hexdigest(),
        },
        "hmac_header": {"X-Mine": hmac.new(key, hook.request.body, "sha256").hexdigest()},
    }[security]


def test_signatures_agree_with_the_recorded_ones(asks) -> None:
    vectors = [one for one in json.loads((asks.data / "vectors/signatures.json").read_text())["infobip"] if one["valid"]]
    assert len(vectors) == 2
    for vector in vectors:
        at = vector["headers"].get("X-Ib-Exchange-Req-Timestamp")
        update = {"security": "hmac_timestamp" if at else "hmac_header", "signing_key": vector["key"]}
        account = asks.infobip_config.model_copy(update=update)
        assert dict(proof(account, vector["raw_body"].encode(), int(at or 0))) == vector["headers"]


# Messages of people


@pytest.mark.parametrize("name", ["inbound", "inbound-stop", "inbound-baja", "inbound-keyword", "inbound-alphanumeric-sender"])
def test_what_people_write_is_told_as_recorded(asks, name) -> None:
    vendors = made(asks, senders=("525511110000",), keywords=("QUIZ",))
    recorded = sample(asks, name)
    (said,) = recorded["results"]
    person = "+" + said["from"] if said["from"].isdigit() else said["from"]
    vendors.infobip.hear(person, said["to"], said["text"], asks.now)
    (told,) = [shaped(asks, "SmsMoReportResponse", each) for each in all_told(vendors, asks.now)]
    del said["callbackData"]  # of an account's own forwarding rule
    changing = {"messageId": None, "receivedAt": None}
    assert {**told["results"][0], **changing} == {**said, **changing}
    assert {name: told[name] for name in ("messageCount", "pendingMessageCount")} == {"messageCount": 1, "pendingMessageCount": 0}
    assert told["results"][0]["messageId"].isdigit()


def test_people_answer_a_number_and_cannot_answer_a_name(asks) -> None:
    vendors = made(asks, {"people": [{"vendor": "infobip", "text": "yes please", "after": 2}]})
    for to, sender in ((ANA, "InfoSMS"), (BEN, "447860099299")):
        answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", one(sender=sender, destinations=[{"to": to}])))
    said = [told["results"][0] for told in all_told(vendors, asks.now)]
    assert [(each["from"], each["to"], each["text"]) for each in said] == [(BEN, "447860099299", "yes please")]


def test_stop_blocks_that_sender_until_start(asks, vendors) -> None:
    def ends() -> tuple[int, int]:
        answer(asks, vendors, asks.batch(ANA, url=HOOK))
        (report,) = all_told(vendors, asks.now)[0]["results"]
        return report["status"]["id"], report["error"]["id"]

    seen = [ends()]
    for text in ("stop ", "please", "START"):
        vendors.infobip.hear("+" + ANA, "447860099299", text, asks.now)
        all_told(vendors, asks.now)
        seen.append(ends())
    assert seen == [(5, 0), (14, 603), (14, 603), (5, 0)]


# What can be asked


def logged(asks, vendors: Vendors, query: str, now: int | None = None) -> list[str]:
    told = answer(asks, vendors, asks.infobip("GET", f"/sms/3/logs?{query}"), now)
    return [one["messageId"] for one in shaped(asks, "LogResponseSmsLogSmsMessageContent", told)["results"]]


def test_logs_look_as_recorded(asks) -> None:
    vendors = made(asks, senders=("InfoSMS",))
    body = sample(asks, "send-v3.request")
    body["messages"][0]["content"] = {"text": "Hola, su cita es mañana."}
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", body))
    before = answer(asks, vendors, asks.infobip("GET", "/sms/3/logs?messageId=cmp42-ct7-s1-a1"))["results"][0]["status"]["id"]
    all_told(vendors, asks.now)
    told = answer(asks, vendors, asks.infobip("GET", "/sms/3/logs?messageId=cmp42-ct7-s1-a1&limit=1"))
    recorded = sample(asks, "logs-v3.response")
    for each in (*told["results"], *recorded["results"]):
        each.pop("sentAt"), each.pop("doneAt"), each["status"].pop("description")
    assert (before, told) == (26, recorded)


def test_logs_are_found_by_what_is_asked(asks) -> None:
    vendors = made(asks, {"rules": [{"vendor": "infobip", "suffix": BEN[-4:], "code": 27}]})
    for place, to in enumerate((ANA, BEN, ANA)):
        answer(asks, vendors, asks.batch(f"{to}:m{place}", bulk=f"b{place % 2}"), asks.now + place * 1_000_000)
    all_told(vendors, asks.now)
    now = asks.now + 10_000_000
    for query, found in {
        "": ["m2", "m1", "m0"],
        "messageId=m1": ["m1"],
        "messageId=m0,m1": ["m1", "m0"],
        "messageId=m0&messageId=m2&messageId=none": ["m2", "m0"],
        "messageId=none": [],
        "bulkId=b0": ["m2", "m0"],
        "limit=2": ["m2", "m1"],
        f"destination={BEN}": ["m1"],
        "sender=447860099299&limit=1000": ["m2", "m1", "m0"],
        "generalStatus=UNDELIVERABLE": ["m1"],
        "sentSince=2025-06-15T15:06:41.000%2B0000": ["m2", "m1"],
        "sentUntil=2025-06-15T17:06:41.000%2B02:00": ["m1", "m0"],
    }.items():
        assert logged(asks, vendors, query, now) == found, query


def test_logs_are_paged_by_cursor(asks, vendors) -> None:
    answer(asks, vendors, asks.batch(*[f"1555867531{n}:m{n}" for n in range(5)]))
    found, cursor = [], ""
    while True:
        told = answer(asks, vendors, asks.infobip("GET", f"/sms/3/logs?limit=2&useCursor=true&cursor={cursor}"))
        found.append([one["messageId"] for one in told["results"]])
        cursor = told["cursor"].get("nextCursor", "")
        if not cursor:
            break
    assert found == [["m4", "m3"], ["m2", "m1"], ["m0"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "generalStatus=GONE", "messageid=m1", "sentSince=yesterday", "cursor=-1"]
)
def test_a_question_that_makes_no_sense_is_refused(asks, vendors, query) -> None:
    reply = vendors.handle(asks.infobip("GET", f"/sms/3/logs?{query}"), asks.now)
    told = shaped(asks, "ApiError", asks.told(reply.response))
    assert (reply.response.code, told["violations"][0]["property"]) == (400, query.partition("=")[0])


def test_logs_reach_back_48_hours_and_may_lag(asks) -> None:
    vendors = made(asks, logs_after=30)
    answer(asks, vendors, asks.batch(f"{ANA}:m1"))
    waits = (29_000_000, 30_000_000, 48 * HOUR, 48 * HOUR + 1)
    seen = [logged(asks, vendors, "messageId=m1", asks.now + wait) for wait in waits]
    assert seen == [[], ["m1"], ["m1"], []]


def test_logs_may_be_asked_120_times_a_minute(asks) -> None:
    vendors = made(asks, logs_per_minute=120)
    replies = [vendors.handle(asks.infobip("GET", "/sms/3/logs"), asks.now).response for _ in range(125)]
    assert [reply.code for reply in replies] == [200] * 120 + [429] * 5
    assert shaped(asks, "ApiError", asks.told(replies[-1]))["errorCode"] == "E429"
    assert vendors.handle(asks.infobip("GET", "/sms/3/logs"), asks.now + 1_000_000).response.code == 200


def test_reports_can_be_fetched_once_each(asks) -> None:
    vendors = made(asks, senders=("InfoSMS",))
    body = sample(asks, "send-v3.request")
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", body))

    def fetched(vendors: Vendors, query: str = "") -> list[str]:
        told = shaped(asks, "DeliveryReports", answer(asks, vendors, asks.infobip("GET", f"/sms/3/reports{query}")))
        return [one["messageId"][4:] for one in told["results"]]

    assert fetched(vendors) == []  # nothing has become of it yet
    all_told(vendors, asks.now)
    assert fetched(vendors, "?bulkId=none") == []
    assert fetched(vendors, "?limit=1") == ["2-ct7-s1-a1"]
    reborn = Vendors(vendors.config)
    reborn.open(list(vendors.ledger.lines), asks.now)
    for each in (vendors, reborn):
        assert fetched(each) == ["2-ct8-s1-a1"]
        assert fetched(each) == []


def test_a_fetched_report_looks_as_recorded(asks) -> None:
    vendors = made(asks, senders=("InfoSMS",))
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", sample(asks, "send-v3.request")))
    all_told(vendors, asks.now)
    told, recorded = answer(asks, vendors, asks.infobip("GET", "/sms/3/reports?limit=1")), sample(asks, "reports-v3.response")
    for each in (*told["results"], *recorded["results"]):
        each.pop("sentAt"), each.pop("doneAt")
    assert told == recorded


TURKISH = "Mesaj gönderimi yapmadan önce önizleme seçeneğini kullanmanız doğru karar vermenize yardımcı olur."


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"text": "Hola"}, [(1, 156)]),
        ({"text": "Let's see how many characters remain unused in this message."}, [(1, 100)]),
        ({"text": TURKISH, "languageCode": "TR"}, [(2, 36), (1, 51)]),  # by the single shift table
        ({"text": TURKISH, "languageCode": "AUTODETECT"}, [(2, 36), (1, 51)]),
        ({"text": "“¿Mañana?” Sí…", "transliteration": "NON_UNICODE"}, [(1, 56), (1, 144)]),
        ({"text": "x" * 161, "transliteration": "NONE"}, [(2, 145), (2, 145)]),
    ],
)
def test_a_preview_counts_parts(asks, vendors, asked, shown) -> None:
    told = shaped(asks, "PreviewResponse", answer(asks, vendors, asks.infobip("POST", "/sms/1/preview", asked)))
    assert told["originalText"] == asked["text"]
    assert [(each["messageCount"], each["charactersRemaining"]) for each in told["previews"]] == shown
    if asked == {"text": "Hola"}:
        assert told == sample(asks, "preview.response")


def test_a_preview_of_nothing_is_refused_in_the_older_envelope(asks, vendors) -> None:
    reply = vendors.handle(asks.infobip("POST", "/sms/1/preview", {"languageCode": "DE"}), asks.now)
    assert reply.response.code == 400
    shaped(asks, "ApiException", asks.told(reply.response))


def test_a_text_leaves_as_it_is_transliterated(asks, vendors) -> None:
    content = {"text": "“Mañana” a las 3 — sí", "transliteration": "NON_UNICODE"}
    answer(asks, vendors, asks.infobip("POST", "/sms/3/messages", one(content=content)))
    assert [line.text for line in vendors.ledger.lines] == ['"Mañana" a las 3 - si']


# Over real HTTP


async def test_a_batch_is_accepted_and_its_reports_arrive(asks, call, ear) -> None:
    async with Standin(asks.quick(infobip_hook=f"{ear.url}/in")) as standin:
        people = [f"1555867{place:04}:m{place}" for place in range(100)]
        told = asks.told(await call(asks.batch(*people, base=standin.url, url=f"{ear.url}/dlr")))
        standin.hear("infobip", "+" + ANA, "hello")
        counts = await standin.until(lambda counts: counts["hook"] == 101)
    assert set(ids(told)) == {26}
    assert (counts["infobip.accepted"], counts["delivered"], counts["pending"]) == (100, 100, 0)
    reports = [report for request in ear.heard if "/dlr" in request.url for report in json.loads(request.body)["results"]]
    assert {report["messageId"] for report in reports} == {f"m{place}" for place in range(100)}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"vendor": "infobip", "from": "+" + ANA, "text": "hi"}, 200),
        ({"vendor": "infobip", "from": "MTN", "text": "Promo"}, 200),
        ({"vendor": "infobip", "from": "+" + ANA, "to": "InfoSMS", "text": "hi"}, 400),
        ({"vendor": "infobip", "from": "+" + ANA, "preference": "stop"}, 400),
        ({"vendor": "twilio", "from": "MTN", "text": "Promo"}, 400),
    ],
)
async def test_people_write_when_it_is_told_so(asks, call, ear, body, code) -> None:
    async with Standin(asks.quick(infobip_hook=f"{ear.url}/in")) as standin:
        request = replace(asks.infobip("POST", "/_standin/inbound", body), url=f"{standin.url}/_standin/inbound")
        assert (await call(request)).code == code
        if code == 200:
            await standin.until(lambda counts: counts["infobip.hook"] == 1)
            assert json.loads(ear.heard[0].body)["results"][0]["from"] == body["from"].removeprefix("+")
