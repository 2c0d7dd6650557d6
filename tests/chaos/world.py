"""A world of real processes: stand-in vendors and the command line, on files of one folder. Nothing of it outlives the folder."""

from __future__ import annotations

import contextlib
import csv
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from campana.standin.config import StandinConfig, demo_config
from campana.standin.faults import Faults
from campana.standin.ledger import ACCEPTED, Line, read_lines
from tests.processes import HOST, die_with_parent, free_port

CAMPANA = str(Path(sys.executable).with_name("campana"))
CAMPAIGN: dict[str, Any] = {
    "name": "Visit reminders",
    "audience": {"duplicates": "first", "flagged": "leave_out"},
    "primary": {
        "from": "clinic-whatsapp",
        "template": "visit_reminder",
        "language": "en_US",
        "values": {"first_name": "{{name}}", "appointment_date": "{{appointment_date}}"},
        "not_delivered_after": "24h",
    },
    "fallbacks": [{"from": "clinic-sms", "text": "Hi {{name}}, we expect you on {{appointment_date}}. Reply YES to confirm."}],
    "follow_ups": [{"from": "clinic-sms", "after": "1 day", "text": "{{name}}, will you come on {{appointment_date}}?"}],
}


class Broken(AssertionError):
    """The world is not as it must be; the sentence says what was seen."""


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["campana.cli", "pytest"])
ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)  # what is forked finds this module


def _be_campana(arguments: Sequence[str], folder: Path, out: Path, err: Path) -> None:
    """The command line, from here to the end of this process."""
    for number, file in enumerate((out, err), 1):
        with file.open("wb") as opened:
            os.dup2(opened.fileno(), number)
    for name in [name for name in os.environ if name.startswith("CAMPANA_")]:
        del os.environ[name]
    os.chdir(folder)
    sys.argv = ["campana", *arguments]
    import campana.cli

    campana.cli.main()


