"""Ledgers and people come in, lost and twice come out."""

from __future__ import annotations

import pytest

from campana.standin.balance import Person, Traced, balance
from campana.standin.ledger import LedgerFile, Line, read_lines

ANA, BEN = "+15550001001", "+525511223344"


def accepted(person: str, number: int, content: str = "hi", ref: str = "", fault: str = "", vendor: str = "twilio") -> Line:
    return Line("accepted", number, vendor, f"SM{number}", person, hash=vendor + content, ref=ref, fault=fault)


def failed(number: int, vendor: str = "twilio") -> Line:
    return Line("failed", 99, vendor, f"SM{number}", code=30003)


def refused(person: str) -> Line:
    return Line("refused", 1, "twilio", to=person, code=21614)


@pytest.mark.parametrize(
    ("lines", "lost", "twice"),
    [
        ([], [ANA, BEN], []),
        ([accepted(ANA, 1), accepted(BEN, 2)], [], []),
        ([accepted(ANA, 1), refused(BEN)], [], []),
        ([accepted(ANA, 1), Line("fault", 1, "twilio", to=BEN, fault="throttled")], [BEN], []),
        ([accepted(ANA, 1), accepted(BEN, 2), accepted(ANA, 3)], [], [ANA]),
        ([accepted(ANA, 1), accepted(BEN, 2), accepted(ANA, 3), accepted(ANA, 4)], [], [ANA, ANA]),
        ([accepted(ANA, 1), accepted(BEN, 2), failed(1), accepted(ANA, 3)], [], []),
        ([accepted(ANA, 1), accepted(BEN, 2), failed(1), accepted(ANA, 3), accepted(ANA, 4)], [], [ANA]),
        ([accepted(ANA, 1), accepted(BEN, 2), failed(1), accepted(ANA, 3), failed(3), accepted(ANA, 4)], [], []),
        ([accepted(ANA, 1), accepted(BEN, 2), accepted(ANA, 3), failed(1)], [], [ANA]),  # sent again before it was told
        ([accepted(ANA, 1), accepted(BEN, 2), failed(1), failed(1), accepted(ANA, 3), accepted(ANA, 4)], [], [ANA]),
        ([accepted(ANA, 1), accepted(BEN, 2), accepted(ANA, 3, "other")], [], []),
        ([accepted(ANA, 1), accepted(BEN, 2), accepted(ANA, 3, vendor="whatsapp")], [], []),
        ([accepted(ANA, 1), accepted(BEN, 2), failed(1, "whatsapp"), accepted(ANA, 3)], [], [ANA]),
    ],
)
def test_the_balance(lines, lost, twice) -> None:
    found = balance([lines], [Person(ANA), Person(BEN)])
    assert (found.lost, found.twice, found.recipients) == (len(lost), len(twice), 2)
    assert (found.examples["lost"], found.examples["twice"]) == (lost, twice)


@pytest.mark.parametrize(
    ("people", "lost", "unknown"),
    [
        ([Person(ANA, owed=False)], 0, 0),
        ([Person(ANA, unknown=True)], 0, 1),
        ([Person(ANA, owed=False, unknown=True), Person(BEN)], 1, 1),
    ],
)
def test_who_is_not_owed_or_listed_as_unknown_is_not_lost(people, lost, unknown) -> None:
    found = balance([[]], people)
    assert (found.lost, found.unknown) == (lost, unknown)


def test_a_person_is_found_under_every_spelling_of_the_number() -> None:
    assert balance([[accepted("+525511223344", 1)]], [Person("+5215511223344")]).lost == 0


def test_ledgers_add_up() -> None:
    found = balance([[accepted(ANA, 1)], [accepted(ANA, 2)]], [Person(ANA)])
    assert (found.lost, found.twice) == (0, 1)


def test_what_is_uncertain_is_traced_to_a_fault() -> None:
    lines = [
        Line("fault", 1, "twilio", to=ANA, ref="r1", fault="cut_after"),
        accepted(ANA, 1, ref="r1", fault="cut_after"),
        Line("fault", 1, "twilio", to=ANA, ref="r2", fault="cut_before"),
        accepted(ANA, 3, "more", ref="r3"),
    ]
    found = balance([lines], [], ["r1", "r2", "r3", "r4"])
    assert found.traced == (
        Traced("r1", "cut_after", True),
        Traced("r2", "cut_before", False),
        Traced("r3", None, True),
        Traced("r4", None, False),
    )
    assert found.unexplained == ["r3", "r4"]


def test_kills_are_counted() -> None:
    kinds = ["opened", "closed", "opened", "opened", "accepted", "opened", "closed"]
    assert balance([[Line(kind, 1) for kind in kinds]], []).kills == 2


@pytest.mark.parametrize("torn", [b"", b"{", b'{"kind":"accepted","at":1,"to":"+1"}', b"x" * 200_000])
def test_a_torn_last_line_never_happened(tmp_path, torn) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = LedgerFile(path)
    ledger.write(accepted(ANA, 1))
    ledger.close()
    with path.open("ab") as file:
        file.write(torn)
    assert list(read_lines(path)) == [accepted(ANA, 1)]
    ledger = LedgerFile(path)
    ledger.write(accepted(BEN, 2))
    ledger.close()
    assert list(read_lines(path)) == [accepted(ANA, 1), accepted(BEN, 2)]
    assert balance([path], [Person(ANA), Person(BEN)]).lost == 0


def test_a_damaged_ledger_is_refused_with_a_sentence(tmp_path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"kind":"opened","at":1}\nnonsense\n')
    with pytest.raises(ValueError, match="damaged at line 2"):
        list(read_lines(path))
