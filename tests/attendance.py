"""Attendance: a full run of the tests fails when one that docs/contract.md names was not among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CITED = re.compile(r"tests/[\w/.-]+\.py::\w+(?:::\w+)?")


class Attendance:
    """Who was there. Only a run that was to be a full one is held to account; a part of it is nobody's fault."""

    def __init__(self, config: pytest.Config) -> None:
        self.ran: set[str] = set()
        self.missing: list[str] = []
        option = config.option
        narrowed = option.ignore or option.ignore_glob or option.collectonly or getattr(option, "database", None) == "postgresql"
        self.full = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not narrowed

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self.full = self.full and not items

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.skipped:
            self.ran.add(report.nodeid.partition("[")[0])

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        yield
        stopped = session.shouldstop or session.shouldfail
        if self.full and not stopped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            cited = CITED.findall((ROOT / "docs/contract.md").read_text(encoding="utf-8"))
            self.missing = sorted(set(cited) - self.ran)
            if self.missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for name in self.missing:
            terminalreporter.write_line(f"docs/contract.md names {name}, which did not run.", red=True)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Attendance(config), "attendance")
