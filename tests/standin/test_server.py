"""The stand-in over real HTTP: answers, cuts, silences, webhooks, control, and a kill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from campana.core.exchange import Request, Response
from campana.core.message import Lost
from campana.standin.balance import balance
from campana.standin.faults import Faults
from campana.standin.server import Standin, run

TO = "+15558675310"


async def test_a_message_is_accepted_and_its_receipts_arrive_in_order(asks, call, ear) -> None:
    async with Standin(asks.quick(whatsapp_hook=f"{ear.url}/w")) as standin:
        answers = [await call(asks.template(to=f"+1555867{place:04}", base=standin.url, ref=f"r{place}")) for place in range(20)]
        answers.append(await call(asks.sms(base=standin.url, StatusCallback=f"{ear.url}/t?m=x")))
        counts = await standin.until(lambda counts: counts["hook"] == 42)
    assert [answer.code for answer in answers] == [200] * 20 + [201]
    assert (counts["accepted"], counts["delivered"], counts["pending"]) == (21, 21, 0)
    order: dict[str, list[str]] = {}
    for request in ear.heard:
        if "/w" in request.url:
            status = json.loads(request.body)["entry"][0]["changes"][0]["value"]["statuses"][0]
            order.setdefault(status["id"], []).append(status["status"])
        else:
            form = dict(parse_qsl(request.body.decode()))
            order.setdefault(form["MessageSid"], []).append(form["MessageStatus"])
    assert list(order.values()) == [["sent", "delivered"]] * 21
    assert [line.kind for line in standin.lines][-1] == "closed"


@pytest.mark.parametrize(("fault", "accepted"), [("cut_before", 0), ("cut_after", 1), ("silent", 1)])
async def test_an_answer_is_lost_with_and_without_acceptance(asks, call, fault, accepted) -> None:
    faults = Faults.model_validate({"rules": [{"fault": fault, "number": TO}], "silence": 0.05})
    async with Standin(asks.quick(faults=faults)) as standin:
        assert (await call(asks.sms(to="+15558675311", base=standin.url))).code == 201  # the connection is used again
        answer = await call(asks.sms(to=TO, base=standin.url))
        assert isinstance(answer, Lost)
        calls = [line for line in standin.lines if line.to == TO and line.kind in ("fault", "accepted")]
    assert [line.kind for line in calls] == ["fault", "accepted"][: 1 + accepted]


async def test_a_client_that_gives_up_frees_its_silent_connection(asks, call) -> None:
    faults = Faults.model_validate({"rules": [{"fault": "silent", "number": TO}], "silence": 600})
    async with Standin(asks.quick(faults=faults)) as standin:
        assert isinstance(await call(asks.sms(to=TO, base=standin.url), 0.05), Lost)
        assert (await call(asks.sms(to="+15558675311", base=standin.url))).code == 201


async def test_an_answer_waits_for_its_latency_but_not_for_a_stop(asks, call) -> None:
    async with Standin(asks.quick(faults=Faults(latency=(600, 600)))) as standin:
        waiting = asyncio.create_task(call(asks.sms(base=standin.url), 60))
        await standin.until(lambda counts: counts["accepted"] == 1)
    answer = await waiting
    assert answer.code == 201


async def test_a_webhook_nobody_takes_is_sent_again(asks, call, ear) -> None:
    ear.answer = lambda request: 500 if len(ear.heard) < 3 else 200
    config = asks.quick(whatsapp_hook=f"{ear.url}/w", time_scale=1000)
    async with Standin(config) as standin:
        standin.hear("whatsapp", TO, "hello")
        counts = await standin.until(lambda counts: counts["hook"] == 1)
    assert (counts["hook_repeated"], len(ear.heard)) == (2, 3)
    assert len({request.body for request in ear.heard}) == 1


def control(base: str, path: str, body: object = None) -> Request:
    headers = (("Content-Type", "application/json"),)
    if body is None:
        return Request("GET", f"{base}/_standin/{path}", headers)
    return Request("POST", f"{base}/_standin/{path}", headers, json.dumps(body).encode())


async def test_the_stand_in_can_be_told_what_to_do(asks, call, ear) -> None:
    async with Standin(asks.quick(whatsapp_hook=f"{ear.url}/w", twilio_hook=f"{ear.url}/t")) as standin:
        base = standin.url
        for path, body in (
            ("inbound", {"vendor": "twilio", "from": TO, "text": "STOP"}),
            ("inbound", {"vendor": "whatsapp", "from": TO, "text": "hello"}),
            ("inbound", {"vendor": "whatsapp", "from": TO, "preference": "stop"}),
            ("templates", {"name": "visit_reminder", "language": "en_US", "status": "PAUSED"}),
            ("faults", {"odds": {"cut_before": 0}, "rules": [{"suffix": "11", "code": 131026, "told": "answer"}]}),
        ):
            assert (await call(control(base, path, body))).code == 200
        await standin.until(lambda counts: counts["hook"] == 4)
        codes = [
            asks.told(await call(request))["code"]
            if "Accounts" in request.url
            else asks.told(await call(request))["error"]["code"]
            for request in (asks.sms(base=base), asks.template(base=base), asks.words(to="+15558675311", base=base))
        ]
        state = asks.told(await call(control(base, "state")))
    assert codes == [21610, 132015, 131026]
    assert (state["counts"]["stop"], state["counts"]["whatsapp.inbound"], state["counts"]["refused"]) == (2, 1, 3)
    assert state["faults"]["rules"][0]["code"] == 131026


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("nonsense", None, 404),
        ("faults", {"odds": {"nonsense": 1}}, 400),
        ("faults", [], 400),
        ("inbound", {"vendor": "twilio", "from": "Ana", "text": "x"}, 400),
        ("inbound", {"vendor": "twilio", "from": TO}, 400),
        ("inbound", {"vendor": "twilio", "from": TO, "to": "+15550000000", "text": "x"}, 400),
        ("inbound", {"vendor": "twilio", "from": TO, "preference": "stop"}, 400),
        ("templates", {"name": "nothing", "language": "en", "status": "PAUSED"}, 404),
        ("templates", {"name": "visit_reminder", "language": "en_US", "status": "GONE"}, 400),
        ("ledger", None, 404),
    ],
)
async def test_what_it_cannot_do_is_refused_with_a_sentence(asks, call, path, body, code) -> None:
    async with Standin(asks.quick()) as standin:
        answer = await call(control(standin.url, path, body))
    assert (answer.code, len(asks.told(answer)["problem"]) > 10) == (code, True)


async def raw(port: int, data: bytes) -> bytes:
    """All that comes back for some bytes on a fresh connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = b""
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"404"),
        (b"GET / HTTP/1.0\r\n\r\n", b"404"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000, b"413"),
        (b"GET / HTTP/1.1\r\nhost: [\r\nconnection: close\r\n\r\n", b"400"),
        (b"GET http://[/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"400"),
        (b"GET //[ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"404"),
    ],
)
async def test_bad_http_is_answered_and_harms_nobody(asks, call, data, status) -> None:
    async with Standin(asks.quick()) as standin:
        assert (await raw(standin.port, data))[9:12] in (status, b"")
        assert (await call(asks.sms(base=standin.url))).code == 201


