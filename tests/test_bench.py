"""Every benchmark runs, on both databases, and says its figure: what the figures are is nobody's test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = {
    "send",
    "life",
    "ingest",
    "send during an import",
    "ingest during an import",
    "import of 6,000 rows",
    "cut from 6,000 into units of 500",
    "restart with 6,000 queued",
    "upload of 6,000 rows",
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    found = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_benchmark_says_its_figures_beside_a_limit(database: str) -> None:
    found = run("bench", "--database", database, "--messages", "60", "--rounds", "1", "--json")
    figures = json.loads(found.stdout)
    assert {one["name"] for one in figures} > FIGURES, "and those of previews and countings"
    for one in (one for one in figures if one["name"] in FIGURES):
        assert one["reading"]["per_second"] > 0
        assert one["limit_per_second"] > 0
        assert one["reading"]["cpu_us"] > 0
    assert found.returncode == (0 if all(one["met"] for one in figures) else 1)
    if database == "postgresql":
        assert any(one["reading"]["server_us"] > 0 for one in figures)


def test_the_last_line_counts_floors() -> None:
    found = run("bench", "--database", "sqlite", "--messages", "60", "--rounds", "1", "send", "busy")
    *_, last = found.stdout.splitlines()
    assert last in {"0 of 1 floors met", "1 of 1 floors met"}, "what is measured during an import has none"
    assert found.returncode == (0 if last.startswith("1") else 1)


def test_an_unknown_benchmark_is_refused_with_those_there_are() -> None:
    found = run("bench", "sned")
    assert found.returncode == 2
    assert "there is no benchmark sned; known are send, life, ingest, busy, import, cut, restart" in found.stderr


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_growth_says_what_a_message_costs_at_each_size(database: str) -> None:
    sizes = ("5000", "6000")
    found = run("bench.growth", "--database", database, "--sizes", *sizes, "--messages", "300", "--rounds", "1", "--json")
    figures = json.loads(found.stdout)
    assert [one["people"] for one in figures] == [5000, 6000]
    for one in figures:
        assert one["buffers"] > 1
        assert one["mb"][1] > 0
        assert (one["dead"].get("recipient", [0])[0] > 1) == (database == "postgresql")
