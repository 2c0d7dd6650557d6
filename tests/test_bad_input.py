# ruff: noqa: E501 - a table
"""What people may get wrong: each is one sentence that says what to do, an exit code that is not 0, and nobody is written to."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from campana.standin.config import demo_config
from tests.chaos.books import close_books
from tests.chaos.world import HOST, World, free_port, until, wait_for_port, world_in

Prepare = Callable[[World], tuple[str, ...]]


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Stand-ins for all cases, with one template that waits for the vendor's approval."""
    known = demo_config()
    waiting = {**known.whatsapp.templates[0], "id": "1", "name": "waiting", "status": "PENDING"}
    whatsapp = known.whatsapp.model_copy(update={"templates": (*known.whatsapp.templates, waiting)})
    config = known.model_copy(update={"whatsapp": whatsapp})
    with world_in(tmp_path_factory.mktemp("vendors"), vendors=config) as world:
        wait_for_port(world.vendor_port, world.start_vendors())
        yield world


def run_with(world: World, people: Path | None = None, **changes: Any) -> tuple[str, ...]:
    """The command that sends a campaign changed in this way."""
    audience = people or world.write_people(20)
    return ("run", str(world.write_campaign(**changes)), "--audience", str(audience))


def settings(world: World, **changes: Any) -> World:
    """Settings changed in this way."""
    world.write_settings({**world.settings(), "public_url": "http://127.0.0.1:1", **changes})
    return world


def account(world: World, name: str, **changes: Any) -> World:
    """An integration changed in this way."""
    known = world.settings()["integrations"]
    return settings(world, integrations={**known, name: {**known[name], **changes}})


def sender(world: World, **changes: Any) -> World:
    """The first sender changed in this way."""
    known = world.settings()["senders"]
    return settings(world, senders={**known, "clinic-sms": {**known["clinic-sms"], **changes}})


def people(world: World, text: str, name: str = "people.csv") -> Path:
    """An audience file with this text."""
    file = world.folder / name
    file.write_text(text, encoding="utf-8")
    return file


def text(name: str, content: str) -> Prepare:
    """A file of that name and content instead of a good campaign."""

    def prepare(world: World) -> tuple[str, ...]:
        return ("run", str(people(world, content, name)), "--audience", str(world.write_people(20)))

    return prepare


def listening(world: World) -> World:
    """Somebody else listens on our port, for as long as the world lives."""
    world.guests.append(socket.create_server((HOST, world.port)))
    return world


def newer(world: World) -> World:
    """A database that a later version has made."""
    assert world.run_forked("serve").returncode == 1  # refused for its port, when the schema is made already
    connection = sqlite3.connect(world.database)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    return world


def somebody_else(world: World) -> World:
    """A database of another program."""
    connection = sqlite3.connect(world.database)
    connection.execute("CREATE TABLE workspace (name TEXT)")
    connection.commit()
    connection.close()
    return world


SMS = {"from": "clinic-sms", "text": "Hi {{name}}"}
TEMPLATE = {"from": "clinic-whatsapp", "template": "visit_reminder", "language": "en_US", "values": {"first_name": "{{name}}"}}
HEADER = "name,phone,appointment_date\n"


@dataclass(frozen=True)
class Case:
    """One thing that is wrong, how it is done, and words of the sentence that must say so."""

    label: str
    prepare: Prepare
    words: tuple[str, ...]


