"""Every fault strikes as asked, leaves its line in the ledger, and strikes again the same way in another life."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pydantic import ValidationError

from campana.standin.balance import balance
from campana.standin.config import BadConfig, load_config
from campana.standin.faults import Faults, draws, reply_of
from campana.standin.vendors import Vendors

HOOK = "https://hooks.example.com/hooks/whatsapp"
TO = "+15558675310"


def with_faults(asks, faults: dict) -> Vendors:
    return Vendors(asks.quick(whatsapp_hook=HOOK, faults=Faults.model_validate(faults)))


def whole_life(vendors: Vendors, now: int) -> list[dict]:
    """Everything that is told, each webhook answered 200."""
    told = []
    while (at := vendors.next_due()) is not None:
        now = max(at, now)
        for hook in vendors.due(now):
            told.append(json.loads(hook.request.body)["entry"][0]["changes"][0]["value"] | {"at": now})
            vendors.done(hook, 200, now)
    return told


def told_statuses(vendors: Vendors, now: int) -> list[str]:
    return [value["statuses"][0]["status"] for value in whole_life(vendors, now) if "statuses" in value]


@pytest.mark.parametrize(
    ("fault", "twilio", "whatsapp", "ends", "accepted"),
    [
        ("throttled", 429, 429, ("", False), 0),
        ("broken", 503, 503, ("", False), 0),
        ("broken_after", 500, 502, ("", False), 1),
        ("cut_before", None, None, ("before", False), 0),
        ("cut_after", None, None, ("after", False), 1),
        ("silent", None, None, ("", True), 1),
    ],
)
def test_a_fault_strikes_a_call(asks, fault, twilio, whatsapp, ends, accepted) -> None:
    vendors = with_faults(asks, {"rules": [{"number": TO, "fault": fault, "times": 1}], "retry_after": 7})
    for request, code, name in ((asks.sms(to=TO), twilio, "twilio"), (asks.template(to=TO), whatsapp, "whatsapp")):
        reply = vendors.handle(request, asks.now)
        assert (reply.cut or "", reply.hang > 0) == ends
        if code:
            assert reply.response.code == code
        if fault == "throttled":
            assert reply.response.headers["retry-after"] == "7"
        lines = [line for line in vendors.ledger.lines if line.vendor == name]
        assert [(line.kind, line.fault) for line in lines] == [("fault", fault), ("accepted", fault)][: 1 + accepted]
        assert vendors.handle(request, asks.now).response.code in (200, 201)  # only the first call was struck


def test_odds_strike_their_share_of_the_calls(asks) -> None:
    vendors = with_faults(asks, {"odds": {"throttled": 0.1, "cut_after": 0.2}})
    for place in range(2000):
        vendors.handle(asks.template(to=f"+1555{place:07}"), asks.now)
    counts = vendors.counts()
    assert 140 < counts["throttled"] < 260
    assert 320 < counts["cut_after"] < 480
    assert counts["accepted"] == 2000 - counts["throttled"]


def test_latency_delays_the_answer_within_its_span(asks) -> None:
    vendors = with_faults(asks, {"latency": [0.1, 0.3]})
    delays = {vendors.handle(asks.sms(to=f"+1555867{place:04}"), asks.now).delay for place in range(20)}
    assert len(delays) == 20
    assert all(100_000 <= delay <= 300_000 for delay in delays)


@pytest.mark.parametrize(
    ("rule", "code", "statuses"),
    [
        ({"code": 131026}, 200, ["failed"]),
        ({"code": 131026, "told": "answer"}, 400, []),
        ({"code": 132015}, 400, []),
        ({"code": 132015, "told": "receipt"}, 200, ["failed"]),
        ({"code": 131026, "vendor": "twilio"}, 200, ["sent", "delivered"]),
        ({"code": 131026, "suffix": "11"}, 200, ["sent", "delivered"]),
        ({"code": 131026, "suffix": "10"}, 200, ["failed"]),
        ({"code": 131026, "share": 0}, 200, ["sent", "delivered"]),
        ({"code": 131026, "share": 1}, 200, ["failed"]),
    ],
)
def test_chosen_codes_befall_chosen_numbers(asks, rule, code, statuses) -> None:
    vendors = with_faults(asks, {"rules": [rule]})
    reply = vendors.handle(asks.template(to=TO), asks.now)
    assert (reply.response.code, told_statuses(vendors, asks.now)) == (code, statuses)


@pytest.mark.parametrize(("code", "statuses"), [(30003, ["sent", "undelivered"]), (30001, ["failed"]), (21614, None)])
def test_twilio_tells_codes_where_twilio_does(asks, code, statuses) -> None:
    vendors = with_faults(asks, {"rules": [{"code": code}]})
    reply = vendors.handle(asks.sms(StatusCallback="https://a.example/?m=1"), asks.now)
    assert (reply.response.code == 400) == (statuses is None)
    told = []
    while hooks := vendors.due(asks.now + 1):
        told += [hook.request.body.decode().partition("MessageStatus=")[2].partition("&")[0] for hook in hooks]
        for hook in hooks:
            vendors.done(hook, 200, asks.now + 1)
    assert told == (statuses or [])


@pytest.mark.parametrize(
    ("odds", "statuses"),
    [
        ({"doubled": 1}, ["sent", "sent", "delivered", "delivered"]),
        ({"reordered": 1}, ["delivered", "sent"]),
        ({"missing": 1}, []),
        ({"late": 1, "late_by": 30}, ["sent", "delivered"]),
    ],
)
def test_receipts_come_in_strange_ways(asks, odds, statuses) -> None:
    vendors = with_faults(asks, {"receipts": odds})
    vendors = Vendors(
        vendors.config.model_copy(
            update={
                "whatsapp": vendors.config.whatsapp.model_copy(
                    update={"receipts": vendors.config.whatsapp.receipts.model_copy(update={"delivered": (1.0, 1.0)})}
                )
            }
        )
    )
    vendors.handle(asks.template(to=TO), asks.now)
    told = whole_life(vendors, asks.now)
    assert [value["statuses"][0]["status"] for value in told] == statuses
    assert vendors.counts()["delivered"] == 1
    if odds.get("late"):
        assert told[0]["at"] == asks.now + 30_000_000


PEOPLE = {"people": [{"share": 0.3, "text": "STOP", "after": 1}, {"share": 0.5, "text": "yes please", "after": [2, 4]}]}


def test_people_answer_the_first_message_that_reaches_them(asks) -> None:
    vendors = with_faults(asks, PEOPLE)
    for _ in range(2):
        for place in range(200):
            vendors.handle(asks.template(to=f"+1555867{place:04}"), asks.now)
        told = whole_life(vendors, asks.now)
        texts = Counter(value["messages"][0]["text"]["body"] for value in told if "messages" in value)
        if texts:
            assert 35 < texts["STOP"] < 85
            assert 75 < texts["yes please"] < 125
    assert vendors.counts()["inbound"] == sum(
        reply_of(vendors.config.faults, "whatsapp", f"+1555867{place:04}", 1) is not None for place in range(200)
    )


def test_an_answer_names_the_message_it_answers(asks) -> None:
    vendors = with_faults(asks, {"people": [{"number": TO, "text": "yes", "after": 2}]})
    wamid = asks.told(vendors.handle(asks.template(to=TO), asks.now).response)["messages"][0]["id"]
    (said,) = [value for value in whole_life(vendors, asks.now) if "messages" in value]
    assert (said["messages"][0]["context"]["id"], said["at"]) == (wamid, asks.now + 2_000_000)


def test_the_time_scale_divides_waits(asks) -> None:
    config = asks.quick(time_scale=100, whatsapp_hook=HOOK, faults=Faults.model_validate({"people": [{"after": 200}]}))
    vendors = Vendors(config)
    vendors.handle(asks.template(to=TO), asks.now)
    assert [value["at"] - asks.now for value in whole_life(vendors, asks.now)] == [0, 0, 2_000_000]


def test_the_same_seed_makes_the_same_life(asks) -> None:
    faults = {"odds": {"throttled": 0.2, "cut_after": 0.2}, "receipts": {"doubled": 0.5, "missing": 0.2}, **PEOPLE}
    lives = []
    for _ in range(2):
        vendors = with_faults(asks, faults)
        for place in range(50):
            vendors.handle(asks.template(to=f"+1555867{place:04}"), asks.now)
        whole_life(vendors, asks.now)
        lives.append(vendors.ledger.lines)
    assert lives[0] == lives[1]
    assert draws(1, "a") != draws(2, "a")


@pytest.mark.parametrize(
    "faults",
    [
        {"odds": {"throttled": 0.6, "broken": 0.6}},
        {"odds": {"nonsense": 0.1}},
        {"rules": [{"number": "+1"}]},
        {"rules": [{"fault": "broken", "code": 1}]},
        {"latency": [2, 1]},
        {"latency": -1},
        {"people": [{"share": 2}]},
    ],
)
def test_faults_that_make_no_sense_are_refused(faults) -> None:
    with pytest.raises(ValidationError):
        Faults.model_validate(faults)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.yaml", "seed: 7\nfaults: {odds: {throttled: 0.5}, rules: [{suffix: '07', code: 131026}]}"),
        ("s.toml", "seed = 7\n[faults.odds]\nthrottled = 0.5\n[[faults.rules]]\nsuffix = '07'\ncode = 131026"),
        ("s.json", '{"seed": 7, "faults": {"odds": {"throttled": 0.5}, "rules": [{"suffix": "07", "code": 131026}]}}'),
    ],
)
def test_a_configuration_is_read_from_a_file(tmp_path, name, text) -> None:
    path = tmp_path / name
    path.write_text(text)
    config = load_config(path)
    assert (config.seed, config.faults.odds.throttled, config.faults.rules[0].code) == (7, 0.5, 131026)


@pytest.mark.parametrize(
    ("text", "words"), [("sed: 7", "sed"), ("seed: [", "cannot be read"), ("- 1", "cannot be used"), (None, "cannot be read")]
)
def test_a_bad_configuration_is_refused_with_a_sentence(tmp_path, text, words) -> None:
    path = tmp_path / "s.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadConfig, match=words):
        load_config(path)


def test_throttled_calls_are_no_refusal_of_the_person(asks) -> None:
    vendors = with_faults(asks, {"odds": {"throttled": 1}})
    vendors.handle(asks.sms(to=TO), asks.now)
    assert balance([vendors.ledger.lines], []).lost == 0
    assert vendors.counts()["refused"] == 0


def test_a_rebuilt_stand_in_knows_how_many_calls_it_has_seen(asks) -> None:
    first = with_faults(asks, {"rules": [{"fault": "throttled", "times": 2}]})
    codes = [first.handle(asks.sms(to=TO), asks.now).response.code]
    second = Vendors(first.config)
    second.open(list(first.ledger.lines), asks.now)
    codes += [second.handle(asks.sms(to=TO), asks.now).response.code for _ in range(2)]
    assert codes == [429, 429, 201]


def test_changed_faults_outlive_a_kill(asks) -> None:
    first = with_faults(asks, {})
    first.change_faults(Faults.model_validate({"odds": {"broken": 1}}), asks.now)
    second = Vendors(first.config)
    second.open(list(first.ledger.lines), asks.now)
    assert second.handle(asks.sms(to=TO), asks.now).response.code == 503
