"""The command line as people use it: real processes against stand-in vendors."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from campana.core.message import Status
from campana.standin.faults import Faults, Rule
from tests.chaos.books import close_books
from tests.chaos.world import CAMPAIGN, HOST, World, until, wait_for_port, world_in

PEOPLE = 40
Change = Callable[[World], tuple[str, ...]]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which one campaign has been sent to everybody; what it said is in `sent.json`."""
    with world_in(tmp_path_factory.mktemp("sent")) as made:
        wait_for_port(made.vendor_port, made.start_vendors())
        people = made.write_people(PEOPLE)
        with people.open("a", encoding="utf-8") as file:
            file.write("=1+1,12,'quoted'\n")  # a row that is left out, with a cell that looks like a formula
        done = made.run(*command(made), "--json")
        assert done.returncode == 0, done.stderr
        (made.folder / "sent.json").write_text(done.stdout, encoding="utf-8")
        yield made


def command(world: World, campaign: Path | None = None) -> tuple[str, ...]:
    """The command that sends the world's campaign to its people."""
    return ("run", str(campaign or world.write_campaign()), "--audience", str(world.folder / "people-0.csv"))


def stored(world: World, query: str) -> Any:
    """One value of the store."""
    connection = sqlite3.connect(world.database)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


def test_a_campaign_reaches_everybody_and_says_so_in_json(sent: World) -> None:
    said = (sent.folder / "sent.json").read_text(encoding="utf-8")
    assert said.count("\n") == 1, "all but the result goes to stderr"
    result = json.loads(said)
    assert (result["status"], result["recipients"], result["delivered"]) == ("sent", PEOPLE, PEOPLE)
    assert {line.to for line in sent.accepted()} == {row[1] for row in rows_of(sent.folder / "people-0.csv") if row[1][0] == "+"}


def test_the_same_command_again_sends_nothing(sent: World) -> None:
    before = len(sent.accepted())
    done = sent.run(*command(sent), "--json")
    assert done.returncode == 0
    assert "over already. Nothing is sent." in done.stderr
    assert json.loads(done.stdout)["delivered"] == PEOPLE
    assert len(sent.accepted()) == before


def test_ctrl_c_pauses_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with world_in(tmp_path / "world", pace=60.0) as world:
        wait_for_port(world.vendor_port, world.start_vendors())
        world.write_people(150)
        process = world.start(*command(world))
        until(lambda: len(world.accepted()) > 20, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, world.log()
        assert stored(world, "SELECT status FROM run") == "paused"
        assert stored(world, "SELECT min(status) FROM message") > Status.UNCERTAIN
        at_the_pause = len(world.accepted())
        assert at_the_pause < 150
        done = world.run(*command(world), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["delivered"] == 150
        books = close_books(world, [], 150)
    assert (books.lost, books.twice, books.problems) == (0, 0, [])


def test_a_campaign_that_goes_wrong_with_the_first_people_ends_with_why(tmp_path: Path) -> None:
    nobody_is_there = Faults(rules=(Rule(vendor="whatsapp", code=131026), Rule(vendor="twilio", code=21211)))
    with world_in(tmp_path / "world", faults=nobody_is_there) as world:
        wait_for_port(world.vendor_port, world.start_vendors())
        world.write_people(PEOPLE)
        first = {"people": 10, "wait": "1 min", "limits": {"failed": 50}}
        done = world.run(*command(world, world.write_campaign(canary=first)), "--json")
        assert done.returncode == 1
        assert "The campaign paused itself: " in done.stderr
        assert "messages failed of 10 people, with 50 per cent allowed" in done.stderr
        assert json.loads(done.stdout)["status"] == "paused"
        assert stored(world, "SELECT count(DISTINCT recipient_id) FROM message") <= 10


def test_ctrl_c_while_the_file_is_read_launches_nothing(tmp_path: Path) -> None:
    with world_in(tmp_path / "world") as world:
        wait_for_port(world.vendor_port, world.start_vendors())
        world.write_people(20_000)
        process = world.start(*command(world))
        until(
            lambda: world.database.is_file() and stored(world, "SELECT count(*) FROM sqlite_master WHERE name = 'audience'"),
            process,
        )
        until(lambda: stored(world, "SELECT count(*) FROM audience") > 0, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, world.log()
        assert "nothing was sent" in world.log()
        assert stored(world, "SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM audience)") == 0
        assert stored(world, "SELECT count(*) FROM audience_row") == 0


def changed_people(world: World) -> tuple[str, ...]:
    file = world.folder / "people-0.csv"
    file.write_text(file.read_text(encoding="utf-8") + "Somebody,+525512345678,2027-01-01\n", encoding="utf-8")
    return command(world)


def changed_text(world: World) -> tuple[str, ...]:
    other = [{"from": "clinic-sms", "text": "Something else"}]
    return command(world, world.write_campaign(fallbacks=other))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_people, ("people-0.csv", "changed since", "Give the file back as it was", "another name")),
        (changed_text, ("other contents", "Give the file back as it was", "another name")),
    ],
    ids=["people", "text"],
)
def test_what_was_launched_is_not_changed(
    sent: World, change: Callable[[World], tuple[str, ...]], words: tuple[str, ...]
) -> None:
    before, file = len(sent.accepted()), sent.folder / "people-0.csv"
    kept = file.read_bytes()
    try:
        done = sent.run_forked(*change(sent))
    finally:
        file.write_bytes(kept)
        sent.write_campaign()
    assert (done.returncode, done.stdout) == (1, "")
    for one in words:
        assert one in done.stderr
    assert len(sent.accepted()) == before