def spawn(command: Sequence[str], out: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts a process in a group of its own; what it says is added to a file."""
    with out.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=dict(env),
            cwd=out.parent,
            start_new_session=True,  # Ctrl-C is for whoever started us
            preexec_fn=die_with_parent,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its children at once, if it still lives."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listens(port: int) -> bool:
    """Whether somebody takes connections at the port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


@dataclass
class World:
    """One folder with settings, a campaign, people, a database and a ledger, and the processes that work on them."""

    folder: Path
    faults: Faults = field(default_factory=Faults)
    time_scale: float = 21_600.0  # a day takes four seconds
    vendor_scale: float = 20.0
    pace: float = 2000.0
    port: int = field(default_factory=free_port)
    vendor_port: int = field(default_factory=free_port)
    vendors: StandinConfig = field(default_factory=demo_config)
    store: str = ""  # a database of its own; without one a file of the folder
    bus: str = "local"
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    guests: list[socket.socket] = field(default_factory=list)  # closed with the world

    # Files

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.folder / "campana.db"

    @property
    def url(self) -> str:
        """The store as the settings name it."""
        return self.store or f"sqlite:///{self.database}"

    @property
    def ledger(self) -> Path:
        """What the vendors saw."""
        return self.folder / "ledger.jsonl"

    @property
    def env(self) -> dict[str, str]:
        """The environment without any setting of ours, so that only the file counts."""
        return {name: value for name, value in os.environ.items() if not name.startswith("CAMPANA_")}

    def settings(self) -> dict[str, Any]:
        """The settings of a healthy installation."""
        known = self.vendors
        base_url = f"http://{HOST}:{self.vendor_port}"
        whatsapp = known.whatsapp.model_dump(include={"token", "app_secret", "verify_token", "waba_id"})
        twilio = known.twilio.model_dump(include={"account_sid", "auth_token"})
        return {
            "database": self.url,
            "bus": self.bus,
            "data": str(self.folder / "data"),
            "port": self.port,
            "time_scale": self.time_scale,
            "integrations": {
                "whatsapp": {"kind": "whatsapp", "base_url": base_url, **whatsapp},
                "sms": {"kind": "twilio_sms", "base_url": base_url, **twilio},
            },
            "senders": {
                "clinic-whatsapp": {
                    "integration": "whatsapp",
                    "address": next(iter(known.whatsapp.phone_numbers)),
                    "pace": self.pace,
                },
                "clinic-sms": {"integration": "sms", "address": known.twilio.numbers[0], "pace": self.pace},
            },
        }

    def write_settings(self, facts: Mapping[str, Any] | None = None) -> Path:
        """`campana.toml`."""
        file = self.folder / "campana.toml"
        file.write_text(_toml(facts or self.settings()), encoding="utf-8")
        return file

    def write_campaign(self, facts: Mapping[str, Any] | None = None, **changes: Any) -> Path:
        """A campaign file, named after nothing but its place."""
        file = self.folder / "campaign.yaml"
        file.write_text(yaml.safe_dump({**CAMPAIGN, **(facts or {}), **changes}), encoding="utf-8")
        return file

    def write_people(self, count: int, first: int = 0) -> Path:
        """A CSV of that many people; those of other firsts are others."""
        file = self.folder / f"people-{first}.csv"
        with file.open("w", newline="", encoding="utf-8") as out:
            rows = csv.writer(out)
            rows.writerow(["name", "phone", "appointment_date"])
            rows.writerows(people_rows(count, first))
        return file

    # Processes

    def start_vendors(self) -> subprocess.Popen[bytes]:
        """The stand-ins as a process, on their ledger and port; not necessarily listening yet."""
        hooks = f"http://{HOST}:{self.port}/hooks"
        whatsapp = self.vendors.whatsapp.model_copy(update={"callback_url": f"{hooks}/whatsapp"})
        twilio = self.vendors.twilio.model_copy(update={"inbound_url": f"{hooks}/sms"})
        changes = {"time_scale": self.vendor_scale, "faults": self.faults, "whatsapp": whatsapp, "twilio": twilio}
        config = self.vendors.model_copy(update=changes)
        file = self.folder / "standin.json"
        file.write_text(config.model_dump_json(), encoding="utf-8")
        asked = ("--config", str(file), "--port", str(self.vendor_port), "--ledger", str(self.ledger))
        return self.begin([sys.executable, "-m", "campana.standin", *asked], "vendors.log")

    def start(self, *arguments: str, log: str = "campana.log", config: bool = True) -> subprocess.Popen[bytes]:
        """A command of campana that goes on by itself; what it says is in the log."""
        known = ["--config", str(self.folder / "campana.toml")] if config else []
        return self.begin([CAMPANA, *arguments, *known], log)

    def begin(self, command: Sequence[str], log: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Any process of this world; it ends with it."""
        process = spawn(command, self.folder / log, {**self.env, **(env or {})})
        self.started.append(process)
        return process

    def run(self, *arguments: str, seconds: float = 60, config: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of campana to its end."""
        known = ["--config", str(self.folder / "campana.toml")] if config else []
        return subprocess.run(
            [CAMPANA, *arguments, *known],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=self.env,
            cwd=self.folder,
            preexec_fn=die_with_parent,
        )

    def run_forked(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Like `run`, in a process forked from one that has read the code already: hundreds of them cost little."""
        known = (*arguments, "--config", str(self.folder / "campana.toml"))
        out, err = self.folder / "stdout.txt", self.folder / "stderr.txt"
        process = FORKS.Process(target=_be_campana, args=(known, self.folder, out, err), daemon=True)
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise Broken(f"campana {' '.join(arguments)} does not end. It said: {err.read_text(encoding='utf-8')}")
        said = [file.read_text(encoding="utf-8") for file in (out, err)]
        return subprocess.CompletedProcess(known, process.exitcode, *said)

    def close(self) -> None:
        """Ends what still runs."""
        for guest in self.guests:
            guest.close()
        for process in self.started:
            kill(process)

    # What was seen

    def accepted(self) -> list[Line]:
        """The messages the vendors took."""
        return [line for line in read_lines(self.ledger) if line.kind == ACCEPTED]

    def vendor_counts(self) -> dict[str, int]:
        """What the stand-ins count now."""
        with urlopen(f"http://{HOST}:{self.vendor_port}/_standin/state", timeout=5) as answer:
            counts: dict[str, int] = json.load(answer)["counts"]
            return counts

    def log(self, name: str = "campana.log") -> str:
        """What a process has said."""
        file = self.folder / name
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


@contextlib.contextmanager
def world_in(folder: Path, **facts: Any) -> Iterator[World]:
    """A world in a folder; its processes end with it."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder, **facts)
    world.write_settings()
    try:
        yield world
    finally:
        world.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> bool:
    """Waits until the process listens; False when it ended instead."""
    until = time.monotonic() + seconds
    while not listens(port):
        if process.poll() is not None:
            return False
        if time.monotonic() > until:
            raise Broken(f"{process.args!r} does not listen on port {port} after {seconds:.0f} s.")
        time.sleep(0.02)
    return True


def until(reached: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Waits until something is so while a process works."""
    end = time.monotonic() + seconds
    while not reached():
        if process.poll() is not None or time.monotonic() > end:
            raise Broken(f"{process.args!r} ended, or it takes too long.")
        time.sleep(0.02)


def left_over(folder: Path) -> list[int]:
    """Processes that were started for this folder, by themselves or by others, and still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and (entry / "cwd").resolve() == folder.resolve():
                found.append(int(entry.name))
    return found


def people_rows(count: int, first: int = 0) -> Iterable[tuple[str, str, str]]:
    """Invented people of Mexico, Brazil and the United States, every number once."""
    for number in range(first, first + count):
        series, at = number % 3, number // 3
        phone = (f"+5255{10_000_000 + at:08d}", f"+5511{910_000_000 + at:09d}", f"+1212{2_000_000 + at:07d}")[series]
        yield f"Person {number}", phone, f"2027-01-{number % 28 + 1:02d}"


def _toml(facts: Mapping[str, Any], path: str = "") -> str:
    """TOML of nested tables; JSON's strings, numbers and lists are TOML's."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in facts.items() if not isinstance(value, Mapping)]
    for key, value in facts.items():
        if isinstance(value, Mapping):
            inner = f"{path}{key}"
            lines += [f"[{inner}]", _toml(value, f"{inner}.")]
    return "\n".join(lines)