async def test_requests_sent_in_one_go_are_answered_in_order(asks) -> None:
    async with Standin(asks.quick()) as standin:
        get = b"GET /_standin/%b HTTP/1.1\r\nhost: a\r\n%b\r\n"
        answer = await raw(
            standin.port, get % (b"state", b"") + get % (b"none", b"") + get % (b"state", b"connection: close\r\n")
        )
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


async def test_a_rebuilt_stand_in_goes_on_where_it_was(asks, call, ear, tmp_path) -> None:
    faults = Faults.model_validate({"people": [{"suffix": "3", "text": "STOP", "after": 0}]})
    config = asks.quick(whatsapp_hook=f"{ear.url}/w", twilio_hook=f"{ear.url}/t", faults=faults)
    ledger = tmp_path / "ledger.jsonl"
    ear.answer = lambda request: 503
    async with Standin(config, ledger=ledger) as first:
        await call(asks.template(base=first.url))
        await call(asks.sms(to="+15558675313", base=first.url, StatusCallback=f"{ear.url}/s#rc=5&rp=all"))
        await call(control(first.url, "templates", {"name": "fall_sale", "language": "en_US", "status": "PAUSED"}))
        await first.until(lambda counts: counts["hook_repeated"] >= 3 and counts["stop"] == 1)
    before = len(ear.heard)
    ear.answer = lambda request: 200
    async with Standin(config, ledger=ledger) as second:
        await second.until(lambda counts: counts["pending"] == 0)
        assert second.whatsapp.templates["fall_sale", "en_US"]["status"] == "PAUSED"
        assert asks.told(await call(asks.sms(to="+15558675313", base=second.url)))["code"] == 21610
        listed = asks.told(await call(asks.twilio("GET", "/Messages.json?To=%2B15558675313", base=second.url)))
        assert [message["status"] for message in listed["messages"]] == ["delivered"]
    told = sorted(request.url.partition(ear.url)[2][:2] for request in ear.heard[before:])
    assert told.count("/w") == 3  # two receipts and the paused template
    assert told.count("/s") == 2
    kinds = [line.kind for line in second.lines]
    assert (kinds.count("delivered"), kinds.count("inbound"), kinds.count("opened")) == (2, 1, 2)