CASES = (
    Case("no phone column", lambda w: run_with(w, people(w, "name,city\nAna,Lima\n")), ("phone",)),
    Case("a phone column that is not there", lambda w: run_with(w, audience={"phone": "mobile"}), ("mobile", "phone")),
    Case("a text with a field without column", lambda w: run_with(w, follow_ups=[], fallbacks=[{**SMS, "text": "{{city}}"}]), ("city", "appointment_date")),
    Case("a template value with a field without column", lambda w: run_with(w, primary={**TEMPLATE, "values": {"first_name": "{{city}}", "appointment_date": "x"}}), ("city", "name")),
    Case("a template field without a value", lambda w: run_with(w, primary=TEMPLATE), ("appointment_date",)),
    Case("an empty audience", lambda w: run_with(w, people(w, HEADER)), ("empty", "Add people")),
    Case("an empty file", lambda w: run_with(w, people(w, "")), ("empty", "header")),
    Case("flagged rows that are to be refused", lambda w: run_with(w, people(w, HEADER + "Ana,12,x\n"), audience={"flagged": "refuse"}), ("1 of 1", "leave flagged rows out")),
    Case("only flagged rows", lambda w: run_with(w, people(w, HEADER + "Ana,12,x\n")), ("Nobody",)),
    Case("an audience that is no table", lambda w: run_with(w, people(w, "no workbook", "people.xlsx")), ("phone",)),
    Case("an audience that is not there", lambda w: run_with(w, w.folder / "nowhere.csv"), ("nowhere.csv",)),
    Case("a wrong WhatsApp token", lambda w: run_with(account(w, "whatsapp", token="wrong")), ("credentials", "'whatsapp'", "Nothing was sent")),
    Case("a wrong Twilio token", lambda w: run_with(account(w, "sms", auth_token="wrong")), ("credentials", "'sms'", "Nothing was sent")),
    Case("a vendor that cannot be reached", lambda w: run_with(account(w, "sms", base_url=f"http://{HOST}:{free_port()}")), ("cannot be reached", "'sms'")),
    Case("a disk with no room for the tables", lambda w: run_with(settings(w, max_pages=12)), ("full", "Free some space")),
    Case("a disk with no room for the audience", lambda w: run_with(settings(w, max_pages=160), w.write_people(6000)), ("full", "Free some space")),
    Case("a database of a newer version", lambda w: run_with(settings(newer(listening(w)))), ("newer version", "Upgrade")),
    Case("a database of another program", lambda w: run_with(somebody_else(w)), ("somebody else", "CAMPANA_DATABASE")),
    Case("a database that is none", lambda w: run_with(settings(w, database=f"sqlite:///{people(w, 'words' * 999, 'x.db')}")), ("not a database",)),
    Case("a database in a folder that is not there", lambda w: run_with(settings(w, database="sqlite:///nowhere/x.db")), ("nowhere", "folder")),
    Case("a database URL that is none", lambda w: run_with(settings(w, database="my database")), ("my database", "sqlite:///")),
    Case("a database of another make", lambda w: run_with(settings(w, database="mysql://me:secret@127.0.0.1/x")), ("postgresql", "sqlite:///")),
    Case("an unknown kind of integration", lambda w: run_with(account(w, "sms", kind="pigeon")), ("pigeon", "twilio_sms")),
    Case("an integration without its secret", lambda w: run_with(account(w, "sms", auth_token="")), ("integrations.sms", "auth_token")),
    Case("a sender of no integration", lambda w: run_with(sender(w, integration="pigeon")), ("pigeon", "clinic-sms")),
    Case("a sender the settings do not have", lambda w: run_with(w, primary={**SMS, "from": "nobody"}), ("nobody", "clinic-sms")),
    Case("a pace that is none", lambda w: run_with(sender(w, pace=0)), ("clinic-sms.pace",)),
    Case("a weight that is none", lambda w: run_with(sender(w, weight="kilos")), ("clinic-sms.weight",)),
    Case("segments where there are none", lambda w: run_with(sender(w, integration="whatsapp", weight="segments")), ("clinic-sms.weight", "leave it away")),
    Case("settings that are no TOML", lambda w: (people(w, "port = = 1", "campana.toml"), run_with(w))[1], ("campana.toml", "TOML")),
    Case("an address that is not of this machine", lambda w: run_with(settings(w, host="192.0.2.1")), ("192.0.2.1", "CAMPANA_HOST")),
    Case("a port that is taken", lambda w: run_with(listening(w)), (" is taken", "CAMPANA_PORT")),
    Case("a campaign that is not YAML", text("campaign.yaml", "name: [1\nprimary: }"), ("campaign.yaml", "YAML")),
    Case("a campaign that is a list", text("campaign.yaml", "- 1"), ("campaign.yaml", "schema")),
    Case("a campaign that is not there", lambda w: ("run", "nowhere.yaml", "--audience", str(w.write_people(1))), ("nowhere.yaml",)),
    Case("a word the campaign file does not know", lambda w: run_with(w, fallback=[]), ("fallback",)),
    Case("a follow-up after 8 days", lambda w: run_with(w, follow_ups=[{**SMS, "after": "8 days"}]), ("follow_ups", "1 to 7")),
    Case("a start that is past", lambda w: run_with(w, start="2020-01-01 09:00 UTC"), ("past", "later")),
    Case("a start in an unknown zone", lambda w: run_with(w, start="2099-01-01 09:00 Mars/Olympus"), ("Mars/Olympus",)),
    Case("hours in an unknown zone", lambda w: run_with(w, hours={"zone": "Mars/Olympus"}), ("Mars/Olympus",)),
    Case("a template that is not approved", lambda w: run_with(w, primary={**TEMPLATE, "template": "waiting"}), ("waiting", "PENDING")),
    Case("a template that does not exist", lambda w: run_with(w, primary={**TEMPLATE, "template": "nothing"}), ("nothing", "en_US")),
    Case("an export of nothing", lambda w: ("export", "nothing"), ("no database", "campana run")),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_bad_input_is_one_sentence_and_sends_nothing(case: Case, vendors: World, tmp_path: Path) -> None:
    before = len(vendors.accepted())
    with world_in(tmp_path / "world", vendor_port=vendors.vendor_port) as world:
        settings(world)
        done = world.run_forked(*case.prepare(world))
        said = done.stderr.strip()
        assert done.returncode not in (0, 130), said
        assert "Traceback" not in said
        assert said.count("\n") == 0, said
        assert said.endswith("."), said
        for words in case.words:
            assert words in said
        assert done.stdout == ""
        assert "secret" not in said
    assert len(vendors.accepted()) == before


def test_a_second_process_on_the_same_database_is_refused(vendors: World, tmp_path: Path) -> None:
    with world_in(tmp_path / "world", vendor_port=vendors.vendor_port) as world:
        wait_for_port(world.port, world.start("serve"))
        settings(world, port=free_port())
        for command in (("serve",), run_with(world)):
            done = world.run_forked(*command)
            assert done.returncode == 1
            assert "Another campana is already working on " in done.stderr
            assert "End it first, or name another file in CAMPANA_DATABASE." in done.stderr
    assert not [line for line in vendors.accepted() if line.text.startswith("Hi Person")]


def test_a_disk_that_fills_while_sending_loses_nobody(tmp_path: Path) -> None:
    """With room again, the same command goes on and tells everybody once."""
    with world_in(tmp_path / "world", pace=100.0) as world:
        wait_for_port(world.vendor_port, world.start_vendors())
        command = (*run_with(settings(world), world.write_people(200)), "--json")
        begun = world.start(*command)
        until(lambda: len(world.accepted()) > 20, begun)
        begun.send_signal(signal.SIGINT)
        assert begun.wait(60) == 130
        settings(world, max_pages=pages(world) + 10)
        done = world.run_forked(*command)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "disk of the database is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(world.accepted()) < 200, "the disk was not filled in the midst"
        settings(world)
        done = world.run_forked(*command, seconds=120)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["recipients"] == 200
        books = close_books(world, [], 200)
    assert (books.lost, books.twice, books.people) == (0, 0, 200), books


def pages(world: World) -> int:
    """How many pages the database has."""
    connection = sqlite3.connect(world.database)
    try:
        found: int = connection.execute("PRAGMA page_count").fetchone()[0]
        return found
    finally:
        connection.close()
