"""The log: lines that machines read, in which nobody who is written to can be found, whatever goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import sqlite3
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from campana.cli.logs import discretion, logs_to_stderr, secrets_of
from campana.core.discretion import STRUCK, discreet
from campana.settings import Settings
from campana.standin.faults import Faults, Odds, ReceiptOdds, Reply, Rule
from tests.chaos.world import HOST, World, people_rows, until, wait_for_port, world_in
from tests.test_drain import launch

NATIONAL = ("5511223344", "55 1122 3344", "(55) 1122-3344", "212.555.0101", "212-555-0101", "11 91234-5678", "011 4321 8765")
PERSONAL = [
    "+525511223344",
    "+55 11 91234-5678",
    "+1 (212) 555-0101",
    *NATIONAL,
    "whatsapp:+15017122661",
    "To=%2B15017122661&Body",
    "wa_id:5215511223344",
    "ana.perez+news@mail.example.com",
    "ana%40example.com",
    "postgresql://campana:s3cret@127.0.0.1/db",
    "DETAIL:  Key (value)=(Ana Pérez) already exists.",
    "CONTEXT:  COPY audience_row, line 3, column cells: Ana",
]
PARTS = re.compile(r"\d{4}|ana|s3cret|pérez", re.IGNORECASE)


@pytest.mark.parametrize("text", PERSONAL)
def test_what_looks_like_an_address_or_a_credential_is_struck_out(text: str) -> None:
    said = discreet(f"it failed for {text}, says the vendor")
    assert STRUCK in said
    assert not PARTS.findall(said.replace("127.0.0.1", "").replace("campana", ""))


PLAIN = [
    "2026-12-01T09:00:00.123456Z",
    "2026-12-01 09:00:00",
    "127.0.0.1:8700",
    "http://127.0.0.1:8700/hooks/sms",
    "1796115600000000",
    "port 8700 is taken",
    "version 26.1.0",
    "0x7f12345678901234",
    "SM0123456789abcdef0123456789abcdef",
    "12,345,678 rows",
    'File "/srv/campana/engine/send.py", line 1234, in call',
    "Class.TRANSIENT (131049)",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_nobodys_address_stays(text: str) -> None:
    assert discreet(text) == text


@given(st.binary(min_size=16, max_size=16), st.uuids(), st.integers(0, 2**22), st.datetimes())
def test_ids_times_and_small_numbers_stay(ours: bytes, theirs: uuid.UUID, process: int, at: Any) -> None:
    for text in (f"run {ours.hex()} is over", f"unit {theirs}", f"process {process % 10_000_000}", f"at {at.isoformat()}"):
        assert discreet(text) == text


@given(
    st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True), st.sampled_from(["{}", "to {}.", "'{}'", '{{"to": "{}"}}', "phone={};"])
)
def test_no_number_in_our_own_form_gets_through(phone: str, around: str) -> None:
    assert phone[1:] not in discreet(around.format(phone))


def lines_of(text: str) -> list[dict[str, Any]]:
    """The lines of a log; each must be one."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def _logging_as_before() -> Any:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("_logging_as_before")
def test_lines_of_ours_and_of_libraries_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert logs_to_stderr("work", "json", ["k3y-of-the-vendor"])
    try:
        raise ValueError("+525511223344 with k3y-of-the-vendor")
    except ValueError as error:
        structlog.get_logger().exception("stumbled", error=str(error), number=5, deep={"to": ["+525511223344"]}, raw=b"\x00")
        logging.getLogger("library").error("failed for %s", "ana@example.com", exc_info=True)
    said = capsys.readouterr()
    ours, theirs = lines_of(said.err)
    assert said.out == ""
    for line in (ours, theirs):
        assert {"time", "level", "event", "role", "process", "exception"} <= line.keys()
        assert (line["level"], line["role"], line["process"]) == ("error", "work", os.getpid())
        assert line["exception"].splitlines()[-1] == f"ValueError: {STRUCK} with {STRUCK}"
    assert (ours["error"], ours["number"], ours["deep"]) == (f"{STRUCK} with {STRUCK}", 5, {"to": [STRUCK]})
    assert theirs["event"] == f"failed for {STRUCK}"


@pytest.mark.usefixtures("_logging_as_before")
def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert not logs_to_stderr("work", "text")
    structlog.get_logger().warning("stumbled", to="+525511223344")
    said = capsys.readouterr().err
    assert "stumbled" in said
    assert "5511223344" not in said
    assert not said.startswith("{")