def test_status_shows_every_campaign(sent: World) -> None:
    shown = sent.run_forked("status")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert all(word in shown.stderr for word in (*CAMPAIGN["name"].split(), "sent", str(PEOPLE)))
    (line,) = json.loads(sent.run_forked("status", "--json").stdout)
    assert (line["name"], line["status"], line["people"], line["delivered"]) == (CAMPAIGN["name"], "sent", PEOPLE, PEOPLE)
    assert line["run"] == json.loads((sent.folder / "sent.json").read_text(encoding="utf-8"))["run"]


def rows_of(file: Path) -> list[list[str]]:
    """The rows below the header of a CSV."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.reader(opened))[1:]


def test_an_export_has_everybody_and_is_an_audience_again(sent: World) -> None:
    run = json.loads((sent.folder / "sent.json").read_text(encoding="utf-8"))["run"]
    for name in (run, CAMPAIGN["name"]):
        assert sent.run_forked("export", name, "-o", "export.csv").returncode == 0
    offered, exported = rows_of(sent.folder / "people-0.csv"), rows_of(sent.folder / "export.csv")
    assert [row[:3] for row in exported[:-1]] == offered[:-1]
    assert {tuple(row[3:]) for row in exported[:-1]} == {("delivered", "")}
    assert exported[-1][:1] == ["'=1+1"], "a formula is not run"
    assert exported[-1][3] == "left out"
    assert exported[-1][4]
    again = sent.write_campaign(name="Once more", fallbacks=[], follow_ups=[])
    done = sent.run("run", str(again), "--audience", str(sent.folder / "export.csv"), "--json")
    assert json.loads(done.stdout)["recipients"] == PEOPLE, done.stderr
    sent.write_campaign()


def test_the_schema_describes_the_campaign_file(sent: World) -> None:
    schema = json.loads(sent.run("schema", config=False).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(yaml.safe_load(sent.write_campaign().read_text(encoding="utf-8")))
    assert not validator.is_valid({**CAMPAIGN, "fallback": []})


@pytest.mark.parametrize(
    ("name", "words"),
    [("serve", "Campana is at http://127.0.0.1:"), ("standin", "http://127.0.0.1:")],
)
def test_a_server_says_where_it_is_and_ends_when_asked(sent: World, name: str, words: str) -> None:
    port = ["--port", str(sent.port)] if name == "standin" else []
    process = sent.start(name, *port, log=f"{name}.log", config=name == "serve")
    wait_for_port(sent.port, process)
    until(lambda: words + str(sent.port) in sent.log(f"{name}.log"), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_the_demo_closes_its_books(sent: World) -> None:
    env = {**sent.env, "CAMPANA_TIME_SCALE": "43200"}
    asked = [str(Path(sys.executable).with_name("campana")), "demo", "--contacts", "20", "--exit", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=90, env=env, cwd=sent.folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    outcomes = sum(n for name, n in result.items() if name not in {"recipients", "lost", "twice", "seconds"})
    assert (result["recipients"], outcomes, result["lost"], result["twice"]) == (20, 20, 0, 0)
    assert done.stdout.count("\n") == 1
    assert f"http://{HOST}:" in done.stderr
