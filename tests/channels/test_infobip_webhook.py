"""Infobip SMS: what it tells by webhook, and what every status and error of its tables means."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.channels import infobip_sms
from campana.channels.infobip_webhook import moment
from campana.core.exchange import Hook, Response
from campana.core.failure import Failure, Verdict, verdict
from campana.core.ids import Id
from campana.core.message import Accepted, Event, Inbound, Outgoing, Receipt, Status, Unrecognized

DATA = Path(__file__).parents[1] / "data" / "infobip"
SAMPLES = DATA / "samples"
FACTS: dict[str, Any] = {"api_key": "k3y", "base_url": "https://x.api.infobip.com", "webhook_secret": "s3cret"}
SETTINGS = infobip_sms.Settings(**FACTS)
ANA, EVA = bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7e"), bytes.fromhex("0190a1b2c3d4e5f60718293a4b5c6d7f")
HOOKS = "https://hooks.example.com/hooks/infobip"
ARRIVED = 1_760_000_000_000_000
DONE = 1_732_271_404_512_000  # 2024-11-22T10:30:04.512+0000
WRITTEN = 1_732_291_500_000_000  # 2024-11-22T16:05:00.000+0000
PERSON, OTHER, NUMBER = "+525500998877", "+525511223344", "+525511110000"
THEIRS = {"cmp42-ct7-s1-a1": ANA.hex(), "cmp42-ct8-s1-a1": EVA.hex()}  # a sample's ids, and ours in their place


def known(code: str) -> Failure:
    found = infobip_sms.CHANNEL.failure_of(code)
    assert found is not None
    return found


def receipt(status: Status, failure: Failure | None = None, ours: Id = ANA) -> Receipt:
    return Receipt(ours.hex(), status, DONE, ours, failure)


def inbound(text: str, alias: str = f"phone:{PERSON}") -> Inbound:
    return Inbound("817790313235066447", (alias,), NUMBER, text, WRITTEN)


WEBHOOKS: dict[str, list[Event]] = {
    "dlr-v1-delivered": [receipt(Status.DELIVERED)],
    "dlr-v3-delivered": [receipt(Status.DELIVERED)],
    "dlr-v3-delivered-to-operator": [receipt(Status.SENT)],
    "dlr-v3-pending-intermediate": [receipt(Status.SENT)],
    "dlr-v3-rejected-optout": [receipt(Status.FAILED, known("603"))],
    "dlr-v3-undeliverable-absent": [receipt(Status.UNDELIVERED, known("27"))],
    "dlr-v3-undeliverable-unknown-subscriber": [receipt(Status.UNDELIVERED, known("1"))],
    "dlr-v3-batch": [receipt(Status.DELIVERED), receipt(Status.UNDELIVERED, known("256"), EVA)],
    "reports-v3.response": [receipt(Status.DELIVERED)],
    "inbound": [inbound("Sí, gracias")],
    "inbound-stop": [inbound("STOP")],
    "inbound-baja": [inbound("BAJA")],
    "inbound-keyword": [inbound("QUIZ Correct answer is Paris")],
    "inbound-alphanumeric-sender": [inbound("Promo", "sender:MTN")],
}


def sample(name: str) -> bytes:
    body = (SAMPLES / f"{name}.json").read_text(encoding="utf-8")
    for theirs, ours in THEIRS.items():
        body = body.replace(theirs, ours)
    return body.encode()


def told(body: bytes) -> list[Event]:
    events, answer = infobip_sms.CHANNEL.parse_webhook(SETTINGS, Hook("POST", HOOKS, {}, body, ARRIVED))
    assert answer.code == 200
    return events


def test_no_webhook_of_the_samples_is_left_out() -> None:
    theirs = [path.stem for path in SAMPLES.iterdir() if path.name.startswith(("dlr-", "inbound", "reports-"))]
    assert sorted(theirs) == sorted(WEBHOOKS)


@pytest.mark.parametrize("name", WEBHOOKS)
def test_infobip_webhooks(name: str) -> None:
    assert told(sample(name)) == WEBHOOKS[name]


def report(status: int, group: str, error: int = 0, message_id: str = ANA.hex(), permanent: bool = False) -> Receipt:
    trouble = {"id": error, "groupName": "X", "name": "EC_X", "permanent": permanent}
    result = {"messageId": message_id, "to": "525500998877", "status": {"id": status, "groupName": group, "name": "ST_X"}}
    (found,) = told(json.dumps({"results": [{**result, "error": trouble}]}).encode())
    assert isinstance(found, Receipt)
    return found


STATUSES = list(csv.DictReader((DATA / "statuses.csv").read_text(encoding="utf-8").splitlines()))
ERRORS = list(csv.DictReader((DATA / "errors.csv").read_text(encoding="utf-8").splitlines()))


def ids(row: dict[str, str]) -> str:
    return f"{row['group_name']} {row['id']}"


def said(word: str, failure: Failure | None) -> str:
    """The word of the table for a status of ours: of an address that is no good it has no word of its own."""
    return "failed" if word == "error" and failure and failure.bad_address else word


def expected(row: dict[str, str]) -> Verdict:
    """What a row says of a first report."""
    match row["class"], row["retry_same_channel"], row["fire_fallback"]:
        case "optout", _, _:
            return Verdict.OPTED_OUT
        case _, "once" | "later", _:
            return Verdict.RETRY
        case _, _, "yes":
            return Verdict.NEXT
        case "config", _, _:
            return Verdict.HOLD
    return Verdict.END


@pytest.mark.parametrize("row", STATUSES, ids=ids)
def test_each_status_in_a_report(row: dict[str, str]) -> None:
    found = report(int(row["id"]), row["group_name"])
    if row["class"] in {"ok", "pending", "duplicate"}:
        word = "queued" if row["class"] == "duplicate" else row["common_status"]
        assert (found.status.word, found.failure) == (word, None)
        return
    assert said(found.status.word, found.failure) == row["common_status"]
    assert found.failure is not None
    assert (found.failure.code, verdict(found.failure, tries=1)) == (f"status-{row['id']}", expected(row))


@pytest.mark.parametrize("row", [row for row in STATUSES if row["group_name"] == "REJECTED"], ids=ids)
def test_each_rejection_in_an_answer(row: dict[str, str]) -> None:
    status = {"id": int(row["id"]), "groupId": 5, "groupName": "REJECTED", "name": row["name"]}
    body = json.dumps({"messages": [{"messageId": ANA.hex(), "status": status}]}).encode()
    message = Outgoing(ANA, "InfoSMS", PERSON, {"text": "Hola"}, HOOKS, DONE)
    (found,) = infobip_sms.parse_response(Response(200, {}, body), [message])
    if row["class"] == "duplicate":
        assert found == Accepted(ANA.hex())
        return
    assert isinstance(found, Failure)
    assert found.code == f"status-{row['id']}"
    assert verdict(found, tries=1) is (Verdict.ASK if row["class"] == "unknown" else expected(row))


@pytest.mark.parametrize("row", ERRORS, ids=ids)
def test_each_error_in_a_report(row: dict[str, str]) -> None:
    found = report(9, "UNDELIVERABLE", int(row["id"]))
    if row["class"] == "ok":
        assert found.failure == known("status-9")
    elif row["class"] == "duplicate":
        assert (found.status, found.failure) == (Status.QUEUED, None)
    else:
        assert found.failure is not None
        assert (found.failure.code, verdict(found.failure, tries=1)) == (row["id"], expected(row))
        assert found.status is (Status.ERROR if row["id"] == "352" else Status.UNDELIVERED)


def test_our_table_says_what_the_published_ones_say() -> None:
    path = Path(infobip_sms.__file__).parent / "errors" / "infobip.csv"
    ours = {row["code"]: row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())}
    theirs = {f"status-{row['id']}": row for row in STATUSES} | {row["id"]: row for row in ERRORS}
    theirs = {code: row for code, row in theirs.items() if row["class"] not in {"ok", "pending", "duplicate"}}
    same = ("name", "class", "fire_fallback", "retry_same_channel")
    assert {code: [row[name] for name in same] for code, row in ours.items()} == {
        code: [row[name] for name in same] for code, row in theirs.items()
    }
    assert [
        code for code, row in ours.items() if row["meaning"] != theirs[code]["meaning"] != theirs[code]["meaning"].lower()
    ] == []


def test_every_group_of_the_map_is_known() -> None:
    rows = list(csv.DictReader((DATA / "status_map.csv").read_text(encoding="utf-8").splitlines()))
    for row in rows:
        found = report(999, row["status.groupName"])
        assert found.status.word in row["common_status"]
        assert (found.failure is None) == (row["status.groupName"] in {"OK", "ACCEPTED", "PENDING", "DELIVERED"})


@pytest.mark.parametrize(
    ("status", "group", "error", "permanent", "code", "follows"),
    [
        (9, "UNDELIVERABLE", 9999, True, "9999", Verdict.NEXT),
        (9, "UNDELIVERABLE", 9999, False, "9999", Verdict.RETRY),
        (999, "REJECTED", 0, False, "status-999", Verdict.NEXT),
        (14, "REJECTED", 4103, True, "status-14", Verdict.OPTED_OUT),  # the person's wish beats what else is told
        (14, "REJECTED", 604, True, "604", Verdict.OPTED_OUT),
        (29, "EXPIRED", 0, False, "status-29", Verdict.NEXT),  # it may have arrived: never again on this channel
        (12, "REJECTED", 0, False, "status-12", Verdict.HOLD),
    ],
)
def test_what_a_failed_report_says(status: int, group: str, error: int, permanent: bool, code: str, follows: Verdict) -> None:
    found = report(status, group, error, permanent=permanent).failure
    assert found is not None
    assert (found.code, verdict(found, tries=1)) == (code, follows)
    assert found.words


def test_603_is_an_opt_out_and_fires_no_fallback() -> None:
    (found,) = told(sample("dlr-v3-rejected-optout"))
    assert isinstance(found, Receipt)
    assert found.failure is not None
    assert verdict(found.failure, tries=1) is Verdict.OPTED_OUT


def test_a_receipt_of_an_id_that_is_not_ours_is_known_by_its_number() -> None:
    assert report(5, "DELIVERED", message_id="theirs-1") == Receipt("theirs-1", Status.DELIVERED, ARRIVED, None, None, PERSON)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Infobip told something that is neither reports nor messages"),
        (b'{"notificationType": "CLICKED"}', "Infobip told something that is neither reports nor messages"),
        (b'{"results": [7]}', "Infobip told something that is neither a report nor a message: nothing at all"),
        (b'{"results": [{"b": 1, "a": 2}]}', "Infobip told something that is neither a report nor a message: a, b"),
        (
            b'{"results": [{"messageId": "x", "status": {"groupName": "EATEN", "id": 7, "name": "N"}}]}',
            "Infobip told the status 'EATEN 7 N' of message x, which we do not know",
        ),
    ],
)
def test_odd_webhooks_are_kept_for_people(body: bytes, words: str) -> None:
    assert told(body) == [Unrecognized(words)]


def test_what_can_be_read_is_not_lost_beside_what_cannot() -> None:
    good = json.loads(sample("inbound"))["results"][0]
    events = told(json.dumps({"results": [None, good, {"status": 1}]}).encode())
    assert [type(event) for event in events] == [Unrecognized, Inbound, Unrecognized]
    assert told(b'{"results": []}') == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-11-22T10:30:04.512+0000", DONE),
        ("2024-11-22T11:30:04.512+0100", DONE),
        ("2024-11-22T10:30:04.512+00:00", DONE),
        ("2024-11-22T10:30:04.512Z", DONE),
        ("2024-11-22T10:30:04.512", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_has_no_colon_in_its_offset(text: str | None, at: int | None) -> None:
    assert moment(text) == at


@given(st.text(max_size=40))
def test_no_date_makes_it_raise(text: str) -> None:
    moment(text)