def test_short_secrets_do_not_strike_out_half_the_words() -> None:
    clean = discretion(["a", "long-enough"])
    assert clean(None, "", {"event": "a talk with long-enough"})["event"] == f"a talk with {STRUCK}"  # type: ignore[index]


def test_all_credentials_of_the_settings_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CAMPANA_")]:
        monkeypatch.delenv(name)
    accounts = {
        "wa": {"kind": "whatsapp", "token": "one", "app_secret": "two", "verify_token": "three", "waba_id": "4"},
        "sms": {"kind": "twilio_sms", "account_sid": "5", "auth_token": "six", "api_key_secret": "seven"},
        "odd": {"kind": "carrier-pigeon", "token": "eight"},
    }
    settings = Settings(integrations=accounts, database="postgresql://u:nine@host/db", bus="nats://a:ten@x:4222,nats://y:4222")
    assert sorted(secrets_of(settings)) == sorted(["one", "two", "three", "six", "seven", "nine", "ten"])


# --- a whole campaign -------------------------------------------------------------------------------------------------------

TROUBLE = Faults(
    silence=1,
    odds=Odds(throttled=0.05, broken=0.05, broken_after=0.05, cut_before=0.05, cut_after=0.05),
    receipts=ReceiptOdds(doubled=0.1, reordered=0.1),
    rules=(Rule(vendor="whatsapp", share=0.2, code=131026), Rule(vendor="twilio", share=0.1, code=30005)),
    people=(Reply(share=0.3, text="yes, this is Person speaking"), Reply(share=0.1, text="STOP")),
)
PEOPLE = 120


def told(world: World) -> Iterable[str]:
    """Everything that a log must not tell: numbers, names, words and credentials."""
    for name, phone, _ in people_rows(PEOPLE):
        yield from (phone.removeprefix("+"), name)
    yield from ("we expect you on", "will you come", "this is Person", "visit_reminder")
    yield from secrets_of(Settings(**world.settings()))


def forged(world: World) -> None:
    """Webhooks that cannot be understood, or are nobody's."""
    phone = next(iter(people_rows(1)))[1]
    for path, body in (("sms", f"From={phone}&Body=Person 0"), ("whatsapp", f'{{"from": "{phone}"'), ("nobody", phone)):
        with pytest.raises(HTTPError, match="HTTP Error 4"):
            urlopen(f"http://{HOST}:{world.port}/hooks/{path}", data=body.encode(), timeout=10)


def poison(world: World) -> None:
    """A webhook in the inbox that no wheel can understand."""
    name, phone, _ = next(iter(people_rows(1)))
    into = "INSERT INTO inbox (id, integration, method, url, headers, body, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
    row = (os.urandom(16), "sms", "POST", f"https://x.test/?To={phone}", f"{name} {phone}", f"{name} {phone}".encode(), 0)
    with contextlib.closing(sqlite3.connect(world.database, timeout=30)) as connection, connection:
        connection.execute(into, row)


def test_the_log_of_a_campaign_in_which_much_goes_wrong_tells_nobody(tmp_path: Path) -> None:
    with world_in(tmp_path / "world", faults=TROUBLE) as world:
        vendors = world.start_vendors()
        wait_for_port(world.vendor_port, vendors)
        world.write_people(PEOPLE)
        asyncio.run(launch(world))
        process = world.start("serve")
        wait_for_port(world.port, process)
        until(lambda: len(world.accepted()) > PEOPLE // 2, process)
        forged(world)
        poison(world)
        vendors.kill()  # now nothing can be reached
        vendors.wait()
        wait_for_port(world.vendor_port, world.start_vendors())
        until(lambda: len(world.accepted()) > PEOPLE, process)
        with urlopen(f"http://{HOST}:{world.port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, world.log()
        lines = lines_of(world.log())
    assert {line["role"] for line in lines} == {"serve"}
    assert {line["process"] for line in lines} == {process.pid}
    assert any("was refused" in line["event"] for line in lines), "the forged webhooks are told"
    assert any("exception" in line for line in lines), "what cannot be understood is told with its traceback"
    assert 'campana_attempts_total{channel="twilio_sms",result="accepted"}' in metrics
    said = world.log() + metrics
    assert [one for one in told(world) if one in said] == []