def start(config: Path, ledger: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """A stand-in of its own process, and its address."""
    command = [sys.executable, "-m", "campana.standin", "--config", str(config), "--ledger", str(ledger), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


async def test_nothing_accepted_is_forgotten_by_a_kill(asks, call, ear, tmp_path) -> None:
    config, ledger = tmp_path / "standin.json", tmp_path / "ledger.jsonl"
    config.write_text(asks.quick(whatsapp_hook=f"{ear.url}/w").model_dump_json())
    ear.answer = lambda request: 503
    process, url = start(config, ledger)
    try:
        accepted = [
            answer
            for answer in [await call(asks.template(to=f"+1555867{place:04}", base=url)) for place in range(10)]
            if isinstance(answer, Response)
        ]
        await ear.until(5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ear.heard.clear()
        ear.answer = lambda request: 200
        process, _ = start(config, ledger)
        told = {
            json.loads(request.body)["entry"][0]["changes"][0]["value"]["statuses"][0]["id"] for request in await ear.until(20)
        }
    finally:
        process.terminate()
        code = process.wait()
    assert told == {asks.told(answer)["messages"][0]["id"] for answer in accepted}
    assert (code, len(accepted), balance([ledger], []).kills) == (0, 10, 1)


@pytest.mark.parametrize("text", ["nonsense: 1", "seed: ["])
def test_a_bad_configuration_ends_it_with_a_sentence(tmp_path, capsys, text) -> None:
    path = tmp_path / "standin.yaml"
    path.write_text(text)
    assert run(path, 0, None) == 1
    assert str(path) in capsys.readouterr().err


async def test_a_port_that_is_taken_ends_it(asks) -> None:
    async with Standin(asks.quick()) as standin:
        with pytest.raises(OSError, match=str(standin.port)):
            async with Standin(asks.quick(), port=standin.port):
                pass


async def test_an_unknown_host_header_is_kept_in_next_pages(asks, call) -> None:
    async with Standin(asks.quick()) as standin:
        path = f"{asks.whatsapp_config.waba_id}/message_templates?limit=1"
        page = asks.told(await call(asks.graph("GET", path, base=standin.url)))
        second = asks.told(await call(replace(asks.graph("GET", ""), url=page["paging"]["next"])))
    assert [page["data"][0]["name"], second["data"][0]["name"]] == ["visit_reminder", "fall_sale"]
